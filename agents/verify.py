"""The verifying agent: form first, grounding next, a judge if one is seated, the gold last.

It accepts, sends back with a critique, or rejects. A critique comes only from checks that
do not know the gold: one made from the gold would be a hint, and the answer accepted after it would prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .answers import Final, match_option, same_answer, stands_in
from .prompts import prompt

PROBLEMS = {
    "no_answer": "there is no line that starts with Answer:",
    "ambiguous": "the answer is not exactly one of the options",
    "no_quote": "there is no line that starts with Quote:",
    "ungrounded": "a quote does not stand in anything that you found",
}
"""Check -> what the critique says of it."""


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
    return failed


def verdict(
    failed: Sequence[str],
    final: Final,
    options: Sequence[str],
    gold: str | None,
    searched: bool,
    judged: dict[str, Any] | None = None,
) -> dict[str, object]:
    """The verdict as plain values (graphs.trajectory.Verdict's fields).

    Args:
        failed: names of the checks that failed, `judge` among them where the judge did not accept.
        judged: the judge's own words.
    """
    correct = None if gold is None else same_answer(final.answer, gold, options)
    reasons = [*failed, *(["wrong"] if correct is False and not {"no_answer", "ambiguous"} & set(failed) else [])]
    return {
        "well_formed": not {"no_answer", "ambiguous"} & set(failed),
        "grounded": None if not searched else not {"no_quote", "ungrounded"} & set(failed),
        "correct": correct,
        "judge": judged,
        "accepted": not reasons,
        "reasons": reasons,
    }


def critique(failed: Sequence[str]) -> str:
    """The message that sends an answer back for the checks that it failed."""
    return prompt("critique").format(problems="; ".join(PROBLEMS[name] for name in failed))
