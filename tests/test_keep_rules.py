"""Sorting by its rules: whose answers agree, which episode is kept, by what gold, and what the files leave out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import synthetic_run as synthetic

from agents.files import read_jsonl
from agents.models.meter import Account
from agents.task import Task
from distill.keep import FILTERS, drop_if, legend, reason_to_drop, rescored, sort_ledger, write_sorted
from graphs.trajectory import ToolUse, Trajectory

TASK = synthetic.make_task(0, "train")


def episode(key: str, answer: str | None = TASK.gold, **changes: Any) -> Trajectory:
    """An episode of the task in the choice form."""
    return synthetic.episode(TASK, "teacher", answer, key=key, **{"form": "choice"} | changes)


def kept(*episodes: Trajectory, per_task: int = 1, task: Task = TASK) -> list[str]:
    """Keys of the episodes that are kept."""
    return [t.key for t in sort_ledger({task.id: task}, episodes, per_task).kept]


def calls(trajectory: Trajectory, count: int) -> Trajectory:
    """The episode with so many calls."""
    return trajectory.model_copy(update={"usage": trajectory.usage.model_copy(update={"calls": count})})


def test_reasons_are_explained_by_one_sentence() -> None:
    assert legend("wrong") == "The answer is not the gold."
    assert legend("limit:steps") == legend("limit") == "The episode reached a limit of the board."
    assert legend("surplus") == "Another accepted episode of the same task is shorter."
    assert legend("no such reason") == ""


def test_a_filter_of_ones_own_sees_task_and_episode_and_comes_last() -> None:
    try:

        @drop_if("short")
        def short(task: Task, trajectory: Trajectory) -> bool:
            """The gold is short.

            The rest is for readers of the code.
            """
            return len(task.gold) < 9 and trajectory.key == "a"

        assert list(FILTERS)[-1] == "short" and legend("short") == "The gold is short."
        assert reason_to_drop(TASK, episode("a")) == "short" and reason_to_drop(TASK, episode("b")) is None
        assert reason_to_drop(TASK, episode("a", stop="loop")) == "loop"
        assert short(TASK, episode("a"))
    finally:
        FILTERS.pop("short", None)


def test_the_shortest_episode_is_kept_by_calls_then_messages_then_sample() -> None:
    one, two = calls(episode("three calls", sample=0), 3), calls(episode("two calls", sample=1), 2)
    assert kept(one, two) == ["two calls"]
    assert kept(one, two, per_task=2) == ["two calls", "three calls"]
    wordy = episode("wordy", messages=(*one.messages, {"role": "user", "content": "x", "node": "task"}), sample=0)
    assert kept(calls(wordy, 2), two) == ["two calls"]
    assert kept(episode("later", sample=2), episode("earlier", sample=1)) == ["earlier"]


def test_each_mode_of_a_task_keeps_its_own() -> None:
    react, closed = episode("react"), episode("cot", mode="cot")
    assert set(kept(react, closed)) == {"react", "cot"}


def test_dropped_and_kept_can_be_read_in_any_order_and_in_parts() -> None:
    result = sort_ledger({TASK.id: TASK}, [calls(episode(f"k{n}", sample=n), n + 1) for n in range(4)], per_task=2)
    assert (len(result.kept), len(result.dropped)) == (2, 2)
    assert [result.kept[1].key, result.kept[0].key] == ["k1", "k0"]
    assert [t.key for t in result.kept[1:]] == ["k1"] and [row.reason for row in result.dropped[:1]] == ["surplus"]
    assert [t.key for t in result.kept] == [t.key for t in result.kept]
    assert result.reasons() == {"surplus": 2}


def test_reasons_are_counted_the_most_frequent_first() -> None:
    wrong = synthetic.wrong_option(TASK)
    rows = [episode("a", stop="loop"), *(episode(f"w{n}", wrong, sample=n) for n in range(3)), episode("s", None)]
    result = sort_ledger({TASK.id: TASK}, rows)
    assert list(result.reasons().items()) == [("wrong", 3), ("loop", 1), ("limit:steps", 1)]


def agreements(*episodes: Trajectory) -> list[float | None]:
    """The agreement of each episode."""
    result = sort_ledger({TASK.id: TASK}, episodes, per_task=9)
    found = {t.key: t.agreement for t in [*result.kept, *(row.trajectory for row in result.dropped)]}
    return [found[t.key] for t in episodes]


def test_samples_agree_by_the_option_they_name_or_by_their_words() -> None:
    letter = episode("letter", TASK.gold, sample=1).model_copy(update={"answer": "A"})
    wrong = synthetic.wrong_option(TASK)
    assert letter.choice == TASK.gold
    assert agreements(episode("text"), letter, episode("wrong", wrong, sample=2)) == [0.6667, 0.6667, 0.3333]
    free = [episode(f"f{n}", TASK.gold, form="free", sample=n).model_copy(update={"choice": None}) for n in range(2)]
    assert agreements(*free) == [1.0, 1.0]
    assert agreements(episode("alone")) == [None]
    assert agreements(episode("a"), episode("none", None, sample=1)) == [0.5, 0.0]


@pytest.mark.parametrize("change", [{"team": "other"}, {"board": "other"}, {"mode": "cot"}])
def test_other_teams_boards_and_modes_do_not_count(change: dict[str, str]) -> None:
    other = episode("other").model_copy(update=change)
    assert agreements(episode("a"), other) == [None, None]


def with_gold(gold: str, told: str, **changes: Any) -> Task:
    """The task with another gold, and with what the manual says on the way to it."""
    (hop,) = TASK.hops
    return TASK.model_copy(update={"gold": gold, "hops": (hop.model_copy(update={"value": told}),), **changes})


def test_a_free_answer_is_judged_by_its_value_and_a_choice_by_its_option() -> None:
    task = with_gold("60s", "60s", options=("60s", "7", "8", "9"))
    said = synthetic.episode(task, "teacher", "60s", key="k", form="free").model_copy(
        update={"answer": "60 seconds", "choice": None}
    )
    assert said.quotes == ("Default: 60s",)
    assert rescored(task, said) is said
    as_choice = said.model_copy(update={"form": "choice"})
    assert rescored(task, as_choice).verdict.correct is False
    moved = with_gold("one minute", "60s", aliases=("60 seconds",), options=())
    assert rescored(moved, said) is said


def test_quotes_are_judged_by_what_the_manual_says_today() -> None:
    before = episode("k", label="accepted")
    changed = rescored(with_gold(TASK.gold, "something else"), before).verdict
    assert (changed.correct, changed.grounded, changed.accepted, changed.reasons) == (
        True, False, False, ("unsupported",),
    )  # fmt: skip
    unborne = before.model_copy(update={"verdict": changed, "label": "ungrounded"})
    assert rescored(with_gold(TASK.gold, "something else"), unborne) is unborne
    again = rescored(TASK, unborne)
    assert (again.verdict.grounded, again.verdict.accepted, again.verdict.reasons) == (True, True, ())
    assert again.label == "accepted"


def judged(before: Trajectory, **verdict: Any) -> Trajectory:
    """The episode with other words in its verdict."""
    return before.model_copy(update={"verdict": before.verdict.model_copy(update=verdict)})


def test_a_judge_that_found_support_is_still_believed_and_nothing_is_asked_of_what_did_not_search() -> None:
    other = with_gold(TASK.gold, "something else")
    supported = judged(episode("k"), judge={"supported": True})
    assert rescored(other, supported) is supported
    closed = episode("c", mode="cot")
    assert closed.verdict.grounded is None and rescored(other, closed) is closed
    ungrounded = judged(episode("u"), grounded=False, accepted=False, reasons=("no_quote",))
    assert rescored(other, ungrounded) is ungrounded, "one reason of its kind is enough"
    refused = judged(episode("j"), judge={"supported": False}, accepted=False, reasons=("judge",))
    assert rescored(TASK, refused) is refused
    assert rescored(other, refused).verdict.reasons == ("judge", "unsupported")


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, "accepted"),
        ({"repairs": 1}, "revised"),
        ({"revisions": 1}, "revised"),
        ({"repairs": 1, "revisions": 1}, "revised"),
        ({"tool_uses": (ToolUse(query="q", extract="", error="it failed"),)}, "recovered"),
    ],
)
def test_an_episode_that_is_right_by_the_gold_of_today_is_labelled_anew(changes: dict[str, Any], label: str) -> None:
    wrong = synthetic.wrong_option(TASK)
    before = episode("k", wrong, label="wrong", **changes)
    now = rescored(TASK.model_copy(update={"gold": wrong}), before)
    assert (now.verdict.correct, now.verdict.accepted, now.label) == (True, True, label)


def test_wall_times_stay_in_the_ledger_and_everything_else_is_written(tmp_path: Path) -> None:
    usage = episode("k").usage.model_copy(update={"roles": {"reason": Account(calls=2, prompt=400, seconds=0.5)}})
    right = episode("k", label="accepted").model_copy(update={"usage": usage})
    wrong = episode("w", synthetic.wrong_option(TASK), sample=1).model_copy(update={"usage": usage})
    write_sorted(sort_ledger({TASK.id: TASK}, [right, wrong]), tmp_path)
    (row,), (dropped,) = (read_jsonl(tmp_path / name) for name in ("kept.jsonl", "dropped.jsonl"))
    assert "seconds" not in json.dumps([row["usage"], dropped["usage"]])
    assert row["usage"]["roles"]["reason"]["prompt"] == 400
    assert dropped.pop("reason") == "wrong"
    assert row["agreement"] == 0.5 and Trajectory.model_validate(row).key == "k"
    assert Trajectory.model_validate(dropped).messages == wrong.messages
