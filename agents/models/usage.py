"""Reads an endpoint's JSON: what is a chat completion comes out in one known shape, what is none is an error.

Servers that speak the protocol send texts as lists of parts, numbers as strings, nulls and negative counts. A count
that cannot be is not believed: it would end the run in a traceback, or be taken off the budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..redaction import without_in
from ..text import writable, writable_value

MAX_TOKENS = 10_000_000
"""Tokens of one call above which a count is not believed: no model reads or writes as many."""


def read_completion(raw: object) -> dict[str, Any]:
    """A chat completion with its first choice, and only fields of the types that the protocol gives them.

    Args:
        raw: the endpoint's JSON.

    Returns:
        `choices` with one choice, `usage` (None where it cannot be believed), and `model` and `id` where there are any.
        `tool_calls` are left as they came: what is wrong with them is the transport's affair.

    Raises:
        ValueError: this is no chat completion; says what is wrong with it.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"the answer is {kind_of(raw)}, not an object: {raw!s:.20000}")
    if raw.get("error"):
        raise ValueError(f"the answer is an error: {raw['error']}")
    choices = raw.get("choices")
    if not isinstance(choices, list) or not choices:
        raise ValueError(f"`choices` is {kind_of(choices)}; the answer's keys are {sorted(map(str, raw))[:20]}")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        raise ValueError(f"`choices[0].message` is {kind_of(message)}")
    reply: dict[str, Any] = {"role": "assistant", "content": text_of(message.get("content"))}
    if message.get("tool_calls"):
        reply["tool_calls"] = writable_value(message["tool_calls"])
    for name in ("reasoning_content", "reasoning", "refusal"):
        if isinstance(message.get(name), str):
            reply[name] = writable(message[name])
    reply = without_in(reply)  # an endpoint that repeats its caller's key in a reply: it would be recorded and trained
    finish = choice.get("finish_reason")
    read = {
        "choices": [{"message": reply, "finish_reason": finish if isinstance(finish, str) else None}],
        "usage": believable(raw.get("usage")),
    }
    return read | {name: raw[name] for name in ("model", "id") if isinstance(raw.get(name), str)}


def text_of(content: object) -> str:
    """A message's text; of a list of parts the text ones, together. ValueError where it is neither."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValueError(f"`content` is {kind_of(content)}")
    parts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
    return "".join(part for part in parts if isinstance(part, str))


def believable(usage: object) -> dict[str, Any] | None:
    """Token counts as whole numbers that can be; None where one is missing or cannot be."""
    if not isinstance(usage, Mapping):
        return None
    prompt, completion = whole(usage.get("prompt_tokens")), whole(usage.get("completion_tokens"))
    cached = detail(usage, "prompt_tokens_details", "cached_tokens")
    thought = detail(usage, "completion_tokens_details", "reasoning_tokens")
    if not prompt or completion is None or cached is None or cached > prompt:
        return None  # a prompt of no tokens is no count either
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thought or 0},
    }


def detail(usage: Mapping[str, Any], part: str, name: str) -> int | None:
    """A count of a part of `usage`; 0 where there is none, None where it cannot be."""
    details = usage.get(part)
    value = details.get(name) if isinstance(details, Mapping) else None
    return 0 if value is None else whole(value)


def whole(value: object) -> int | None:
    """A count of tokens; None where the value is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not 0 <= value <= MAX_TOKENS or value != int(value):  # NaN fails the first test, infinity too
        return None
    return int(value)


def kind_of(value: object) -> str:
    """A value's kind in an error."""
    if value is None:
        return "null or missing"
    return "empty" if value in ([], {}, "") else f"a {type(value).__name__}"
