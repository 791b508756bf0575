"""The native transport: calls come in `tool_calls`. A reply in order passes as it is; what is not is put in order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage

from ..text import writable, writable_value
from . import hermes
from .assemble import put_together, was_cut
from .calls import ARGUMENTS, Draft, Drafts, called_with, from_value, object_calls, offered_name
from .lenient import DEEPEST, shallow
from .narrated import narrated, suspicious
from .offer import Offer
from .thoughts import OPEN, without_thought


def incoming(reply: AIMessage, tools: Sequence[dict[str, Any]]) -> tuple[AIMessage, list[str]]:
    """The reply in canonical form and what was mended; a reply in order is the very same object."""
    content = reply.content
    if in_order(reply, tools):
        return reply, []
    offer = Offer(tools)
    mended: list[str] = []
    thought = None
    if isinstance(content, str):
        sound = writable(content)
        mended += ["surrogate"] if sound != content else []
        content = sound
        if content.lstrip().startswith(OPEN):
            content, thought = without_thought(content)
            mended.append("think")
    calls, names = drafts(reply, offer)
    mended += names
    if calls and isinstance(content, str) and content != content.rstrip():
        content = content.rstrip()  # vLLM's parsers leave the line break before the call's tag in the text
        mended.append("space_before_call")
    if not calls and isinstance(content, str) and (told := narrated(content, offer, cut=was_cut(reply))) is not None:
        content, calls, names = told
        return put_together(reply, content, calls, [*mended, "narrated", *names], thought=thought)
    message, mended = put_together(reply, content, calls, mended, thought=thought, with_ids=True)
    return (message, mended) if mended or message.invalid_tool_calls or reply.invalid_tool_calls else (reply, [])


def in_order(reply: AIMessage, tools: Sequence[dict[str, Any]]) -> bool:
    """Whether nothing about a reply needs mending. Every reply passes here: it takes microseconds."""
    content, calls = reply.content, reply.tool_calls
    if reply.invalid_tool_calls:
        return False
    if isinstance(content, str) and content:
        if (not content.isascii() and not _encodes(content)) or OPEN in content[:64]:
            return False
        if not calls and suspicious(content):
            return False
        if calls and content[-1].isspace():
            return False
    for call in calls:
        args = call["args"]
        if not call["id"] or not isinstance(args, dict) or not _sound(args):
            return False
        if len(args) == 1 and next(iter(args)) in ARGUMENTS:
            return False
        if not any(tool.get("function", tool)["name"] == call["name"] for tool in tools):
            return False
    if len(calls) > 1:
        marks = {json.dumps([call["name"], call["args"]], sort_keys=True, default=str) for call in calls}
        return len(marks) == len(calls) == len({call["id"] for call in calls})
    return True


def _sound(value: Any, levels: int = DEEPEST) -> bool:
    """Whether a value can be sent and recorded: whole characters, not too deep."""
    if isinstance(value, str):
        return value.isascii() or _encodes(value)
    if isinstance(value, dict):
        return levels > 0 and all(_sound(key, 1) and _sound(each, levels - 1) for key, each in value.items())
    return not isinstance(value, list) or (levels > 0 and all(_sound(each, levels - 1) for each in value))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def drafts(reply: AIMessage, offer: Offer) -> tuple[list[Draft], list[str]]:
    """The calls of a reply, those included that the client could not read."""
    found: list[Draft] = []
    mended: list[str] = []
    for call in reply.tool_calls:
        args: Any = call["args"]
        name = offered_name(call["name"], offer, mended)
        if not shallow(args):
            found.append(Draft(name, None, "", "the arguments are nested too deeply", call["id"]))
            continue
        sound = writable_value(args)
        mended += ["surrogate"] if sound != args else []
        names: list[str] = []
        if isinstance(sound, str) and (inside := _encoded(sound)) is not None:
            sound = inside
            names.append("double_encoded")
        try:
            found.append(Draft(name, from_value(sound, name, offer, names), id=call["id"]))
            mended += names
        except ValueError as error:
            raw = sound if isinstance(sound, str) else json.dumps(sound, default=str)
            found.append(
                Draft(name, None, raw, f"the arguments of {name[:64]} are no JSON object: {error}", call["id"])
            )
    for bad in reply.invalid_tool_calls:
        name, raw = bad.get("name") or "", writable(str(bad.get("args") or ""))
        if not name:
            spoken = unnamed(raw, bad.get("id") or "", offer, cut=was_cut(reply))
            unread = Draft(None, None, raw, bad.get("error") or "the call names no tool", bad.get("id"))
            found += spoken.calls if spoken is not None else [unread]
            mended += spoken.mended if spoken is not None else []
            continue
        read = called_with(name, raw, offer, cut=was_cut(reply))
        found += [call._replace(id=bad.get("id")) for call in read.calls[:1]] + read.calls[1:]
        readable = all(call.args is not None for call in read.calls)
        mended += read.mended or (["call_form"] if readable else [])
    return found, mended


def unnamed(raw: str, own: str, offer: Offer, *, cut: bool) -> Drafts | None:
    """The calls in what a reader in this process could not read, as it was written; None where not all can be read.

    Args:
        own: the id of the entry, which its calls share, with a number behind it from the second one on.
    """
    if any(tag in raw for tag in ("<tool_call>", "<function=")):
        parsed = hermes.parse(raw, offer, cut=cut)
        read = Drafts(parsed.calls, parsed.mended)
    else:
        read = object_calls(raw, offer, cut=cut)
    whole = bool(read.calls) and all(call.args is not None and call.name in offer.parameters for call in read.calls)
    calls = [call._replace(id=f"{own}-{at}" if at else own) for at, call in enumerate(read.calls)]
    return Drafts(calls, read.mended) if whole else None


def _encoded(text: str) -> Any:
    """What stands in arguments that are a string: JSON once more; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
