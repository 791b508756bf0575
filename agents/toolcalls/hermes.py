"""The Hermes transport: tools in <tools>, calls in <tool_call>, what they brought in <tool_response>, all as text.

Calls written as `<function=name><parameter=query>...</parameter></function>` are read too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from .calls import Draft, Drafts, Offer, Parsed, called_with, object_calls, offered_name, unreadable
from .lenient import read, read_exactly, skip
from .reply import MAX_CALLS, MAX_MARKS, Escapes, Words

STOP = ["<tool_response>"]
OPEN, CLOSE = "<tool_call>", "</tool_call>"

ESCAPES = Escapes(r"</?tool_call>|</?tool_response>|</?function\b|</?think>")
_TAG = re.compile(r"<(?=/?(?:tool_|function\b|think>))")
_CODED = r"\\u003c"
_OPENING = re.compile(r"(?<!\\)(?:<tool_call>(?:\s*<tool_call>)*|<function=|<tool_response>)")
_TAG_AFTER = re.compile(r"\s{0,9}</tool_call>")
_BLOCK_ENDS = re.compile(r"</?tool_call>|<tool_response>")
_FUNCTION_ENDS = re.compile(r"</function>|<function=|</?tool_call>|<tool_response>")
MAX_TAGS = 200
_HEAD = re.compile(r"<function=\s{0,9}([^<>\n]{1,200})>")
_PARAMETER = re.compile(r"<parameter=\s{0,9}([^<>\n]{1,200})>|</parameter>|</function>")

FORMAT = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""
"""Word for word what the models of this form were trained on."""


def described(tools: Sequence[dict[str, Any]]) -> str:
    """What is added to the system message: the tools, and how one is called."""
    return FORMAT.format(tools="\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools))


def turn(content: str, calls: Sequence[tuple[str, str]]) -> str:
    """One turn of the assistant as text.

    Args:
        calls: (name, arguments as JSON) of each call.
    """
    blocks = []
    for name, args in calls:
        text = f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": {args}}}'
        # A tag inside a string would end the block; in JSON its bracket may be written as a code.
        blocks.append(f"{OPEN}\n{_TAG.sub(_CODED, text)}\n{CLOSE}")
    return "\n".join([ESCAPES.on(content), *blocks] if content else blocks)


def observations(text: Sequence[str]) -> str:
    """What the tools brought as one message; a document cannot end its own block."""
    return "\n".join(f"<tool_response>\n{ESCAPES.on(each)}\n</tool_response>" for each in text)


def parse(text: str, offer: Offer, *, cut: bool = False) -> Parsed:
    """Take a reply apart.

    Args:
        cut: the reply ended at its token limit.
    """
    words = Words(text)
    calls: list[Draft] = []
    mended: list[str] = []
    at = tried = seen = 0
    while (tag := _OPENING.search(text, at)) is not None and seen < MAX_MARKS:
        at = tag.end()
        seen += 1
        if tag.group() == STOP[0]:
            if not calls:
                continue
            words.take(tag.start())
            words.at = len(text)
            mended.append("invented_observation")
            break
        if tried == MAX_CALLS:
            words.take(tag.start())
            words.at = len(text)
            mended.append("too_many")
            break
        found, end = _function(text, tag, offer, cut) if tag.group() == "<function=" else _block(text, tag, offer, cut)
        if found is None:
            continue
        tried += 1
        words.call(tag.start(), end, found.rest)
        at = end
        written = text[tag.start() : end].strip()
        calls += [each if each.args is not None else each._replace(written=written) for each in found.calls]
        mended += [*found.mended, *(["trailing_text"] if found.rest else [])]
    words.take(len(text))
    return Parsed(ESCAPES.off(words.together()), calls, mended)


def _block(text: str, tag: re.Match[str], offer: Offer, cut: bool) -> tuple[Drafts | None, int]:
    """The calls of one <tool_call> and the offset behind it; None where the tag is only spoken of."""
    start = skip(text, tag.end())
    exact = read_exactly(text, start) if text.startswith(("{", "["), start) else None
    ending = _BLOCK_ENDS.search(text, exact[1] if exact else start)
    stop = ending.start() if ending else len(text)
    closed = ending is not None and ending.group() == CLOSE
    body = text[start:stop].strip()
    if not closed and not _begins_call(text, tag, body, offer):
        return None, tag.end()
    end = ending.end() if ending is not None and closed else stop
    late = cut and ending is None
    once = closed and tag.group() == OPEN
    if body.startswith("<function="):
        found = xml_call(body, offer, cut=late)
    elif not body:
        found = unreadable(None, "", "the call is empty")
    else:
        found = object_calls(body, offer, cut=late)
    readable = all(call.args is not None for call in found.calls)
    return found._replace(mended=[*found.mended, *([] if once or not readable else ["unclosed"])]), end


def _begins_call(text: str, tag: re.Match[str], body: str, offer: Offer) -> bool:
    """Whether an opening tag without its closing one begins a call all the same."""
    if body:
        word = re.match(r"[\w.-]{1,64}(?=[\[(])", body)
        return body.startswith(("{", "[", "```", "<function=")) or bool(word and offer.named(word.group()))
    return tag.start() == 0 or text[tag.start() - 1] == "\n"


def _function(text: str, tag: re.Match[str], offer: Offer, cut: bool) -> tuple[Drafts | None, int]:
    """The call of one <function=...> outside a <tool_call>, as `_block` gives it."""
    ending = _FUNCTION_ENDS.search(text, tag.end())
    stop = ending.start() if ending else len(text)
    closed = ending is not None and ending.group() == "</function>"
    end = ending.end() if ending is not None and closed else stop
    if ending is not None and ending.group() == CLOSE:
        end = ending.end()
    found = xml_call(text[tag.start() : stop], offer, cut=cut and ending is None)
    first = found.calls[0]
    if not closed and (offer.named(first.name or "") is None or first.args == {}):
        return None, tag.end()
    if closed and (after := _TAG_AFTER.match(text, end)):
        end = after.end()
    return found._replace(mended=[*found.mended, *([] if closed else ["unclosed"])]), end


def xml_call(body: str, offer: Offer, *, cut: bool = False) -> Drafts:
    """The call of a text that begins with `<function=`.

    Args:
        cut: the reply was cut off behind this text.
    """
    head = _HEAD.match(body)
    if head is None:
        return unreadable(None, body, "the call names no tool: write <function=name>")
    mended = ["xml_call"]
    name = offered_name(head.group(1).strip(), offer, mended)
    args: dict[str, Any] = {}
    rest = ""
    tags = list(islice(_PARAMETER.finditer(body, head.end()), MAX_TAGS))
    if len(tags) == MAX_TAGS:
        return unreadable(name, body, "it has too many parameters")
    for number, tag in enumerate(tags):
        if tag.group() == "</function>":
            rest = body[tag.end() :].strip()
            break
        if not tag.group(1):
            continue
        following = tags[number + 1] if number + 1 < len(tags) else None
        if following is None and cut:
            return unreadable(name, body, "the reply was cut off within the call")
        argument = tag.group(1).strip(" \"'")
        args[argument] = value(
            body[tag.end() : following.start() if following else len(body)], offer.kind(name, argument)
        )
        if following is None or following.group() != "</parameter>":
            mended.append("unclosed")
    if args:
        return Drafts([Draft(name, args)], list(dict.fromkeys(mended)), rest)
    inner = body[head.end() :].partition("</function>")[0]
    if inner.strip():
        found = called_with(name, inner, offer, cut=cut)
        return Drafts(found.calls, [*mended, *found.mended], found.rest)
    return Drafts([Draft(name, {})], mended, rest)


def value(message: str, kind: Any) -> Any:
    """A parameter's value by its type in the schema: a string stays as it stands, all else is read as JSON."""
    text = message.removeprefix("\n").removesuffix("\n")
    if kind == "string":
        return text
    bare = text.strip()
    exact = read_exactly(bare, 0)
    if exact is None or exact[1] < len(bare):
        return text
    try:
        return read(bare).value
    except ValueError:
        return text
