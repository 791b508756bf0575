"""Reads calls as `<function=name><parameter=query>...</parameter></function>`."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from .calls import Draft, Drafts, called_with, offered_name, unreadable
from .lenient import read, read_exactly
from .offer import Offer

MOST_TAGS = 200
_HEAD = re.compile(r"<function=\s{0,9}([^<>\n]{1,200})>")
_PARAMETER = re.compile(r"<parameter=\s{0,9}([^<>\n]{1,200})>|</parameter>|</function>")


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
    tags = list(islice(_PARAMETER.finditer(body, head.end()), MOST_TAGS))
    if len(tags) == MOST_TAGS:
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


def value(said: str, kind: Any) -> Any:
    """A parameter's value by its type in the schema: a string stays as it stands, all else is read as JSON."""
    text = said.removeprefix("\n").removesuffix("\n")
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
