"""The doctor's own line to an endpoint: raw HTTP, so that what is on the wire is seen before any client smooths it.

One short deadline for each call, at most one repeat, and a cap on calls: a sick endpoint costs seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from langchain_core.messages import AIMessage, BaseMessage, convert_to_openai_messages

from agents.context import Seat
from agents.errors import need
from agents.models import on_azure
from agents.models.failures import MAX_READ, kind_of_status, outgrown, wait_in
from agents.models.meter import Account
from agents.providers import provider_of, split_spec
from agents.providers.openai import EXTRA

from .findings import line_of, without

Kind = Literal["", "refused", "timeout", "auth", "rate", "server", "context", "request", "garbage", "cut", "spent"]

CONNECT_SECONDS = 4.0
MAX_CALLS = 14
"""Calls to one endpoint; a usual visit takes 8."""
MAX_BYTES = 4_000_000
MAX_WAIT = 5.0
"""Seconds that a Retry-After is waited for at the most."""
LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Reply:
    """What one call brought."""

    kind: Kind
    """"" where a completion came; else how it failed."""
    status: int = 0
    problem: str = ""
    """What the endpoint reports of its failure: one printable line without the key."""
    message: Mapping[str, Any] = field(default_factory=dict)
    """The reply as it stood on the wire."""
    finish: str = ""
    prompt: int | None = None
    """Prompt tokens as reported; None where nothing is."""
    completion: int | None = None
    seconds: float = 0.0

    @property
    def content(self) -> str:
        """The text; parts of a list joined."""
        value = self.message.get("content")
        if isinstance(value, list):
            value = "".join(str(part.get("text") or "") for part in value if isinstance(part, dict))
        return value if isinstance(value, str) else ""

    @property
    def thought(self) -> str:
        """`reasoning_content`, or `reasoning` as some servers call it."""
        value = self.message.get("reasoning_content") or self.message.get("reasoning")
        return value if isinstance(value, str) else ""

    @property
    def calls(self) -> list[Any]:
        """`tool_calls` as they stood on the wire, of whatever shape."""
        value = self.message.get("tool_calls")
        return value if isinstance(value, list) else []


@dataclass(frozen=True)
class Address:
    """Where an endpoint is, and the key for it."""

    url: str
    model: str
    key: str

    @property
    def shown(self) -> str:
        """Host, port and path; never a user, a password or a query."""
        try:
            parts = urlsplit(self.url)
            return f"{parts.hostname or '?'}{':' + str(parts.port) if parts.port else ''}{parts.path}"
        except ValueError:
            return "a URL that cannot be read"

    def at(self, path: str) -> str:
        """The URL of a request; parameters of the endpoint's URL stay behind the path."""
        base, mark, query = self.url.partition("?")
        return f"{base.rstrip('/')}{path}{mark}{query}"

    @property
    def readable(self) -> bool:
        """Whether it is a URL that a request can go to."""
        try:
            parts = urlsplit(self.url)
            return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # no port, or one beyond 65535
            return False

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        try:
            return urlsplit(self.url).hostname in LOCAL
        except ValueError:
            return False


def addresses(seat: Seat) -> list[Address]:
    """The endpoints of a seat that speak the OpenAI protocol, one a URL; the key is empty where there is none."""
    spec = split_spec(seat.model)
    key = os.environ.get(seat.key_env, "")
    found = [Address(url.rstrip("/"), spec.model, key) for url in provider_of(spec).endpoints(spec)]
    return [each if key or not each.local else replace(each, key="none") for each in found]


def wire_form(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """LangChain messages as the protocol's; a thought beside the text goes along as `reasoning_content`."""
    rows: list[dict[str, Any]] = []
    for message in messages:
        row: Any = convert_to_openai_messages(message)
        row.pop("name", None)
        if isinstance(message, AIMessage):
            row["content"] = row.get("content") or ""
            thought = message.additional_kwargs.get("reasoning_content")
            if thought:
                row["reasoning_content"] = thought
        rows.append(row)
    return rows


class Line:
    """The line to one endpoint, with what was spent on it."""

    def __init__(self, address: Address, seat: Seat, seconds: float) -> None:
        httpx = need("httpx", EXTRA)
        self.address = address
        self.seat = seat
        self.seconds = min(seconds, seat.timeout)
        self.account = Account()
        self.times: list[float] = []
        """Seconds of each call that brought a completion."""
        self.repeats: list[str] = []
        """Why calls were repeated."""
        self.overlong: list[tuple[int, int]] = []
        """(tokens asked for at the most, tokens that came) where more came."""
        self._httpx = httpx
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(self.seconds, connect=min(CONNECT_SECONDS, self.seconds)), follow_redirects=True
        )
        self._gate = asyncio.Semaphore(2)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def models(self) -> tuple[list[dict[str, Any]] | None, Reply]:
        """The rows of GET /models, or None with the reason."""
        reply, body = await self._exchange("GET", "/models", None)
        rows = body.get("data") if isinstance(body, dict) else None
        if reply.kind or not isinstance(rows, list):
            return None, reply
        return [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)], reply

    async def say(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        most: int = 16,
        model: str | None = None,
        temperature: float | None = None,
        **options: Any,
    ) -> Reply:
        """One chat completion of at most `most` tokens; a failure is a Reply with its kind, never an exception."""
        body: dict[str, Any] = {
            "model": model or self.address.model,
            "messages": wire_form(messages),
            "temperature": self.seat.temperature if temperature is None else temperature,
            "max_completion_tokens": most,
            **{name: value for name, value in options.items() if value is not None},
        }
        if tools:
            body["tools"] = list(tools)
        async with self._gate:
            reply = await self._completion(body)
            if reply.kind in ("rate", "server", "cut"):
                self.repeats.append(f"{reply.kind} {reply.status}" if reply.status else reply.kind)
                await asyncio.sleep(min(MAX_WAIT, reply.seconds))
                reply = await self._completion(body)
        if reply.completion is not None and reply.completion > most + max(
            4, most // 4
        ):  # servers count ends differently
            self.overlong.append((most, reply.completion))
        return reply

    async def _completion(self, body: dict[str, Any]) -> Reply:
        if self.account.calls >= MAX_CALLS:
            return Reply("spent", problem=f"the doctor's {MAX_CALLS} calls are spent")
        self.account += Account(calls=1)
        begun = time.monotonic()
        reply, raw = await self._exchange("POST", "/chat/completions", body)
        if reply.kind:
            return reply
        choices = raw.get("choices") if isinstance(raw, dict) else None
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, dict) else None
        if not isinstance(message, dict):
            seen = without(json.dumps(raw)[:MAX_READ], self.address.key)
            text = line_of(f"no chat completion: {seen[:200]}")
            return Reply("garbage", reply.status, text)
        usage = raw.get("usage")
        prompt, completion = (_count(usage, name) for name in ("prompt_tokens", "completion_tokens"))
        price = self.seat.price
        usd = price.usd(prompt or 0, completion or 0) if price else 0.0
        self.account += Account(prompt=prompt or 0, completion=completion or 0, usd=usd)
        seconds = time.monotonic() - begun
        self.times.append(seconds)
        finish = first.get("finish_reason") if isinstance(first, dict) else ""
        return Reply("", reply.status, "", message, str(finish or ""), prompt, completion, seconds)

    async def _exchange(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[Reply, Any]:
        """One request; the reply's `seconds` is what a failing endpoint asks to wait."""
        headers = {"authorization": f"Bearer {self.address.key}"}
        if on_azure(self.address.url):
            headers["api-key"] = self.address.key
        try:
            async with (
                asyncio.timeout(self.seconds),  # the client's own counts from byte to byte
                self._client.stream(method, self.address.at(path), headers=headers, json=body) as answer,
            ):
                parts, size = [], 0
                async for part in answer.aiter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > MAX_BYTES:
                        return self._failed("garbage", answer.status_code, f"more than {MAX_BYTES:,} bytes"), None
                status, wait = answer.status_code, wait_in(answer.headers)
        except (TimeoutError, self._httpx.ReadTimeout, self._httpx.WriteTimeout, self._httpx.PoolTimeout):
            return self._failed("timeout", 0, f"no answer in {self.seconds:g} s"), None
        except (self._httpx.ConnectError, self._httpx.ConnectTimeout) as error:
            return self._failed("refused", 0, f"{type(error).__name__}: {error}"), None
        except (self._httpx.HTTPError, self._httpx.InvalidURL, OSError, ValueError) as error:
            return self._failed("cut", 0, f"{type(error).__name__}: {error}"), None
        text = b"".join(parts).decode("utf-8", "replace")
        if status >= 400:
            return self._failed(_kind(status, text), status, text, 1.0 if wait is None else wait), None
        try:
            return Reply("", status), json.loads(text)
        except (ValueError, RecursionError):
            return self._failed("garbage", status, f"not JSON: {text[:MAX_READ]}"), None

    def _failed(self, kind: Kind, status: int, text: str, seconds: float = 1.0) -> Reply:
        text = line_of(without(message_of(text)[:MAX_READ], self.address.key), 240)
        return Reply(kind, status, text, seconds=seconds)


def message_of(text: str) -> str:
    """The words of an error body, where it is one of the protocol's; else the text itself."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for name in ("error", "message", "detail"):
        if isinstance(value, dict) and value.get(name):
            value = value[name]
    return value if isinstance(value, str) else text


def _kind(status: int, text: str) -> Kind:
    kind: Any = kind_of_status(status)
    return "context" if kind in ("request", "server") and outgrown(text[:MAX_READ]) else kind


def _count(usage: Any, name: str) -> int | None:
    """A token count of a usage record; None where it is no count."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
