"""OpenAI's fine-tuning form: arguments as JSON strings, `weight` 0 or 1 on the assistant's messages, no more columns.

The form has no place for hidden reasoning: it stands in a <think> block before the content (thoughts.py). A tool's
message names its tool only where that does not follow from the call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import Conversation, called, exporters
from .thoughts import joined, parted


@exporters.register("openai")
class OpenAI:
    """Rows that an upload for supervised fine-tuning takes; line N is the N-th episode of the dataset."""

    title = "`messages` and `tools` as OpenAI's fine-tuning takes them; `weight` 0 where a turn is not trained"

    def write(self, conversation: Conversation) -> dict[str, Any]:
        """One row."""
        messages = [message_of(message, call) for message, call in called(conversation.messages)]
        return {"messages": messages, **({"tools": conversation.tools} if conversation.tools else {})}

    def read(self, row: Mapping[str, Any]) -> Conversation:
        """Inverse of `write`."""
        messages: list[dict[str, Any]] = []
        for message, call in called(row["messages"]):
            known: dict[str, Any] = {"role": message["role"]}
            thought, text = parted(message.get("content") or "") if known["role"] == "assistant" else ("", None)
            known["content"] = message.get("content") or "" if text is None else text
            if thought:
                known["reasoning_content"] = thought
            if message.get("tool_calls"):
                known["tool_calls"] = [with_arguments(each, json.loads) for each in message["tool_calls"]]
            if message["role"] == "tool":
                known["tool_call_id"] = message["tool_call_id"]
                name = message.get("name") or (call["function"]["name"] if call else None)
                known |= {"name": name} if name is not None else {}
            if message.get("weight") == 0:
                known["train"] = False
            messages.append(known)
        return Conversation(messages, list(row.get("tools") or ()))


def message_of(message: Mapping[str, Any], call: Mapping[str, Any] | None) -> dict[str, Any]:
    """One message of a row; `call` is the one that a tool's message is expected to answer."""
    role = message["role"]
    found: dict[str, Any] = {"role": role, "content": message.get("content") or ""}
    if role == "assistant":
        found["content"] = joined(message.get("reasoning_content") or "", found["content"])
        if message.get("tool_calls"):
            found["tool_calls"] = [with_arguments(each, as_text) for each in message["tool_calls"]]
        found["weight"] = int(message.get("train", True))
    elif role == "tool":
        found["tool_call_id"] = message["tool_call_id"]
        expected = call["function"]["name"] if call else None
        if message.get("name") != expected:
            found["name"] = message.get("name")
    return found


def as_text(arguments: Any) -> str:
    """Arguments as the JSON text that the form wants."""
    return json.dumps(arguments, ensure_ascii=False)


def with_arguments(call: Mapping[str, Any], change: Any) -> dict[str, Any]:
    """The call with its arguments changed."""
    function = call["function"]
    changed = {"name": function["name"], "arguments": change(function["arguments"])}
    return {"id": call["id"], "type": "function", "function": changed}
