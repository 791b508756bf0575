"""The native transport: calls come in `tool_calls`. A reply in order passes as it is; what is not is put in order.

Two things are put in order that are no `tool_calls` yet: calls at which langchain-openai raises, and calls that a model
told in words where they should have been made: as a tag, an object, or Action lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from langchain_core.messages import AIMessage, InvalidToolCall
from langchain_core.messages.tool import invalid_tool_call

from ..text import writable, writable_value
from . import hermes, text
from .calls import (
    ARGUMENTS,
    Draft,
    Drafts,
    Offer,
    Parsed,
    called_with,
    from_object,
    from_value,
    object_calls,
    offered_name,
)
from .lenient import DEEPEST, read_all, shallow
from .reply import OPEN, READ_WITH, put_together, read_with, was_cut, without_thought

MAX_FENCES = 8
"""Markdown fences of a reply that are looked into."""

_FENCE = re.compile(r"```[A-Za-z_]{0,20}[ \t]{0,8}\n?[ \t]{0,8}(?=[{\[])")
_TAGS = ("<tool_call>", "<function=")


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
    if not calls and isinstance(content, str) and (stated := narrated(content, offer, cut=was_cut(reply))) is not None:
        content, calls, names = stated
        return put_together(reply, content, calls, [*mended, "narrated", *names], thought=thought)
    message, mended = put_together(reply, content, calls, mended, thought=thought, with_ids=True)
    return (message, mended) if mended or message.invalid_tool_calls or reply.invalid_tool_calls else (reply, [])


def in_order(reply: AIMessage, tools: Sequence[dict[str, Any]]) -> bool:
    """Whether nothing about a reply needs mending. Every reply passes here: it takes microseconds."""
    content, calls = reply.content, reply.tool_calls
    if reply.invalid_tool_calls or READ_WITH in reply.response_metadata:
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
    mended = read_with(reply)
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


def suspicious(content: str) -> bool:
    """Whether a call may be told in a reply; takes a microsecond."""
    if any(tag in content for tag in _TAGS) or "Action Input" in content or "```" in content:
        return True
    return content.lstrip()[:1] in ("{", "[")


def narrated(content: str, offer: Offer, *, but: str = "", cut: bool = False) -> Parsed | None:
    """The reply taken apart where it tells calls of offered tools that can be read to the end; None where it does not.

    Args:
        but: the transport ("text" or "hermes") whose own form was looked for already.
        cut: the reply ended at its token limit.
    """
    found: Parsed | None = None
    if but != "hermes" and any(tag in content for tag in _TAGS):
        found = hermes.parse(content, offer, cut=cut)
    elif but != "text" and "Action Input" in content:
        found = text.parse(content, offer, cut=cut)
    if found is None or not _all_offered(found.calls, offer):
        found = _objects(content, offer, cut)
    return found


def _all_offered(calls: list[Draft], offer: Offer) -> bool:
    return bool(calls) and all(call.args is not None and call.name in offer.parameters for call in calls)


def _objects(content: str, offer: Offer, cut: bool) -> Parsed | None:
    """Objects with name and arguments that are the whole content, or the fenced end of it."""
    whole = content.strip()
    starts = [0] if whole[:1] in ("{", "[") else []
    starts += [fence.start() for fence in islice(_FENCE.finditer(whole), MAX_FENCES)]
    for start in starts:
        mended: list[str] = []
        try:
            found = read_all(whole[start:])
            calls = [from_object(value, offer, mended, strict=True) for value in found.values]
        except ValueError:
            continue
        if calls and not found.rest and not (cut and "unclosed" in found.mended):
            several = ["several_objects"] if len(calls) > 1 else []
            return Parsed(whole[:start].strip(), calls, [*found.mended, *mended, *several])
    return None


def set_aside(message: dict[str, Any]) -> list[InvalidToolCall]:
    """Take the calls at which langchain-openai raises out of a chat completion's message.

    It raises (1.7.3) where arguments are JSON but no object, or an object instead of its JSON, and where a call has no
    function, or a name or an id that is no string: the whole reply would be lost. Put on the LangChain message as
    `invalid_tool_calls` they are mended by `incoming`, or sent back to the model.

    Args:
        message: as plain values; calls are taken out of it.
    """
    calls = message.get("tool_calls")
    if not calls:
        return []
    rows = calls if isinstance(calls, list) else [calls]
    message["tool_calls"] = [call for call in rows if not _raises(call)]
    return [_as_invalid(call) for call in rows if _raises(call)]


def _raises(call: Any) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return True
    arguments = function.get("arguments")
    if not isinstance(call.get("id"), (str, type(None))) or not isinstance(arguments, (str, type(None))):
        return True
    try:
        return bool(arguments) and not isinstance(json.loads(arguments or "{}"), (dict, type(None)))
    except ValueError:
        return False  # langchain-openai sets these aside itself
    except RecursionError:
        return True


def _as_invalid(call: Any) -> InvalidToolCall:
    outside = call if isinstance(call, dict) else {}
    inside = outside.get("function")
    if not isinstance(inside, dict):
        inside = outside
    name, text, mark = inside.get("name"), inside.get("arguments"), outside.get("id")
    return invalid_tool_call(
        name=name if isinstance(name, str) else None,
        args=text if isinstance(text, str) else json.dumps(text, ensure_ascii=False, default=str),
        id=mark if isinstance(mark, str) else None,
        error="the arguments are no JSON object" if isinstance(name, str) else "the call names no tool",
    )
