"""Takes a hidden thought (`<think>...</think>`) out of a reply's content."""

from __future__ import annotations

import re

OPEN, CLOSE = "<think>", "</think>"
_CLOSING_LINE = re.compile(r"\n[ \t]{0,8}</think>[ \t]{0,8}(?=\n|\Z)")


def without_thought(text: str) -> tuple[str, str | None]:
    """The text without its hidden thought, and the thought; None where there is none.

    A thought that never ends is all of the reply. Templates that open the thought themselves leave only its end, which
    counts where it stands on a line of its own.
    """
    head = text.lstrip()
    if head.startswith(OPEN):
        thought, _, rest = head[len(OPEN) :].partition(CLOSE)
        return rest.lstrip(), thought.strip()
    closing = _CLOSING_LINE.search(text)
    if closing is None:
        return text, None
    return text[closing.end() :].lstrip(), text[: closing.start()].strip()
