"""Opens seats: one config line becomes a LangChain chat model.

::

    openai:MODEL@URL       any endpoint that speaks the OpenAI protocol      extra "openai"
    vllm:MODEL[@URL]       joins the vLLM server at URL, or starts one       extra "vllm" to start, "openai" to join
    hf:PATH                in process: a model or adapter folder, `tiny-base` extra "train"
    langchain:PACKAGE.CLASS:MODEL[@URL]  a chat model class of a LangChain package, which is imported
    scripted:answer-key@EXAM     the demonstrator that holds the key (no LLM)
    scripted:lines@FILE          plays the lines of a file (no LLM)
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..context import Seat, in_line
from ..errors import SeatError

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

PROVIDERS = ("openai", "vllm", "langchain", "hf", "scripted")
REMOTE = ("openai", "vllm", "langchain")
"""Providers behind an endpoint: it can fail as endpoints do."""
SCHEMAS = ("openai", "vllm")
"""Providers whose requests can carry a schema."""

_opened: dict[Seat, BaseChatModel] = {}
_lock = threading.Lock()


def split_spec(model: str) -> tuple[str, str, str | None]:
    """`provider:model@url` -> (provider, model, url or None); raises SeatError for an unknown provider.

    An `@` in a model's name is written `%40` in the line, and a `%` as `%25`, of seats behind an endpoint.
    """
    provider, colon, rest = model.partition(":")
    if not colon or provider not in PROVIDERS:
        raise SeatError(f"seat {model!r}: expected provider:model[@url] with a provider of {', '.join(PROVIDERS)}")
    name, at, url = rest.partition("@")
    if not name:
        raise SeatError(f"seat {model!r} names no model after {provider + ':'!r}")
    if provider in REMOTE and "%" in name:
        name = name.replace("%40", "@").replace("%25", "%")
    return provider, name, url if at else None


def one_line(provider: str, model: str, url: str | None) -> str:
    """The line of a seat behind an endpoint: the inverse of `split_spec`."""
    return f"{provider}:{in_line(model)}" + (f"@{url}" if url else "")


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
            _opened[seat] = _open(seat)
        return _opened[seat]


def opened_seat(seat: Seat) -> BaseChatModel | None:
    """The chat model of a seat that is open already, else None."""
    return _opened.get(seat)


def _open(seat: Seat) -> BaseChatModel:
    provider, name, url = split_spec(seat.model)
    if provider == "scripted":
        from .scripted import open_scripted

        return open_scripted(name, url)
    if provider == "hf":
        from .hf import open_hf

        return open_hf(name, temperature=seat.temperature, max_tokens=seat.max_tokens, chat_template=seat.chat_template)
    if provider == "vllm":
        from .vllm import open_vllm

        return open_vllm(name, url, seat)
    if provider == "langchain":
        from .langchain_class import open_langchain

        return open_langchain(name, url, seat)
    from .openai import open_openai

    return open_openai(name, url, seat)


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
