"""Finds a call that a model told in words where it should have been made: as a tag, an object, or Action lines."""

from __future__ import annotations

import re
from itertools import islice

from . import hermes, text
from .calls import Draft, Parsed, from_object
from .lenient import read_all
from .offer import Offer

MOST_FENCES = 8
"""Markdown fences of a reply that are looked into."""

_FENCE = re.compile(r"```[A-Za-z_]{0,20}[ \t]{0,8}\n?[ \t]{0,8}(?=[{\[])")
_TAGS = ("<tool_call>", "<function=")


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
    starts += [fence.start() for fence in islice(_FENCE.finditer(whole), MOST_FENCES)]
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
