"""What a model call said, as plain values for the record: its role, sampling, request and reply.

The request is recorded in canonical form (before a transport puts tools and calls into words), and nothing of it holds
a key that this process knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from ..context import Seat
from ..providers import split_spec
from ..redaction import redacted, without_in

ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}


def call_record(
    seat: Seat,
    role: str,
    messages: Sequence[BaseMessage],
    reply: AIMessage | None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A call as plain values: the fields of `graphs.trajectory.Call`, but for what it cost.

    Args:
        role: of `graphs.trajectory.CallRole`.
        messages: the request; empty where it is the episode's own history.
        reply: None where the reply is a message of the episode.
        options: what went with the request beside its messages.
    """
    sampling: dict[str, Any] = {"temperature": seat.temperature, "max_tokens": seat.max_tokens}
    for name, value in (options or {}).items():
        form = (value.get("response_format") or {}) if name == "extra_body" else {}
        if form:
            sampling["response_format"] = form.get("json_schema", {}).get("name") or form.get("type")
        elif name != "extra_body":
            sampling[name] = value
    found = {
        "role": role,
        "model": model_name(seat),
        "sampling": sampling,
        "messages": [message_row(message) for message in messages],
        "reply": None if reply is None else message_row(reply),
    }
    return dict(without_in(found))


@cache
def model_name(seat: Seat) -> str:
    """The seat's line without its URL; of a model folder the last part: records are the same wherever a run lies."""
    return redacted(split_spec(seat.model).short)


def message_row(message: BaseMessage) -> dict[str, Any]:
    """A message in OpenAI's chat form; a call that cannot be read stands in the content, as it was written."""
    row: dict[str, Any] = {"role": ROLES.get(message.type, message.type), "content": str(message.text)}
    if isinstance(message, ToolMessage):
        row |= {"tool_call_id": message.tool_call_id, "name": message.name}
    if isinstance(message, AIMessage):
        thought = message.additional_kwargs.get("reasoning_content")
        if thought:
            row["reasoning_content"] = thought
        if message.tool_calls:
            row["tool_calls"] = [
                {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["args"]}}
                for call in message.tool_calls
            ]
        written = [f"{each['name'] or ''} {each['args'] or ''}".strip() for each in message.invalid_tool_calls]
        row["content"] = "\n".join(filter(None, [row["content"], *written]))
    return writable_row(row)


def writable_row(row: dict[str, Any]) -> dict[str, Any]:
    """The row without halves of surrogate pairs, which no record can hold."""
    text = json.dumps(row, ensure_ascii=False, default=str)
    if text.isascii():
        return row
    found: dict[str, Any] = json.loads(text.encode("utf-8", "replace").decode("utf-8"))
    return found
