"""The verifying agent: form first, grounding next, a judge if one is seated, the gold last.

It accepts, sends back with a critique, or rejects. A critique comes only from checks that do not know the gold: one
made from the gold would be a hint, and the answer accepted after it would prove nothing. The last checks know it: the
answer is right, and the quotes bear what the manual says at each look-up (or a judge has found that they support it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from .answers import Final, bears, match_option, same_answer, stands_in
from .prompts import prompt

PROBLEMS = {
    "no_answer": "there is no line that starts with Answer:",
    "ambiguous": "the answer is not exactly one of the options",
    "no_quote": "there is no line that starts with Quote:",
    "ungrounded": "a quote does not stand in anything that you found",
    "empty_quote": "a quote says nothing: copy the words that hold the answer",
}
"""Check -> what the critique says of it."""
_PIECE = re.compile(r"\w+|[^\w\s]+")
NOT_GROUNDED = frozenset({"no_quote", "ungrounded", "empty_quote", "unsupported"})
"""Checks of which one is enough to call an episode ungrounded."""


def grounded(quotes: Iterable[str], passages: Sequence[str]) -> bool:
    """Whether every quote, with or without quotation marks round it, stands in a passage retrieved in this episode."""
    return all(
        any(stands_in(quote, text) or stands_in(quote.strip('"“”'), text) for text in passages) for quote in quotes
    )


def failed_checks(final: Final, options: Sequence[str], passages: Sequence[str], searched: bool) -> list[str]:
    """Names of the checks that fail, without the gold, in the order in which they are made."""
    failed: list[str] = []
    if final.answer is None:
        failed.append("no_answer")
    elif options and match_option(final.answer, options) is None:
        failed.append("ambiguous")
    if searched and not final.quotes:
        failed.append("no_quote")
    if searched and not grounded(final.quotes, passages):
        failed.append("ungrounded")
    if searched and any(len(_PIECE.findall(quote)) < 2 for quote in final.quotes):
        failed.append("empty_quote")
    return failed


def supported(quotes: Sequence[str], stated: Sequence[str]) -> bool:
    """Whether for every value that the manual tells on the way to the gold one of the quotes bears it."""
    return all(any(bears(quote, value) for quote in quotes) for value in stated)


def verdict(
    failed: Sequence[str],
    final: Final,
    options: Sequence[str],
    gold: str | None,
    searched: bool,
    judged: dict[str, Any] | None = None,
    *,
    aliases: Sequence[str] = (),
    parts: Sequence[str] = (),
    stated: Sequence[str] = (),
) -> dict[str, object]:
    """The verdict as plain values (graphs.trajectory.Verdict's fields).

    Args:
        failed: names of the checks that failed, `judge` among them where the judge did not accept.
        judged: the judge's own words; a judge that found the quotes to support the answer stands in for `stated`.
        aliases: other spellings of the gold.
        parts: the gold's parts, where it answers two questions.
        stated: what the manual says at each look-up on the way to the gold.
    """
    correct = None if gold is None else same_answer(final.answer, gold, options, aliases=aliases, parts=parts)
    reasons = [*failed, *(["wrong"] if correct is False and not {"no_answer", "ambiguous"} & set(failed) else [])]
    if searched and not NOT_GROUNDED & set(failed) and not (judged or {}).get("supported"):
        reasons += [] if supported(final.quotes, stated) else ["unsupported"]
    return {
        "well_formed": not {"no_answer", "ambiguous"} & set(failed),
        "grounded": None if not searched else not NOT_GROUNDED & set(reasons),
        "correct": correct,
        "judge": judged,
        "accepted": not reasons,
        "reasons": reasons,
    }


def critique(failed: Sequence[str]) -> str:
    """The message that sends an answer back for the checks that it failed."""
    return prompt("critique").format(problems="; ".join(PROBLEMS[name] for name in failed))
