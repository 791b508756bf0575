"""Failures of endpoints by class, whatever client met them: causes, waits, what a refusal says, what to do."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

from ..errors import ProviderError
from ..redaction import redacted

QUOTA_SECONDS = 120.0
"""A 429 that asks to wait longer than this is no overload: the run stops and says when to come back."""
MAX_QUOTED = 300
"""Characters of an endpoint's own words that an error repeats."""
MAX_READ = 20_000
"""Characters of them that are looked through for keys: a page of HTML may be megabytes long."""
OUTGROWN = re.compile(
    r"context[ _](?:length|size|window)|maximum context|max_model_len|maximum model length"
    r"|\b(?:prompts?|inputs?|messages?|conversation|sequence|text|tokens?|context)\b.{0,60}\btoo (?:long|large)\b"
    r"|\btoo long\b.{0,60}\b(?:prompt|model|context|tokens?)\b",
    re.IGNORECASE | re.DOTALL,
)
"""How servers say that a prompt outgrew the model; 'tool name too long' is another complaint."""
STEPS = {
    "auth": "is the key right, and may it use this model?",
    "rate": "lower the concurrency, or run again later",
    "request": "it refuses the request itself: model name, tools, or parameters",
    "server": "the endpoint failed; run again to continue",
    "timeout": "raise the seat's `timeout`, or lower the concurrency",
    "refused": "is the server running, and is the URL right?",
    "cut": "the answer broke off; run again to continue",
    "garbage": "this is no chat completion: is the URL that of an OpenAI-compatible endpoint?",
}
"""Kind of failure -> what to do."""
REFUSED = {
    401: "is the key in the environment variable that `key_env` names?",
    402: "top up the account, or name another endpoint",
    403: "may this key use this model? the environment variable that `key_env` names holds it",
    404: "is the model's name right, and does the URL end in /v1?",
}
"""Status of a refusal -> what to do."""
_TRANSPORT = (
    ("clientconnectorerror", "refused"),
    ("connecterror", "refused"),
    ("connectionrefused", "refused"),
    ("disconnected", "cut"),
    ("clientoserror", "cut"),
    ("payload", "cut"),
    ("remoteprotocol", "cut"),
    ("readerror", "cut"),
    ("connectionreset", "cut"),
    ("timeout", "timeout"),
    ("connect", "refused"),
)
"""Part of a class's name -> kind, the surest first.

The openai client's vendored aiohttp transport turns a refused and a broken connection alike into a time-out (openai
3.52), so that a time-out is believed last.
"""


def failure(
    kind: str, where: str, words: str, *, status: int | None = None, wait: float | None = None, step: str | None = None
) -> ProviderError:
    """The error of a failed call.

    Args:
        kind: one of `PROVIDER_KINDS`.
        where: the endpoint, as a person knows it.
        words: what it said, without keys (`quoted`).
        status: the HTTP status; None where there was no answer.
        wait: seconds that it asks to be left alone.
        step: what to do; None = what the kind or the status tells.
    """
    if kind == "rate" and wait is not None and wait > QUOTA_SECONDS:
        kind, step = "quota", f"the endpoint asks to come back in {wait / 60:.0f} minutes"
    step = step or REFUSED.get(status or 0) or STEPS[kind]
    return ProviderError(kind, f"{where}{f' ({status})' if status else ''}: {words}; {step}", wait, status)


def failure_of(error: Exception, where: str, secrets: Iterable[str] = ()) -> ProviderError:
    """The error of a failed call, by what any client raised: its HTTP status, or the names of its causes.

    Args:
        where: the endpoint, as a person knows it.
        secrets: keys that may stand in what it said, beside those known.
    """
    status = status_of(error)
    kind = kind_of_status(status) if status is not None else kind_of_connection(error) or "garbage"
    words = f"{type(error).__name__} {quoted(str(error), secrets)}"
    step = "the client could not read the reply" if kind == "garbage" else None
    return failure(kind, where, words, status=status, wait=wait_of(error), step=step)


def quoted(words: str, secrets: Iterable[str] = (), most: int = MAX_QUOTED) -> str:
    """What an endpoint said, on one line, without keys, and only then cut."""
    return redacted(" ".join(words[:MAX_READ].split()), secrets)[:most]


def outgrown(words: str) -> bool:
    """Whether a refusal says that the prompt is longer than the model's context."""
    return OUTGROWN.search(words) is not None


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what caused it, the outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def deepest(error: BaseException) -> str:
    """What the first of an error's causes says: `Connect call failed`, `Name or service not known`."""
    *_, first = causes(error)
    return str(first) or type(first).__name__


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error of a provider's client, or what caused it, tells; None where none does."""
    for each in causes(error):
        response: Any = getattr(each, "response", None)
        found: list[Any] = [getattr(each, name, None) for name in ("status_code", "code")]
        found.append(getattr(response, "status_code", None))
        if isinstance(response, Mapping):  # botocore
            found.append(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
        for value in found:
            with suppress(TypeError, ValueError):
                if 400 <= int(value) < 600:
                    return int(value)
    return None


def kind_of_status(status: int) -> str:
    """The class of a refusal by its HTTP status, 400 and above."""
    if status in (401, 403):
        return "auth"
    if status in (429, 529):
        return "rate"
    return "timeout" if status == 408 else "server" if status >= 500 else "request"


def kind_of_connection(error: BaseException) -> str | None:
    """Whether a connection was refused, broke off or timed out, by the names of its causes; None = none of it."""
    names = [each.__name__.lower() for cause in causes(error) for each in type(cause).__mro__]
    return next((kind for part, kind in _TRANSPORT if any(part in name for name in names)), None)


def wait_of(error: BaseException) -> float | None:
    """Seconds that the endpoint asks to be left alone, where an error or what caused it carries the header."""
    for each in causes(error):
        headers = getattr(getattr(each, "response", None), "headers", None)
        found = wait_in(headers) if hasattr(headers, "get") else None
        if found is not None:
            return found
    return None


def wait_in(headers: Any) -> float | None:
    """Seconds of `retry-after-ms`, or of `Retry-After` as seconds or as a date; None where neither can be read."""
    with suppress(TypeError, ValueError):
        return max(0.0, float(headers.get("retry-after-ms")) / 1000)
    text = headers.get("retry-after")
    with suppress(TypeError, ValueError):
        return max(0.0, float(text))
    with suppress(TypeError, ValueError):
        return max(0.0, parsedate_to_datetime(str(text)).timestamp() - time.time())
    return None
