"""Faults put into tool results on purpose while collecting, so that a student sees how one recovers.

Which call goes wrong is worked out from the episode and the call alone: not from the order in which episodes run, nor
from the process. A run that was interrupted, or that has more workers, has the same faults.
"""

from __future__ import annotations

import hashlib
import json

from ..context import FaultKind, ToolFaults
from ..search import NOTHING

KEPT = 0.4
"""Share of a text that is left of it when it breaks off."""


def planned(faults: ToolFaults, tool: str, question: str, sample: int, ordinal: int) -> FaultKind | None:
    """The fault of one call, or None: `rate` of all calls, every kind as often.

    Args:
        ordinal: which call of its episode it is, from 0.
    """
    if not faults.kinds or (faults.tools is not None and tool not in faults.tools):
        return None
    drawn = hashlib.sha256(json.dumps([faults.seed, question, sample, ordinal, tool]).encode()).digest()
    if int.from_bytes(drawn[:8], "big") / 2**64 >= faults.rate:
        return None
    return faults.kinds[int.from_bytes(drawn[8:16], "big") % len(faults.kinds)]


def spoiled(kind: FaultKind, tool: str, text: str, earlier: str, seconds: float) -> tuple[str, str | None]:
    """The observation of a call that goes wrong by `kind`, and the error that its row names (None where it looks well).

    Args:
        text: what the tool really brought; read for `truncated` only.
        earlier: what an outdated answer would be, for `stale`.
        seconds: the time that a tool has, for `timeout`.
    """
    if kind == "timeout":
        error = f"{tool} timed out after {seconds:g} s"
    elif kind == "error":
        error = f"{tool} failed: internal server error"
    elif kind == "truncated":
        return text[: mid_word(text, round(KEPT * len(text)))] + "…", None
    else:
        return (earlier or NOTHING) if kind == "stale" else NOTHING, None
    return f"Error: {error}", error


def mid_word(text: str, near: int) -> int:
    """The place nearest to `near` that lies inside a word; `near` itself where there is none."""
    for step in range(len(text)):
        for at in (near - step, near + step):
            if 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum():
                return at
    return near
