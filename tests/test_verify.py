"""The verifying agent check by check: what fails, what a critique says of it, what only the gold can tell."""

from __future__ import annotations

from typing import Any

import pytest

from agents.answers import Final
from agents.verify import PROBLEMS, critique, failed_checks, grounded, supported, verdict

PASSAGES = ("The pump\nDefault: 60s\nSaid of it: keep it dry", "The lid\nDefault: closed")


def final(answer: str | None = "60s", *quotes: str) -> Final:
    """A final message; with one good quote unless others are given."""
    return Final(answer=answer, quotes=quotes or ("Default: 60s",))


def judged(found: Final, failed: tuple[str, ...] = (), gold: str | None = "60s", **rest: Any) -> dict[str, Any]:
    """The verdict on an episode that searched."""
    return verdict(failed, found, rest.pop("options", ()), gold, rest.pop("searched", True), **rest)


def test_quotes_are_grounded_where_each_stands_in_one_passage() -> None:
    assert grounded(["Default: 60s", "Default: closed"], PASSAGES)
    assert grounded(['"Default: 60s"'], PASSAGES) and grounded(["“keep it dry”"], PASSAGES)
    assert grounded([], PASSAGES)
    assert not grounded(["Default: 60s", "Default: open"], PASSAGES)
    assert not grounded(["keep it dry The lid"], PASSAGES), "half in one and half in the other"
    assert not grounded(["Default: 60s"], [])


def test_quotation_marks_that_belong_to_the_passage_may_be_quoted() -> None:
    assert grounded(['say "dry"'], ['They say "dry".'])


@pytest.mark.parametrize(
    ("found", "options", "failed"),
    [
        (final(), (), []),
        (final("anything"), (), []),
        (final(None), (), ["no_answer"]),
        (final(None), ("60s", "7"), ["no_answer"]),
        (final("9"), ("60s", "7"), ["ambiguous"]),
        (final("A"), ("60s", "7"), []),
        (Final("60s", ()), (), ["no_quote"]),
        (final("60s", "Default: 61s"), (), ["ungrounded"]),
        (final("60s", "dry"), (), ["empty_quote"]),
        (final("60s", "Default: 60s", "dry"), (), ["empty_quote"]),
        (final("60s", "wet"), (), ["ungrounded", "empty_quote"]),
        (final("9", "No such thing"), ("60s", "7"), ["ambiguous", "ungrounded"]),
        (Final(None, ()), (), ["no_answer", "no_quote"]),
    ],
)
def test_checks_that_do_not_know_the_gold(found: Final, options: tuple[str, ...], failed: list[str]) -> None:
    assert failed_checks(found, options, PASSAGES, searched=True) == failed


def test_without_a_search_there_is_nothing_to_quote() -> None:
    for quotes in ((), ("wet",), ("No such thing",)):
        assert failed_checks(Final("60s", quotes), (), (), searched=False) == []
    assert failed_checks(Final(None, ()), (), (), searched=False) == ["no_answer"]


def test_each_value_on_the_way_needs_a_quote_that_bears_it() -> None:
    assert supported(["Default: 60s"], ["60s"])
    assert supported(["Default: 60s", "Default: closed"], ["closed", "60s"])
    assert supported(["The defaults are 60s and 7"], ["60s", "7"])
    assert not supported(["Default: 60s"], ["60s", "closed"])
    assert not supported([], ["60s"])
    assert supported([], [])


def test_a_right_answer_with_a_quote_that_bears_it_is_accepted() -> None:
    assert judged(final(), stated=["60s"]) == {
        "well_formed": True,
        "grounded": True,
        "correct": True,
        "judge": None,
        "accepted": True,
        "reasons": [],
    }


def test_a_wrong_answer_is_wrong_and_stays_grounded() -> None:
    found = judged(final("7"), stated=["60s"])
    assert (found["correct"], found["accepted"], found["reasons"]) == (False, False, ["wrong"])
    assert (found["well_formed"], found["grounded"]) == (True, True)


@pytest.mark.parametrize("check", ["no_answer", "ambiguous"])
def test_an_answer_that_could_not_be_read_is_not_called_wrong_too(check: str) -> None:
    found = judged(final(None), (check,))
    assert (found["well_formed"], found["correct"], found["reasons"]) == (False, False, [check])


@pytest.mark.parametrize("check", ["no_quote", "ungrounded", "empty_quote"])
def test_one_check_of_the_quotes_is_enough_to_be_ungrounded_and_is_told_once(check: str) -> None:
    found = judged(final(), (check,), stated=["something else"])
    assert (found["grounded"], found["accepted"], found["reasons"]) == (False, False, [check])
    wrong = judged(final("7"), (check,))
    assert wrong["reasons"] == [check, "wrong"] and wrong["well_formed"] is True


def test_quotes_that_do_not_bear_what_the_manual_tells_support_nothing() -> None:
    found = judged(final(), stated=["60s", "closed"])
    assert (found["correct"], found["grounded"], found["accepted"]) == (True, False, False)
    assert found["reasons"] == ["unsupported"]
    assert judged(final("7"), stated=["closed"])["reasons"] == ["wrong", "unsupported"]


def test_a_judge_that_finds_the_answer_supported_stands_in_for_the_key() -> None:
    words = {"supported": True, "said": "it does"}
    found = judged(final(), stated=["closed"], judged=words)
    assert (found["accepted"], found["judge"]) == (True, words)
    unsure = judged(final(), stated=["closed"], judged={"supported": False})
    assert unsure["reasons"] == ["unsupported"]
    refused = judged(final(), ("judge",), stated=["60s"], judged={"supported": False})
    assert (refused["accepted"], refused["grounded"], refused["reasons"]) == (False, True, ["judge"])


def test_without_a_search_grounding_is_unknown_and_nothing_needs_support() -> None:
    found = judged(Final("60s", ()), searched=False, stated=["60s"])
    assert (found["grounded"], found["accepted"], found["reasons"]) == (None, True, [])


def test_without_a_gold_right_is_unknown() -> None:
    found = judged(final(), gold=None)
    assert (found["correct"], found["accepted"]) == (None, True)


def test_options_aliases_and_parts_say_what_is_right() -> None:
    assert judged(final("B"), gold="60s", options=("7", "60s"))["correct"] is True
    assert judged(final("a minute"), aliases=("a minute",))["correct"] is True
    assert judged(final("7; 60s"), gold="7 and 60s", parts=("7", "60s"))["correct"] is True
    assert judged(final("7; 60s"), gold="7 and 60s")["correct"] is False


def test_a_critique_says_what_to_mend_and_never_what_is_right() -> None:
    said = critique(["no_quote", "ambiguous"])
    assert f"{PROBLEMS['no_quote']}; {PROBLEMS['ambiguous']}" in said
    assert "{" not in said
    assert not {"wrong", "unsupported"} & set(PROBLEMS)
    assert all(check in PROBLEMS for check in ("no_answer", "ungrounded", "empty_quote"))
