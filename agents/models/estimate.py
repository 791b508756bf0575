"""What a call may have cost where its endpoint did not say so, or said what cannot be: 4 characters a token.

A call that timed out or broke off was computed, and providers bill it; nothing tells how much of it, so `max_tokens` of
reply are counted. The estimate is an
upper one for English and code, where a token has 4 characters or more; other scripts are counted by their UTF-8 bytes,
since their tokens have fewer characters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from ..context import Seat
from ..errors import ProviderError
from ..spent import Spent
from .meter import Lost

TOKEN_BYTES = 4
NOT_BILLED = frozenset({"rate", "quota", "auth", "request"})
"""Kinds of failure at which an endpoint turned the call away before it computed anything."""
TURNED_AWAY = (503, 529)
"""Statuses that say the same of an overloaded endpoint."""


def tokens_of(text: str) -> int:
    """Tokens of a text, by its bytes."""
    return -(-len(text.encode("utf-8", "replace")) // TOKEN_BYTES)


def written(message: BaseMessage) -> str:
    """All text of a message that is sent: content, reasoning, and calls as JSON."""
    parts = [message.content if isinstance(message.content, str) else json.dumps(message.content, default=str)]
    if isinstance(message, AIMessage):
        parts.append(str(message.additional_kwargs.get("reasoning_content") or ""))
        calls = [*message.tool_calls, *message.invalid_tool_calls]
        parts += [json.dumps([call["name"], call["args"]], ensure_ascii=False, default=str) for call in calls]
    return "".join(parts)


def prompt_tokens(
    messages: Sequence[BaseMessage], tools: Sequence[Mapping[str, Any]] = (), options: Mapping[str, Any] | None = None
) -> int:
    """Prompt tokens of a request, its schemas included."""
    written_messages = [written(message) for message in messages]
    written_messages += [json.dumps(value, ensure_ascii=False, default=str) for value in (tools, options) if value]
    return tokens_of("".join(written_messages))


def estimated_row(
    row: Spent,
    seat: Seat,
    messages: Sequence[BaseMessage],
    tools: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
    reply: AIMessage,
) -> Spent:
    """The account of an answered call whose usage could not be believed: by what was sent and what came."""
    prompt, completion = prompt_tokens(messages, tools, options), tokens_of(written(reply))
    usd = seat.price.usd(prompt, completion) if seat.price else 0.0
    return {**row, "prompt": prompt, "completion": completion, "cached": 0, "usd": usd}


def lost_call(
    error: BaseException,
    seat: Seat,
    role: str,
    messages: Sequence[BaseMessage],
    tools: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> Lost | None:
    """What a call that was given up may be billed; None where it was never sent.

    Args:
        error: what ended it: a ProviderError, or a deadline or cancellation of ours, after which the endpoint goes on.
    """
    if isinstance(error, ProviderError):
        if error.kind == "refused":
            return None
        if error.kind in NOT_BILLED or error.status in TURNED_AWAY:
            return Lost(role, billed=False)
    prompt = prompt_tokens(messages, tools, options)
    usd = seat.price.usd(prompt, seat.max_tokens) if seat.price else 0.0
    return Lost(role, True, prompt, seat.max_tokens, usd)
