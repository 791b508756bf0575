"""Labels: one word for what became of an episode, whatever else is on its record."""

from __future__ import annotations

from typing import Any

import pytest

from graphs.labels import LABELS, label_of
from graphs.trajectory import ToolUse, Verdict

FINE = ToolUse(query="q", extract="found")
FAILED = ToolUse(query="q", extract="it timed out", error="timeout")
FAULTED = ToolUse(query="q", extract="", fault="empty")


def verdict(*reasons: str, **fields: Any) -> Verdict:
    """A verdict of an answer that could be read; accepted where nothing failed."""
    return Verdict.model_validate(
        {"well_formed": True, "accepted": not reasons, "reasons": reasons, "correct": True} | fields
    )


@pytest.mark.parametrize("stop", ["gave_up", "refused", "malformed", "loop", "limit:steps", "limit:rounds"])
def test_what_ended_an_episode_without_an_answer_is_its_label(stop: str) -> None:
    for found in (None, verdict(), verdict("wrong", correct=False)):
        assert label_of(stop, found, [FAILED], sent_back=2) == stop


def test_an_answer_that_nobody_checked_is_unchecked() -> None:
    assert label_of("answered", None, [], sent_back=0) == "unchecked"


@pytest.mark.parametrize(
    ("found", "label"),
    [
        (verdict(), "accepted"),
        (verdict(correct=None), "accepted"),  # the gold is not known
        (verdict("ambiguous", well_formed=False, correct=False), "malformed"),
        (verdict("wrong", correct=False), "wrong"),
        (verdict("no_quote"), "ungrounded"),
        (verdict("ungrounded"), "ungrounded"),
        (verdict("empty_quote"), "ungrounded"),
        (verdict("unsupported"), "ungrounded"),
        (verdict("ungrounded", "wrong", correct=False), "wrong"),  # wrong weighs more
        (verdict("judge", judge={"supported": False, "answers": True}), "ungrounded"),
        (verdict("judge", judge={"supported": True, "answers": False}), "wrong"),
        (verdict("judge", judge=None), "ungrounded"),  # a judge that could not be read supports nothing
    ],
)
def test_the_first_check_that_failed_names_the_episode(found: Verdict, label: str) -> None:
    assert label_of("answered", found, [FINE], sent_back=0) == label


@pytest.mark.parametrize(
    ("searches", "sent_back", "label"),
    [
        ([], 0, "accepted"),
        ([FINE, FINE], 0, "accepted"),
        ([FINE, FAILED], 0, "recovered"),
        ([FAULTED, FINE], 0, "recovered"),
        ([FINE], 1, "revised"),
        ([FAILED], 1, "revised"),  # what was sent back weighs more than a tool that failed
    ],
)
def test_an_accepted_episode_says_how_smoothly_it_went(searches: list[ToolUse], sent_back: int, label: str) -> None:
    assert label_of("answered", verdict(), searches, sent_back) == label


def test_every_label_is_explained() -> None:
    said = {"accepted", "recovered", "revised", "wrong", "ungrounded", "malformed", "unchecked"}
    assert said | {"loop", "limit", "provider", "gave_up", "refused"} == set(LABELS)
