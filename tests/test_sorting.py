"""Sorting a ledger: the files it made before it streamed, agreement within one player, changed gold, little memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import silence
import synthetic_run

from agents.files import read_jsonl, write_jsonl
from agents.task import Task
from distill.dataset import DatasetConfig, training_texts, write_dataset
from distill.keep import reason_to_drop, rescored, sort_ledger, write_sorted
from graphs.runner.ledger import Ledger
from graphs.trajectory import Trajectory

HERE = Path(__file__).resolve().parent


def sampled(tasks: Sequence[Task], samples: int = 4) -> list[Trajectory]:
    """Several samples a task: right ones of different lengths, wrong ones, one that reached a limit, and strays."""
    found = []
    for i, task in enumerate(tasks):
        for sample in range(samples):
            right = (i + sample) % 3 != 0
            answer = task.gold if right else None if (i + sample) % 2 else synthetic_run.wrong_option(task)
            t = synthetic_run.episode(task, "teacher", answer, sample=sample, key=f"{task.id}-{sample}")
            calls = 2 + (i * 7 + sample * 5) % 4
            found.append(t.model_copy(update={"usage": t.usage.model_copy(update={"calls": calls})}))
    return [*found, found[0].model_copy(update={"key": "stray", "task_id": "nowhere"})]


def in_memory(tasks: dict[str, Task], episodes: list[Trajectory], per_task: int, run: Path) -> None:
    """What sorting wrote before it streamed: everything held at once, agreement over all of a task's samples."""
    groups: dict[tuple[str, ...], list[Trajectory]] = {}
    for t in episodes:
        groups.setdefault((t.task_id, t.team, t.board, t.mode), []).append(t)
    good: dict[tuple[str, str], list[Trajectory]] = {}
    kept: list[Trajectory] = []
    dropped: list[tuple[str, Trajectory]] = []
    for t in episodes:
        rivals = groups[t.task_id, t.team, t.board, t.mode]
        said = t.choice or t.answer
        same = Counter(each.choice or each.answer for each in rivals)[said] if said else 0
        share = round(same / len(rivals), 4) if len(rivals) > 1 else None
        t = t.model_copy(update={"agreement": share})
        reason = reason_to_drop(tasks.get(t.task_id), t)
        if reason is None:
            good.setdefault((t.task_id, t.mode), []).append(t)
        else:
            dropped.append((reason, t))
    for rivals in good.values():
        rivals.sort(key=lambda t: (t.usage.calls, len(t.messages), t.sample))
        kept += rivals[:per_task]
        dropped += [("surplus", t) for t in rivals[per_task:]]
    timeless: Any = {"usage": {"seconds": True, "roles": {"__all__": {"seconds"}}}}
    write_jsonl(run / "kept.jsonl", (t.model_dump(mode="json", exclude=timeless) for t in kept))
    rows = ({"reason": reason, **t.model_dump(mode="json", exclude=timeless)} for reason, t in dropped)
    write_jsonl(run / "dropped.jsonl", rows)


def filled(path: Path, episodes: Sequence[Trajectory]) -> Path:
    """A ledger with these episodes."""
    with Ledger(path) as ledger:
        for t in reversed(episodes):
            ledger.add(t)
    return path


@pytest.mark.parametrize("per_task", [1, 2])
def test_a_ledger_gives_the_very_files_that_it_gave_in_memory(tmp_path: Path, per_task: int) -> None:
    tasks = {task.id: task for task in synthetic_run.make_tasks()}
    path = filled(tmp_path / "l.sqlite", sampled(list(tasks.values())))
    with Ledger(path) as ledger:
        in_memory(tasks, list(ledger.trajectories()), per_task, tmp_path / "whole")
        result = sort_ledger(tasks, ledger, per_task)
        write_sorted(result, tmp_path / "streamed")
        counts = write_dataset(tmp_path / "streamed", tasks, result, [], DatasetConfig())
        assert len(list(training_texts(result.kept, [], DatasetConfig()))) == len(result.kept)
    for name in ("kept.jsonl", "dropped.jsonl"):
        assert (tmp_path / "streamed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    rows = read_jsonl(tmp_path / "whole" / "dropped.jsonl")
    assert result.reasons() == dict(Counter(row["reason"] for row in rows).most_common())
    assert {"surplus", "wrong", "limit:steps", "stray"} <= set(result.reasons())
    assert counts["kept"] == len(result.kept) == len(read_jsonl(tmp_path / "whole" / "kept.jsonl"))
    assert counts["turns"] == sum(row["usage"]["calls"] for row in read_jsonl(tmp_path / "whole" / "kept.jsonl"))


def test_agreement_is_among_samples_of_the_player_that_plays_now(tmp_path: Path) -> None:
    """A retrained or re-sampled team of the same name has left older samples of the same task on the same board."""
    task = synthetic_run.make_task(0, "train")
    wrong = synthetic_run.wrong_option(task)
    old = [synthetic_run.episode(task, "teacher", wrong, sample=n, key=f"old{n}") for n in range(4)]
    now = [synthetic_run.episode(task, "teacher", task.gold, sample=n, key=f"now{n}") for n in range(2)]
    with Ledger(filled(tmp_path / "l.sqlite", [*old, *now])) as ledger:
        result = sort_ledger({task.id: task}, ledger, 2, current={"now0", "now1"})
        assert [(t.key, t.agreement) for t in result.kept] == [("now0", 1.0), ("now1", 1.0)]
        assert {(row.reason, row.trajectory.agreement) for row in result.dropped} == {("stale", None)}
        alone = sort_ledger({task.id: task}, ledger, 1, current={"now1"})
        assert [t.agreement for t in alone.kept] == [None]


def corrected(task: Task) -> Task:
    """The task with another of its options as gold."""
    return task.model_copy(update={"gold": synthetic_run.wrong_option(task)})


def test_an_episode_is_judged_by_the_gold_of_today(tmp_path: Path) -> None:
    task = synthetic_run.make_task(0, "train")
    right = synthetic_run.episode(task, "teacher", task.gold, key="right", label="accepted")
    wrong = synthetic_run.episode(task, "teacher", corrected(task).gold, key="wrong", label="wrong")
    wrong = wrong.model_copy(update={"verdict": wrong.verdict.model_copy(update={"grounded": True})})
    assert rescored(task, right) is right
    assert rescored(task, wrong) is wrong
    with Ledger(filled(tmp_path / "l.sqlite", [right, wrong])) as ledger:
        before = sort_ledger({task.id: task}, ledger)
        assert [t.key for t in before.kept] == ["right"]
        after = sort_ledger({task.id: corrected(task)}, ledger)
        (kept,) = after.kept
        (dropped,) = after.dropped
    assert kept.key == "wrong"
    assert (kept.verdict.correct, kept.verdict.accepted, kept.verdict.reasons, kept.label) == (
        True,
        True,
        (),
        "accepted",
    )
    now = dropped.trajectory
    assert (dropped.reason, now.key, now.label) == ("wrong", "right", "wrong")
    assert (now.verdict.correct, now.verdict.accepted, now.verdict.reasons) == (False, False, ("wrong",))


def test_what_was_never_judged_stays_so() -> None:
    task = synthetic_run.make_task(0, "train")
    t = synthetic_run.episode(task, "teacher", None)
    t = t.model_copy(update={"verdict": t.verdict.model_copy(update={"correct": None})})
    assert rescored(corrected(task), t) is t


def test_other_reasons_stay_when_the_gold_changes() -> None:
    task = synthetic_run.make_task(0, "train")
    t = synthetic_run.episode(task, "teacher", task.gold)
    t = t.model_copy(update={"verdict": t.verdict.model_copy(update={"reasons": ("ungrounded",), "accepted": False})})
    now = rescored(corrected(task), t)
    assert now.verdict.reasons == ("ungrounded", "wrong")
    assert rescored(task, now).verdict == t.verdict


EPISODES = 20_000
PROGRAM = f"""
import json, resource, sqlite3, sys
from pathlib import Path
sys.path.insert(0, {str(HERE)!r})
import synthetic_run
from distill.dataset import DatasetConfig, training_texts, write_dataset
from distill.keep import sort_ledger, write_sorted
from graphs.runner.ledger import Ledger

folder = Path(sys.argv[1])
tasks = {{task.id: task for task in synthetic_run.make_tasks(0, {EPISODES // 4})}}
with Ledger(folder / "l.sqlite"):
    pass
db = sqlite3.connect(folder / "l.sqlite")
with db:
    for task in tasks.values():
        t = synthetic_run.episode(task, "teacher", task.gold)
        long = {{**t.messages[1], "content": "word " * 2000}}
        t = t.model_copy(update={{"messages": (t.messages[0], long, *t.messages[2:])}})
        for n in range(4):
            one = t.model_copy(update={{"key": f"{{task.id}}-{{n}}", "sample": n}})
            row = (one.key, one.task_id, one.team, one.mode, n, one.stop, 1, one.to_json())
            db.execute("INSERT INTO trajectories VALUES (?,?,?,?,?,?,?,?)", row)
db.close()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with Ledger(folder / "l.sqlite") as ledger:
    result = sort_ledger(tasks, ledger, 2)
    count = sum(len(text) > 0 for _, text in training_texts(result.kept, [], DatasetConfig()))
    write_dataset(folder, tasks, result, [], DatasetConfig())
    write_sorted(result, folder)
print(len(result.kept), len(result.dropped), count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_twenty_thousand_episodes_are_sorted_in_little_memory(tmp_path: Path) -> None:
    """11 KiB an episode: held at once they were more than 600 MB."""
    environment = {**os.environ, "PYTHONPATH": silence.path(HERE.parent)}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    kept, dropped, texts, grown_kib = map(int, done.stdout.split())
    assert (kept, dropped, texts) == (EPISODES // 2, EPISODES // 2, EPISODES // 2)
    assert grown_kib < 150 * 1024
