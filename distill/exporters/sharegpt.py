"""The ShareGPT form: `conversations` of `from` and `value`, tools and calls as text with the tags of Hermes.

The reader is the exact inverse of this writer, and reads no other text: replies of models are read by agents/toolcalls.
A thought stands in a <think> block; a turn that is not trained has `weight` 0; a result that is not that of the next
call says so in `tool_call_id` and `name`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from agents.toolcalls import hermes

from . import Conversation, called, exporters
from .thoughts import joined, parted

SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "tool"}
ROLES = {speaker: role for role, speaker in SPEAKERS.items()}
CALL = re.compile(r"(?:^|\n)<tool_call>\n(\{.*\})\n</tool_call>")
"""One call of a turn; a tag in the words before it has a backslash (`hermes.ESCAPES`)."""
HEAD, TAIL = hermes.FORMAT.format(tools="\0").split("\0")
RESULT, END = "<tool_response>\n", "\n</tool_response>"


@exporters.register("sharegpt")
class ShareGpt:
    """Rows for trainers that know text alone."""

    title = "`conversations` of `from` and `value`; tools and calls as text in the Hermes form"

    def write(self, conversation: Conversation) -> dict[str, Any]:
        """One row; tools stand in the system message, which is put first where there is none."""
        turns = []
        tools = conversation.tools
        if tools and not any(message["role"] == "system" for message in conversation.messages):
            turns.append({"from": "system", "value": hermes.described(tools)})
        for message, call in called(numbered(conversation.messages)):
            value = message.get("content") or ""
            turn: dict[str, Any] = {"from": SPEAKERS[message["role"]]}
            if message["role"] == "assistant":
                value = joined(message.get("reasoning_content") or "", spoken(value, message.get("tool_calls") or ()))
                turn |= {} if message.get("train", True) else {"weight": 0}
            elif message["role"] == "tool":
                value = hermes.observations([value])
                turn |= apart(message, call)
            elif message["role"] == "system" and tools:
                value, tools = f"{value}\n\n{hermes.described(tools)}", []
            turns.append({**turn, "value": value})
        return {"conversations": turns, **conversation.about}

    def read(self, row: Mapping[str, Any]) -> Conversation:
        """Inverse of `write`; calls get ids in their order."""
        messages: list[dict[str, Any]] = []
        tools: list[dict[str, Any]] = []
        calls = 0
        for turn in row["conversations"]:
            message: dict[str, Any] = {"role": ROLES[turn["from"]], "content": turn["value"]}
            if message["role"] == "assistant":
                thought, text = parted(turn["value"])
                message["content"], made = heard(text, calls)
                calls += len(made)
                message |= {"reasoning_content": thought} if thought else {}
                message |= {"tool_calls": made} if made else {}
                message |= {"train": False} if turn.get("weight") == 0 else {}
            elif message["role"] == "tool":
                inside = turn["value"].removeprefix(RESULT).removesuffix(END)
                message["content"] = hermes.ESCAPES.off(inside)
                message |= {name: turn[name] for name in ("tool_call_id", "name") if name in turn}
            elif message["role"] == "system" and not tools and turn["value"].endswith(TAIL) and HEAD in turn["value"]:
                at = turn["value"].rindex(HEAD)
                lines = turn["value"][at + len(HEAD) : -len(TAIL)]
                tools = [json.loads(line) for line in lines.split("\n")]
                if at == 0:
                    continue
                message["content"] = turn["value"][:at].removesuffix("\n\n")
            messages.append(message)
        for at, (_, call) in enumerate(called(messages)):
            if call is not None and "tool_call_id" not in messages[at]:
                messages[at] |= {"tool_call_id": call["id"], "name": call["function"]["name"]}
        rest = {name: value for name, value in row.items() if name != "conversations"}
        return Conversation(messages, tools, rest)


def numbered(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with calls named call_1, call_2, ... in their order, as the reader names them."""
    ids: dict[str, str] = {}
    found = []
    for message in messages:
        message = dict(message)
        if message.get("tool_calls"):
            named = [
                {**call, "id": ids.setdefault(call["id"], f"call_{len(ids) + 1}")} for call in message["tool_calls"]
            ]
            message["tool_calls"] = named
        if message["role"] == "tool":
            message["tool_call_id"] = ids.get(message["tool_call_id"], message["tool_call_id"])
        found.append(message)
    return found


def spoken(content: str, calls: Any) -> str:
    """A turn of the assistant as text."""
    functions = [call["function"] for call in calls]
    return hermes.turn(
        content, [(each["name"], json.dumps(each["arguments"], ensure_ascii=False)) for each in functions]
    )


def heard(text: str, before: int) -> tuple[str, list[dict[str, Any]]]:
    """(content, calls) of a turn's text; `before` = how many calls the conversation had."""
    found = list(CALL.finditer(text))
    content = text[: found[0].start()] if found else text
    calls = []
    for number, match in enumerate(found, before + 1):
        calls.append({"id": f"call_{number}", "type": "function", "function": json.loads(match.group(1))})
    return hermes.ESCAPES.off(content), calls


def apart(message: Mapping[str, Any], call: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a result has to say of its call where it is not the next one's."""
    answer = {"tool_call_id": message["tool_call_id"], "name": message.get("name")}
    if call is not None and answer == {"tool_call_id": call["id"], "name": call["function"]["name"]}:
        return {}
    return {name: value for name, value in answer.items() if value is not None}
