"""Embeddings from an endpoint that speaks the OpenAI protocol (`POST /v1/embeddings`), counted and limited like seats.

Calls wait at the gate of their address, fail by the classes of `PROVIDER_KINDS`, and stand on the run's meter under the
role `embed`.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ...context import DEFAULT_KEY
from ...errors import PROVIDER_KINDS, ConfigError, ProviderError, need
from ...models import on_azure
from ...models.estimate import NOT_BILLED, TURNED_AWAY, tokens_of
from ...models.gate import Gate
from ...models.meter import Lost, OutOfBudget, count, current_meter
from ...redaction import know, redacted
from ...spent import Spent
from .base import Missing

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
ROLE = "embed"
LOCAL = ("127.0.0.1", "localhost", "::1")
ATTEMPTS = 6
"""Times that a batch of passages is sent at the most."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 20.0
"""Seconds before the second attempt, doubled for each further one."""
PASSING = frozenset({"refused", "rate", "server", "timeout", "cut", "garbage"})
"""Kinds of failure after which a batch is sent again."""
QUOTA_SECONDS = 120.0
"""A 429 that asks to wait longer is no overload."""
MAX_QUOTED = 300
"""Characters of an endpoint's own words that an error quotes."""


class EmbeddingEndpoint(BaseModel):
    """Where vectors are made, and how it is called."""

    model_config = ConfigDict(frozen=True)

    url: str
    model: str
    key_env: str = DEFAULT_KEY
    timeout: float = 120.0
    concurrency: int = 8
    price: float | None = None
    dimensions: int | None = None

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return urlsplit(self.url).hostname in LOCAL

    @property
    def shown(self) -> str:
        """The address for errors."""
        parts = urlsplit(self.url)
        return f"{parts.hostname or '?'}{f':{parts.port}' if parts.port else ''} model {self.model!r}"

    def key(self) -> str:
        """The key of the environment; empty where there is none."""
        return os.environ.get(self.key_env, "")


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, httpx.AsyncClient]] = WeakKeyDictionary()
_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Gate]] = WeakKeyDictionary()


def run_in_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a thread with an event loop of its own; the caller may be within another loop."""

    async def whole() -> T:
        try:
            return await work()
        finally:
            await close_clients()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, asyncio.run, whole()).result()


async def close_clients() -> None:
    """Close the connections of the running event loop."""
    for client in _clients.pop(asyncio.get_running_loop(), {}).values():
        await client.aclose()


def client_of(endpoint: EmbeddingEndpoint) -> httpx.AsyncClient:
    """The HTTP client for an endpoint in the running event loop; raises ConfigError where there is no key."""
    known = _clients.setdefault(asyncio.get_running_loop(), {})
    if endpoint.url not in known:
        httpx = need("httpx", "dense")
        key = endpoint.key()
        know(key)
        if not key and not endpoint.local:
            raise ConfigError(f"[index] environment variable {endpoint.key_env!r} is empty: export the key there")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if key and on_azure(endpoint.url):
            headers["api-key"] = key
        known[endpoint.url] = httpx.AsyncClient(headers=headers, timeout=endpoint.timeout)
    return known[endpoint.url]


async def embed_batch(endpoint: EmbeddingEndpoint, texts: Sequence[str]) -> tuple[NDArray[np.float32], Spent]:
    """A vector a text, and what it cost; one request.

    Raises:
        ProviderError: the endpoint failed.
        OutOfBudget: the run's budget is used up; nothing was sent.
        ConfigError: there is no key.
    """
    gate = _gates.setdefault(asyncio.get_running_loop(), {}).setdefault(endpoint.url, Gate(endpoint.concurrency))
    meter = current_meter()
    await gate.enter()
    try:
        if meter is not None and (used := meter.used_up()):
            raise OutOfBudget(used)
        begun = time.monotonic()
        vectors, tokens = await request_vectors(endpoint, texts)
        usd = tokens * (endpoint.price or 0.0) / 1e6
        seconds = time.monotonic() - begun
        row = Spent(role=ROLE, prompt=tokens, completion=0, cached=0, usd=usd, seconds=seconds)
        gate.succeeded()
    except ProviderError as error:
        count(error.kind)
        if meter is not None and error.kind != "refused":
            meter.lost(failed_call(error, endpoint, texts))
        if error.kind == "rate" or error.retry_after is not None or error.status == 503:
            gate.refused(error.retry_after)
        raise
    finally:
        gate.leave()
    if meter is not None:
        meter.paid(row)
    return vectors, row


def failed_call(error: ProviderError, endpoint: EmbeddingEndpoint, texts: Sequence[str]) -> Lost:
    """A request that failed, with what it may be billed."""
    if error.kind in NOT_BILLED or error.status in TURNED_AWAY:
        return Lost(ROLE, billed=False)
    tokens = sum(map(tokens_of, texts))
    return Lost(ROLE, billed=True, prompt=tokens, usd=tokens * (endpoint.price or 0.0) / 1e6)


async def request_vectors(endpoint: EmbeddingEndpoint, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
    """Vectors of one request, and its tokens."""
    httpx = need("httpx", "dense")
    client = client_of(endpoint)
    base, _, query = endpoint.url.partition("?")
    body: dict[str, Any] = {"model": endpoint.model, "input": list(texts)}
    if endpoint.dimensions is not None:
        body["dimensions"] = endpoint.dimensions
    address = f"{base.rstrip('/')}/embeddings{'?' + query if query else ''}"
    try:
        async with asyncio.timeout(endpoint.timeout):  # all of it: httpx limits each read alone
            answer = await client.post(address, json=body)
    except (TimeoutError, httpx.TimeoutException):
        raise provider_error(
            "timeout", endpoint, f"no answer within {endpoint.timeout:g} s; raise [index] timeout"
        ) from None
    except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
        raise provider_error("refused", endpoint, f"{error}; is the server running, and is the URL right?") from None
    except httpx.HTTPError as error:
        raise provider_error("cut", endpoint, f"{type(error).__name__}: {error}") from None
    if answer.status_code != 200:
        raise status_error(endpoint, answer)
    try:
        return parse_vectors(answer.json(), len(texts), texts)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        message = f"this is no list of {len(texts)} embeddings ({error})"
        raise provider_error(
            "garbage", endpoint, f"{message}; is the URL that of an endpoint for embeddings?"
        ) from None


def parse_vectors(answer: Any, count: int, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
    """Vectors in the order of the request, and the tokens that were billed; raises ValueError and its like."""
    rows = sorted(answer["data"], key=lambda row: int(row.get("index", 0)))
    if len(rows) != count:
        raise ValueError(f"{len(rows)} came")
    vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
    if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise ValueError("not all of them are finite and of one length")
    usage = answer.get("usage") or {}
    tokens = usage.get("prompt_tokens", usage.get("total_tokens"))
    if not isinstance(tokens, int) or not 0 < tokens < 10_000_000:
        tokens = sum(map(tokens_of, texts))
    return vectors, tokens


def status_error(endpoint: EmbeddingEndpoint, answer: httpx.Response) -> ProviderError:
    """The error for a status other than 200."""
    status, after = answer.status_code, retry_after(answer)
    words = " ".join(answer.text[:20_000].split())
    if status == 429:
        kind, step = "rate", "lower [index] concurrency, or run again later"
        if after is not None and after > QUOTA_SECONDS:
            kind, step = "quota", f"the endpoint asks to come back in {after / 60:.0f} minutes"
    elif status in (401, 403):
        kind, step = "auth", f"is the right key in {endpoint.key_env!r}, and may it use this model?"
    elif status >= 500:
        kind, step = "server", "the endpoint failed; run again"
    else:
        kind, step = "request", "is the model's name right, does the URL end in /v1, and does the model take this much?"
    return provider_error(
        kind, endpoint, f"({status}) {redacted(words, [endpoint.key()])[:MAX_QUOTED]}; {step}", after, status
    )


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the endpoint asks to wait; None where it does not say."""
    message = answer.headers.get("retry-after")
    with suppress(TypeError, ValueError):
        return max(0.0, float(message))
    with suppress(TypeError, ValueError):
        return max(0.0, parsedate_to_datetime(str(message)).timestamp() - time.time())
    return None


def provider_error(
    kind: str, endpoint: EmbeddingEndpoint, message: str, after: float | None = None, status: int | None = None
) -> ProviderError:
    """A ProviderError of a kind; the key stands in no message."""
    text = redacted(message, [endpoint.key()])
    return ProviderError(kind, f"embeddings of {endpoint.shown}: {PROVIDER_KINDS[kind]}: {text}", after, status)


async def embed_all(
    endpoint: EmbeddingEndpoint, texts: Sequence[str], batch: int, done: Callable[[int], object]
) -> tuple[NDArray[np.float32], list[Spent]]:
    """Vectors of many texts, in batches side by side; a batch that fails is sent again.

    Args:
        done: called after each batch how many texts it had.
    """

    async def one(part: Sequence[str]) -> tuple[NDArray[np.float32], Spent]:
        for attempt in range(ATTEMPTS):
            try:
                found = await embed_batch(endpoint, part)
                break
            except ProviderError as error:
                if error.kind not in PASSING or attempt + 1 == ATTEMPTS:
                    raise
                wait = max(
                    min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.5), error.retry_after or 0
                )
                await asyncio.sleep(wait)
        done(len(part))
        return found

    try:
        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(one(texts[at : at + batch])) for at in range(0, len(texts), batch)]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    found = [job.result() for job in jobs]
    widths = {vectors.shape[1] for vectors, _ in found}
    if len(widths) > 1:
        raise provider_error("garbage", endpoint, f"vectors of {', '.join(map(str, sorted(widths)))} numbers came")
    return np.concatenate([vectors for vectors, _ in found]), [row for _, row in found]


def endpoint_problems(endpoint: EmbeddingEndpoint, seconds: float = 2.0) -> list[Missing]:
    """The key that is not set, or the address that accepts no connection; nothing is sent."""
    if not endpoint.key() and not endpoint.local:
        seen = f"environment variable {endpoint.key_env!r} is empty"
        return [Missing("key_missing", seen, f"export {endpoint.key_env}=..., or name another in [index] key_env")]
    parts = urlsplit(endpoint.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=seconds).close()
    except OSError as error:
        seen = f"no connection to {endpoint.shown}: {redacted(str(error))}"
        return [Missing("endpoint_refused", seen, "is the server running, and is [index] url right?")]
    return []
