"""Kept or dropped: one named reason each, nothing lost; and the training files made of what was kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import little
import pytest

from agents.files import read_json, read_jsonl
from agents.task import Task
from distill.dataset import DatasetConfig, sft_row, training_texts, write_dataset
from distill.keep import FILTERS, OPTIONAL, legend, reason_to_drop, sort_ledger, write_sorted
from graphs.episode import Table, play
from graphs.trajectory import Trajectory


@pytest.fixture(scope="module")
def good(kettle: Path) -> tuple[Task, Trajectory]:
    """A training task and its accepted episode."""
    task = little.tasks(little.library())[0]
    return task, asyncio.run(play(task, Table.from_context(little.context(kettle))))


def changed(trajectory: Trajectory, verdict: dict[str, Any] | None = None, **values: Any) -> Trajectory:
    """The trajectory with other values."""
    if verdict is not None:
        values["verdict"] = trajectory.verdict.model_copy(update=verdict)
    return trajectory.model_copy(update=values)


CASES: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "limit:steps": ({"stop": "limit:steps"}, None),
    "loop": ({"stop": "loop"}, None),
    "refused": ({"stop": "refused"}, None),
    "gave_up": ({"stop": "gave_up"}, None),
    "malformed": ({"stop": "malformed"}, None),
    "wrong": ({}, {"correct": False}),
    "no_search": ({"tool_uses": ()}, None),
    "ungrounded": ({}, {"grounded": False}),
    "judged": ({}, {"reasons": ("judge",)}),
    "repaired": ({"repairs": 1}, None),
    "revised": ({"revisions": 1}, None),
}


@pytest.mark.parametrize("reason", CASES)
def test_each_reason(reason: str, good: tuple[Task, Trajectory]) -> None:
    task, trajectory = good
    assert reason_to_drop(task, trajectory) is None
    values, verdict = CASES[reason]
    assert reason_to_drop(task, changed(trajectory, verdict, **values), drop=OPTIONAL) == reason
    asked_for = None if reason in OPTIONAL else reason
    assert reason_to_drop(task, changed(trajectory, verdict, **values), drop=()) == asked_for
    assert legend(reason)


def test_every_filter_has_its_case() -> None:
    assert {name.partition(":")[0] for name in CASES} == set(FILTERS)


def test_strays_and_stale_ones(good: tuple[Task, Trajectory]) -> None:
    task, trajectory = good
    assert reason_to_drop(None, trajectory) == "stray"
    assert reason_to_drop(task.model_copy(update={"split": "test"}), trajectory) == "stray"
    assert reason_to_drop(task, trajectory, {"another key"}) == "stale"
    assert reason_to_drop(task, trajectory, {trajectory.key}) is None


def test_kept_and_dropped_are_the_ledger(good: tuple[Task, Trajectory], tmp_path: Path) -> None:
    task, trajectory = good
    longer = changed(trajectory, key="b", sample=1, usage=trajectory.usage.model_copy(update={"calls": 5}))
    bad = changed(trajectory, {"correct": False}, key="c", sample=2, answer="17", choice="17")
    result = sort_ledger({task.id: task}, [longer, trajectory, bad])
    assert [t.key for t in result.kept] == [trajectory.key]
    assert result.reasons() == {"surplus": 1, "wrong": 1}
    write_sorted(result, tmp_path)
    dropped = read_jsonl(tmp_path / "dropped.jsonl")
    assert {row["key"]: row["reason"] for row in dropped} == {"b": "surplus", "c": "wrong"}
    kept = read_jsonl(tmp_path / "kept.jsonl")[0]
    assert "seconds" not in kept["usage"]
    assert Trajectory.model_validate(kept).messages == trajectory.messages
    both = sort_ledger({task.id: task}, [longer, trajectory, bad], per_task=2)
    assert len(both.kept) == 2


def test_the_training_files_load_without_nulls(good: tuple[Task, Trajectory], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    task, trajectory = good
    cot = changed(
        trajectory, key="cot", mode="cot", tools=(), messages=trajectory.messages[:2] + trajectory.messages[4:]
    )
    result = sort_ledger({task.id: task}, [trajectory, cot])
    counts = write_dataset(tmp_path, {task.id: task}, result, little.library().chunks[:3], DatasetConfig())
    assert (counts["kept"], counts["cpt_chunks"], counts["teams"]) == (2, 3, {"teacher": 2})
    assert read_json(tmp_path / "dataset.json", "dataset")["kept"] == 2
    loaded = datasets.load_dataset(
        "json", data_files=str(tmp_path / "data" / "sft.jsonl"), cache_dir=str(tmp_path / "c")
    )
    rows = list(loaded["train"])
    raw = read_jsonl(tmp_path / "data" / "sft.jsonl")
    assert [row["messages"] for row in rows] == [row["messages"] for row in raw]
    assert json.loads(rows[0]["tools"])[0]["function"]["name"] == "search"
    assert rows[0]["messages"][2]["tool_calls"][0]["function"]["arguments"] == {"query": "heater_limit default"}
    assert "null" not in json.dumps(raw)
    card = (tmp_path / "data" / "README.md").read_text()
    assert "2 episodes = 2 kept + 0 dropped" in card


def test_hidden_reasoning_is_trained_only_on_request(good: tuple[Task, Trajectory]) -> None:
    _, trajectory = good
    thinking = tuple({**m, "reasoning_content": "hm"} if m["role"] == "assistant" else m for m in trajectory.messages)
    told = changed(trajectory, messages=thinking)
    assert "reasoning_content" not in json.dumps(sft_row(told))
    assert json.dumps(sft_row(told, reasoning=True)).count("reasoning_content") == 2


def test_training_texts_hold_what_a_student_reads(good: tuple[Task, Trajectory]) -> None:
    _, trajectory = good
    texts = dict(training_texts([trajectory], little.library().chunks[:1], DatasetConfig()))
    assert set(texts) == {trajectory.key, little.library().chunks[0].id}
    assert "[1] The heater > heater_limit" in texts[trajectory.key]
    assert "heater_limit default" in texts[trajectory.key]
