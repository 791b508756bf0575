"""Labels: what became of an episode, in one word of a fixed list."""

from __future__ import annotations

from collections.abc import Sequence

from .trajectory import ToolUse, Verdict

LABELS = {
    "accepted": "answered at once, and every check passed",
    "recovered": "accepted, after a tool had failed; the rows of `tool_uses` name tool and fault",
    "revised": "accepted, after a critique or a malformed call had been sent back",
    "wrong": "the answer is not the gold, or the judge says that it does not answer the question",
    "ungrounded": "a quote is missing or stands in nothing retrieved, or the judge finds the answer unsupported",
    "malformed": "no answer that could be read, or calls that could not be read to the end",
    "loop": "the same call twice in a row",
    "limit": "a limit of the board was reached: limit:NAME",
    "provider": "the endpoint failed for good: provider:KIND; no attempt, and played again by the next run",
    "gave_up": "the player said that the manual does not tell",
    "refused": "the model refused, or its endpoint filtered the reply",
    "unchecked": 'answered, and nothing was checked (`verify = "off"`)',
}
"""Label -> what it means; `limit` and `provider` carry a name after a colon."""

_UNGROUNDED = {"no_quote", "ungrounded", "empty_quote", "unsupported"}


def label_of(stop: str, verdict: Verdict | None, tool_uses: Sequence[ToolUse], sent_back: int) -> str:
    """The label of an episode.

    Args:
        verdict: None where nothing was checked.
        sent_back: critiques and malformed calls that were sent back.
    """
    if stop != "answered":
        return stop
    if verdict is None:
        return "unchecked"
    if not verdict.well_formed:
        return "malformed"
    if verdict.correct is False:
        return "wrong"
    if "judge" in verdict.reasons:
        return "ungrounded" if not (verdict.judge or {}).get("supported") else "wrong"
    if _UNGROUNDED & set(verdict.reasons):
        return "ungrounded"
    if sent_back:
        return "revised"
    return "recovered" if any(row.error or row.fault for row in tool_uses) else "accepted"
