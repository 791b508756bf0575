"""Puts a reply together again in canonical form: thought in the content, calls with ids of their own, nothing twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall
from langchain_core.messages.tool import invalid_tool_call, tool_call

from ..text import writable
from .calls import Draft

MOST_CALLS = 32
"""Calls, readable or not, that one reply may make."""
MOST_MARKS = 1000
"""Signs of a text transport in one reply that are looked at; what stands behind them is plain text."""
AS_SENT = ("tool_calls", "function_call")
"""Calls as the endpoint sent them, which some clients keep: LangChain would bring back from there what was mended."""


def was_cut(reply: AIMessage) -> bool:
    """Whether the reply ended at its token limit."""
    return reply.response_metadata.get("finish_reason") in ("length", "max_tokens")


def put_together(
    reply: AIMessage,
    content: Any,
    calls: Sequence[Draft],
    mended: Sequence[str],
    *,
    thought: str | None = None,
    with_ids: bool = False,
) -> tuple[AIMessage, list[str]]:
    """The reply with another content and other calls; its id, usage and metadata stay.

    Args:
        thought: hidden thought found in the content; it goes behind one that the endpoint sent apart.
        with_ids: the wire has ids of calls, so that a missing or repeated one is a mend.

    Returns:
        The message, and the names of all that was mended.
    """
    names = list(mended)
    good: list[ToolCall] = []
    bad: list[InvalidToolCall] = []
    seen: set[str] = set()
    ids: set[str] = set()
    for number, draft in enumerate(calls):
        same = draft.raw if draft.args is None else json.dumps(draft.args, sort_keys=True, default=str)
        mark = f"{draft.name}\n{draft.args is None}\n{same}"
        if mark in seen:
            names.append("duplicate_call")
            continue
        if len(seen) == MOST_CALLS:
            names.append("too_many")
            break
        seen.add(mark)
        name = draft.id
        if not name or name in ids:
            name = fresh_id(reply, content, number)
            names += ["call_id"] if with_ids else []
        ids.add(name)
        if draft.args is None:
            bad.append(invalid_tool_call(name=draft.name, args=draft.raw, id=name, error=draft.error))
        else:
            good.append(tool_call(name=draft.name or "", args=draft.args, id=name))
    kept = {key: value for key, value in reply.additional_kwargs.items() if key not in AS_SENT}
    if thought:
        kept["reasoning_content"] = "\n".join(filter(None, (kept.get("reasoning_content"), writable(thought))))
    update = {"content": content, "tool_calls": good, "invalid_tool_calls": bad, "additional_kwargs": kept}
    return reply.model_copy(update=update), names


def fresh_id(reply: AIMessage, content: Any, number: int) -> str:
    """An id for a call: the same for the same reply, another in every other reply.

    Nine letters and digits: there are endpoints that take no other ids.
    """
    seed = f"{reply.id or content}\n{number}"
    return hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:9]
