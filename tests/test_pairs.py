"""Step pairs: which two episodes make one, at which turn, and who is to blame for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import synthetic_run

from agents.task import Task
from distill.dataset import DatasetConfig, texts_of, write_dataset
from distill.exam.split import HeldOut
from distill.keep import sort_ledger
from distill.leaks import leaks
from distill.pairs import PAIRS, pairs
from distill.rows import Source
from graphs.trajectory import Trajectory

TASK = synthetic_run.make_task(0, "train")
TASKS = {TASK.id: TASK}


def good(**changes: Any) -> Trajectory:
    """An accepted episode: a search, then the right answer."""
    return synthetic_run.episode(TASK, "teacher", TASK.gold, key="good", **changes)


def bad(answer: str = "7", **changes: Any) -> Trajectory:
    """The same search, then a wrong answer."""
    return synthetic_run.episode(TASK, "teacher", answer, key="bad", sample=1, **changes)


def with_message(t: Trajectory, at: int, **changes: Any) -> Trajectory:
    """An episode with another message at a place."""
    messages = [dict(message) for message in t.messages]
    messages[at] |= changes
    return t.model_copy(update={"messages": tuple(messages)})


def made(*episodes: Trajectory, tasks: dict[str, Task] = TASKS, reasoning: bool = False) -> list[dict[str, Any]]:
    """The pairs of some episodes."""
    result = sort_ledger(tasks, list(episodes))
    config = DatasetConfig(reasoning=reasoning)
    return list(pairs(Source(tasks, result.kept, (), config, result.siblings)))


def test_a_wrong_answer_after_the_same_search_is_a_pair() -> None:
    (row,) = made(good(), bad())
    assert row["messages"] == [
        {key: value for key, value in message.items() if key not in ("node", "train")}
        for message in good().messages[:3]
    ]
    assert row["chosen"]["content"].endswith(f"Answer: {TASK.gold}")
    assert row["rejected"]["content"].endswith("Answer: 7")
    assert (row["key"], row["rejected_key"], row["task_id"]) == ("good", "bad", TASK.id)
    assert (row["turn"], row["reason"]) == (3, "wrong")
    assert json.loads(row["tools"]) == []


def test_one_sample_or_equal_ones_make_no_pair() -> None:
    assert made(good()) == []
    assert made(bad()) == []
    assert made(good(), good().model_copy(update={"key": "second", "sample": 1})) == []


def test_episodes_that_part_in_what_a_tool_brought_make_no_pair() -> None:
    assert made(good(), with_message(bad(), 2, content="[1] another page")) == []


def test_the_same_wrong_turn_of_two_samples_is_one_pair() -> None:
    again = bad().model_copy(update={"key": "again", "sample": 2})
    other = bad("8").model_copy(update={"key": "other", "sample": 3})
    assert [row["rejected_key"] for row in made(good(), bad(), again, other)] == ["bad", "other"]


def test_the_accepted_sibling_that_agrees_longest_is_chosen() -> None:
    another = with_message(good(), 1, content="I look elsewhere.").model_copy(update={"key": "another", "sample": 2})
    shorter = another.model_copy(update={"usage": another.usage.model_copy(update={"calls": 1})})
    rows = made(shorter, good(), bad())
    assert [(row["key"], row["turn"]) for row in rows] == [("good", 3)], "`another` was kept, `good` is surplus"


def test_an_early_turn_is_blamed_only_where_the_evidence_was_never_found() -> None:
    elsewhere = with_message(bad(), 1, content="I look elsewhere.")
    assert made(good(), elsewhere) == [], "the search found the page: the answer was wrong, not this turn"
    missed = elsewhere.model_copy(update={"tool_uses": (elsewhere.searches[0].model_copy(update={"hits": ()}),)})
    (row,) = made(good(), missed)
    assert (row["turn"], row["rejected"]["content"]) == (1, "I look elsewhere.")


@pytest.mark.parametrize("changes", [{"fault": "empty"}, {"error": "timed out"}])
def test_a_tool_that_failed_is_no_fault_of_the_turn(changes: dict[str, str]) -> None:
    elsewhere = with_message(bad(), 1, content="I look elsewhere.")
    broken = elsewhere.searches[0].model_copy(update={"hits": (), **changes})
    assert made(good(), elsewhere.model_copy(update={"tool_uses": (broken,)})) == []


def test_no_turn_is_blamed_for_the_clock_or_an_old_board() -> None:
    assert made(good(), bad().model_copy(update={"stop": "limit:seconds"})) == []
    result = sort_ledger(TASKS, [good(), bad()], 1, {"good"})
    assert list(pairs(Source(TASKS, result.kept, (), DatasetConfig(), result.siblings))) == [], "bad is stale"


def test_a_turn_that_was_sent_back_is_blamed_although_its_episode_was_accepted() -> None:
    first, answer = dict(bad().messages[-1]), dict(good().messages[-1])
    critique = {"role": "user", "content": "That is not so.", "node": "verify", "train": False}
    revised = good().model_copy(
        update={
            "key": "revised",
            "sample": 1,
            "revisions": 1,
            "messages": (*bad().messages[:3], first, critique, answer),
        }
    )
    (row,) = made(good(), revised)
    assert (row["rejected_key"], row["turn"], row["reason"]) == ("revised", 3, "accepted")
    assert row["rejected"]["content"] == first["content"]
    assert made(revised, bad("8")) == [], "a turn that was sent back is never chosen"


def test_hidden_reasoning_is_no_difference_unless_it_is_trained() -> None:
    thinking = with_message(bad(TASK.gold), 3, reasoning_content="Hm.").model_copy(update={"stop": "loop"})
    assert made(good(), thinking) == []
    assert made(good(), thinking, reasoning=True)[0]["rejected"]["reasoning_content"] == "Hm."


def test_the_leak_proof_reads_both_turns() -> None:
    held = HeldOut(entities=("kettle_secret",), groups=(), modules=(), chunks=())
    for said in ("chosen", "rejected"):
        one, two = good(), bad()
        if said == "rejected":
            two = with_message(two, 3, content="It is `kettle_secret`.\nAnswer: 7")
        else:
            one = with_message(one, 3, content=f"It is `kettle_secret`.\nAnswer: {TASK.gold}")
        result = sort_ledger(TASKS, [one, two])
        source = Source(TASKS, result.kept, (), DatasetConfig(), result.siblings)
        report = leaks(texts_of(source, [PAIRS]), held, [])
        assert (report.texts, report.name_hits) == (1, 1)
        assert report.examples == ("good+bad: name 'kettle_secret'",)


def test_the_file_its_count_and_the_card(tmp_path: Any) -> None:
    result = sort_ledger(TASKS, [good(), bad()])
    counts = write_dataset(tmp_path, TASKS, result, (), DatasetConfig(), [PAIRS])
    assert counts["rows"] == {"dpo": 1}
    rows = [json.loads(line) for line in (tmp_path / "data" / "dpo.jsonl").read_text().splitlines()]
    assert [row["rejected_key"] for row in rows] == ["bad"]
    card = (tmp_path / "data" / "README.md").read_text()
    assert "- config_name: dpo\n  data_files: dpo.jsonl\n" in card and "- `dpo.jsonl`: 1 rows: `messages`" in card
    assert (counts["kept"], counts["levels"]) == (1, {"engineer": 1})
