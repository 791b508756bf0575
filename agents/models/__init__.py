"""Opens seats: one config line becomes a LangChain chat model, by its provider (agents/providers)."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..context import Seat
from ..providers import provider_of, split_spec

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

_opened: dict[Seat, BaseChatModel] = {}
_lock = threading.Lock()


def on_azure(url: str) -> bool:
    """Whether a URL is one of Azure's, whose deployments read the key in a header `api-key`."""
    host = urlsplit(url).hostname or ""
    return host.endswith((".azure.com", ".azure-api.net"))


def open_seat(seat: Seat) -> BaseChatModel:
    """The chat model of a seat; the same seat opens once a process.

    Raises:
        SeatError: unknown provider, no such model, no key.
        MissingExtra: the provider's packages are not installed.
    """
    with _lock:
        if seat not in _opened:
            spec = split_spec(seat.model)
            _opened[seat] = provider_of(spec).open(spec, seat)
        return _opened[seat]


def opened_seat(seat: Seat) -> BaseChatModel | None:
    """The chat model of a seat that is open already, else None."""
    return _opened.get(seat)


async def close_seats() -> None:
    """Close the connections of every opened seat, unload models held in process, and forget all of them.

    To be awaited in the event loop that the seats were used in; a server that a seat started ends with the process.
    """
    with _lock:
        seats = list(_opened.values())
        _opened.clear()
    for seat in seats:
        client = getattr(seat, "http_async_client", None)
        if client is not None:
            await client.aclose()
    desk = sys.modules.get(f"{__name__}.desk")
    if desk is not None:
        desk.forget()
    embeddings = sys.modules.get("agents.corpus.indexes.endpoint")
    if embeddings is not None:
        await embeddings.close_clients()
    engine = sys.modules.get(f"{__name__}.engine")  # loaded only where an hf seat was opened
    if engine is not None:
        await asyncio.to_thread(engine.close_engines)
