"""Commands that read run folders: `list` finds episodes, `compare` pairs two runs, and both speak JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic_run import episode, make_task, play, write_arm

from agents.errors import StageError
from agents.files import write_json, write_jsonl, write_text
from agents.task import Task
from evals.journal import finished
from evals.scoring import score_arm
from evals.stats import mcnemar, newcombe, pairs
from graphs.runner.ledger import Ledger
from retort.against import compared, text
from retort.cli import main
from retort.listing import Listing, Wanted

OVERRIDE = "\u202e"


def written(run: Path, right: int, *, test: int = 24, seed: int = 0, name: str = "one", tasks: object = None) -> Path:
    """A run folder whose student got the first `right` of `test` tasks right."""
    exam = tasks if isinstance(tasks, list) else [make_task(i) for i in range(test)]
    train = [make_task(i, "train") for i in range(6)]
    write_jsonl(run / "exam.jsonl", exam if isinstance(tasks, list) else [*train, *exam])
    write_text(run / "run.toml", f'name = "{name}"\nseed = {seed}\n[corpus]\nsource = "stdlib"\n[sft]\nmax_steps = 3\n')
    write_json(run / "run.json", {"config": "run.toml"})
    asked = [task for task in exam if task.split == "test"]
    played = play(asked, "student", lambda i: i < right)
    write_arm(run, "student", played)
    write_jsonl(run / "scores" / "student.jsonl", finished(score_arm(asked, played, "student")))
    with Ledger(run / "scores" / "ledger.sqlite") as ledger:
        for each in played:
            ledger.add(each)
    with Ledger(run / "ledger.sqlite") as ledger:
        for i, task in enumerate(train):
            answer = None if i == 5 else task.gold if i % 2 else f"wr{OVERRIDE}ong\n{i}"
            label = "limit:steps" if answer is None else "accepted" if i % 2 else "wrong"
            ledger.add(episode(task, "teacher", answer, label=label))
    write_jsonl(run / "kept.jsonl", [{"key": f"teacher-{train[1].id}"}])
    write_jsonl(run / "dropped.jsonl", [{"key": f"teacher-{train[0].id}", "reason": "wrong"}])
    write_json(run / "board.json", [{"name": "same board", "numbers": {"rules": f"r{seed}", "graph": "g"}}])
    return run


def keys(run: Path, **wanted: object) -> list[str]:
    listing = Listing(run, Wanted(**wanted))  # type: ignore[arg-type]
    return [json.loads(line)["key"] for line in listing.lines(as_json=True)]


def test_episodes_are_found_by_what_is_known_of_them(tmp_path: Path) -> None:
    run = written(tmp_path / "run", right=9)
    assert len(keys(run)) == 30
    assert len(keys(run, split="train")) == len(keys(run, arm="teacher")) == 6
    assert len(keys(run, arm="student", right=True)) == 9
    assert len(keys(run, arm="student", right=False)) == 15
    assert keys(run, label="limit") == keys(run, stop="limit:steps") == keys(run, stop="limit") == ["teacher-train005"]
    assert len(keys(run, level="engineer", split="test")) == 8
    assert keys(run, text="KETTLE_TEST_23") == ["student-test023"]
    assert keys(run, text="no such words") == []


def test_an_arm_is_a_row_of_the_leaderboard_and_not_all_that_its_team_played(tmp_path: Path) -> None:
    """The closed-book arm is the student's team too."""
    run = written(tmp_path / "run", right=9)
    tasks = [make_task(i) for i in range(4)]
    closed = play(tasks, "student", lambda i: False, mode="cot")
    closed = [each.model_copy(update={"key": f"closed-{each.task_id}"}) for each in closed]
    rows = finished(score_arm(tasks, closed, "student closed book"))
    write_jsonl(run / "scores" / "student-closed-book.jsonl", rows)
    with Ledger(run / "scores" / "ledger.sqlite") as ledger:
        for each in closed:
            ledger.add(each)
    assert len(keys(run, arm="student")) == 24
    assert keys(run, arm="student closed book") == [each.key for each in closed]


def test_each_line_holds_the_key_that_show_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = written(tmp_path / "run", right=9)
    assert main(["list", str(run), "--split", "train", "--wrong", "--label", "wrong"]) == 0
    out, said = capsys.readouterr()
    header, *rows = out.splitlines()
    assert header.split()[:7] == ["key", "split", "arm", "form", "level", "right", "label"]
    assert len(rows) == 3
    assert OVERRIDE not in out
    assert r"\u202e" in out
    assert "3 of 6 episodes" in said
    key = rows[0].split()[0]
    assert main(["show", str(run), key]) == 0
    assert key in capsys.readouterr().out


def test_the_list_as_json_has_a_row_an_episode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = written(tmp_path / "run", right=9)
    assert main(["list", str(run), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    by_key = {row["key"]: row for row in rows}
    assert by_key["teacher-train001"]["dataset"] == "kept"
    assert by_key["teacher-train000"]["dataset"] == "wrong"
    assert (
        by_key["student-test000"] | {"arms": ["student"], "right": True, "split": "test", "gold": "100"}
        == by_key["student-test000"]
    )


@pytest.mark.parametrize(
    ("wanted", "said"),
    [({"arm": "studnet"}, "student, teacher"), ({"label": "good"}, "accepted, "), ({"level": "easy"}, "engineer, ")],
)
def test_what_no_episode_can_have_is_refused(wanted: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=said):
        keys(written(tmp_path / "run", right=9), **wanted)
    with pytest.raises(StageError, match="no run folder"):
        keys(tmp_path / "absent")


def test_two_runs_are_compared_on_the_tasks_that_both_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = written(tmp_path / "a", right=18, name="a")
    later = [make_task(i) for i in range(4, 30)]
    two = written(tmp_path / "b", right=6, seed=7, name="b", tasks=later)
    found = compared(one, two)
    assert found.shared == 20
    assert (found.first.right, found.second.right) == (14, 6)
    assert (found.won, found.lost) == (8, 0)
    table = pairs([1.0] * 14 + [0.0] * 6, [1.0] * 6 + [0.0] * 14)
    assert found.p == mcnemar(table)
    assert found.interval == newcombe(table)
    assert found.differs == {"seed": (0, 7)}
    assert found.boards == {"rules": ("r0", "r7")}
    said = text(found)
    assert "right 14 of 20, 70.0 %" in said
    assert "+40.0 points" in said
    assert "seed" in said
    assert "boards differ in rules" in said
    assert main(["compare", str(one), str(two), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shared"] == 20


def test_a_task_that_asks_something_else_is_not_shared(tmp_path: Path) -> None:
    one = written(tmp_path / "a", right=18)
    other = [make_task(i, gold="999", options=("999", "1", "2", "3")) if i < 4 else make_task(i) for i in range(24)]
    assert compared(one, written(tmp_path / "b", right=18, tasks=other)).shared == 20


@pytest.mark.parametrize(
    ("tasks", "why"),
    [
        ([make_task(i) for i in range(100, 110)], "other manuals, facts or kinds of question"),
        ([make_task(i, id=f"test{i:03}", split="train") for i in range(24)] + [make_task(50)], "split them otherwise"),
        ([make_task(i, question=f"Why {i}?") for i in range(24)], "ask something else"),
    ],
)
def test_runs_without_a_shared_task_are_refused(tasks: list[Task], why: str, tmp_path: Path) -> None:
    one, two = written(tmp_path / "a", right=18), written(tmp_path / "b", right=1, tasks=tasks)
    with pytest.raises(StageError, match=why):
        compared(one, two)


def test_an_arm_that_did_not_play_is_named_with_those_that_did(tmp_path: Path) -> None:
    one, two = written(tmp_path / "a", right=18), written(tmp_path / "b", right=1)
    with pytest.raises(StageError, match="'teacher'; there are student"):
        compared(one, two, "teacher")
    with pytest.raises(StageError, match="did not sit the choice form"):
        compared(one, two, "student", "choice")
    with pytest.raises(StageError, match="no run folder"):
        compared(one, tmp_path / "c")
