"""The leaderboard: numbers, refusals, files and the terminal table, over a synthetic run folder."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import little
import pytest
import synthetic_run as synthetic

from agents.errors import BoardError, StageError
from agents.files import read_jsonl, write_jsonl
from distill.exam.baselines import BASELINES
from evals.leaderboard import (
    ArmSpec,
    Leaderboard,
    build_leaderboard,
    format_table,
    read_arm,
    write_leaderboard,
)
from evals.replay import replay
from evals.scores import Score


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic run of 60 held-out tasks. Read only."""
    return synthetic.write_run(tmp_path_factory.mktemp("board") / "synthetic", 60)


@pytest.fixture(scope="module")
def board(whole: Path) -> Leaderboard:
    """Its leaderboard."""
    return build_leaderboard(whole, synthetic.ARMS)


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may spoil."""
    return shutil.copytree(whole, tmp_path / "synthetic")


def test_rows_hold_what_was_played(board: Leaderboard) -> None:
    student = board.row("student")
    assert (student.n, student.missing, student.accuracy.right, student.accuracy.value) == (60, 0, 54, 0.9)
    assert [student.accuracy.low, student.accuracy.high] == pytest.approx([0.7985, 0.9534], abs=1e-4)
    assert {level: rate.n for level, rate in student.levels.items()} == dict.fromkeys(board.levels, 20)
    assert student.unseen is not None and student.unseen.n == 12 == board.unseen
    assert student.means["prompt_tokens"] == 400 and student.means["evidence_recall"] == 1.0
    base = board.row("base")
    assert base.means["answered"] == pytest.approx(1 / 3) and base.stops == {"limit:steps": 40, "answered": 20}
    assert base.reasons == {"no_answer": 40, "wrong": 15}
    closed = board.row("student closed book")
    assert (closed.means["searched"], closed.means["evidence_recall"], closed.means["grounded"]) == (0.0, None, None)
    assert closed.kind == "student, closed book"
    assert (board.n, board.groups, board.board) == (60, 30, synthetic.BOARD)


def test_the_demonstrator_is_called_what_it_is(board: Leaderboard) -> None:
    teacher = board.row("teacher")
    assert teacher.demonstrator and teacher.kind == "scripted demonstrator, no LLM"
    assert teacher.seat == "scripted:answer-key"
    assert ArmSpec(name="x", player="team", seat="scripted:lines@x.jsonl").kind == "team (a script, no LLM)"
    assert ArmSpec(name="x", player="teacher", seat="openai:big").kind == "teacher"


def test_comparisons_are_paired(board: Leaderboard) -> None:
    base, teacher, *baselines = board.row("student").against
    assert (base.role, base.other, base.better, base.worse) == ("base", "base", 49, 0)
    assert base.difference == pytest.approx(49 / 60) and base.p < 1e-12
    assert (teacher.role, teacher.better, teacher.worse, teacher.p) == ("teacher", 0, 6, 0.03125)
    assert teacher.interval.low < -0.1 < teacher.interval.high < 0
    assert all(each.p <= each.p_holm for each in (base, teacher, *baselines))
    free = [name for name, one in BASELINES.items() if "free" in one.forms]
    assert sorted(each.other for each in baselines) == sorted(free)
    assert {each.role for each in board.row("teacher").against} == {"base", "baseline", "trivial"}


def test_the_base_may_be_the_best_trivial_player(run: Path) -> None:
    held_out = [task for task in synthetic.make_tasks(60) if task.split == "test"]
    synthetic.write_arm(run, "base", synthetic.play(held_out, "base", lambda i: i % 2 == 0))
    board = build_leaderboard(run, synthetic.ARMS)
    assert board.best is not None and (board.best.name, board.best.accuracy) == ("base", 0.5)
    base, teacher, *_, trivial = board.row("student").against
    assert trivial == base.model_copy(update={"role": "trivial"}) and teacher.role == "teacher"
    assert {each.role for each in board.row("base").against} == {"teacher", "baseline"}
    assert not board.row("base").by_level, "the base arm is the best of every level: nothing to compare it with"


def test_without_base_and_teacher_the_trivial_baseline_remains(whole: Path) -> None:
    board = build_leaderboard(whole, [arm for arm in synthetic.ARMS if arm.name == "student"])
    assert board.best is not None and board.best.name in BASELINES
    assert board.rows[0].against[-1].role == "trivial" and board.rows[0].against[-1].other == board.best.name
    said = "student: 90.0 % of 60 held-out tasks right (choice form 95.0 %); best trivial"
    assert " ".join(format_table(board).split()).startswith(f"{said} ({board.best.name}) ")


def test_missing_tasks_count_as_wrong(run: Path) -> None:
    rows = read_arm(run, "student")
    synthetic.write_arm(run, "student", rows[:50])
    board = build_leaderboard(run, synthetic.ARMS)
    student = board.row("student")
    assert (student.n, student.missing, student.accuracy.n, student.accuracy.right) == (60, 10, 60, 45)
    assert student.stops["missing"] == 10 and student.means["searched"] == pytest.approx(50 / 60)
    assert "student: 10 of 60 tasks have no episode and count as wrong." in format_table(board)


def test_another_board_is_refused_with_names_and_hashes(run: Path) -> None:
    rows = read_arm(run, "student")
    synthetic.write_arm(run, "student", [row.model_copy(update={"board": "feed0000"}) for row in rows])
    with pytest.raises(BoardError, match="different boards") as caught:
        build_leaderboard(run, synthetic.ARMS)
    said = str(caught.value)
    arms = "base, base+cpt, student, student closed book, teacher"  # the student's choice form is on the first board
    assert f"'{synthetic.BOARD}': {arms}" in said and "'feed0000': student" in said


def test_one_episode_of_another_board_is_refused(run: Path) -> None:
    rows = read_arm(run, "student")
    synthetic.write_arm(run, "student", [rows[0].model_copy(update={"board": "feed0000"}), *rows[1:]])
    with pytest.raises(BoardError, match="feed0000"):
        build_leaderboard(run, synthetic.ARMS)


def test_wrong_mode_double_names_and_absent_arms_are_refused(run: Path) -> None:
    closed = ArmSpec(name="student", player="student", mode="cot")
    with pytest.raises(BoardError, match="says mode 'cot' and was played in 'react'"):
        build_leaderboard(run, [closed])
    with pytest.raises(BoardError, match="arms 'base' and 'base' share a file"):
        build_leaderboard(run, [synthetic.ARMS[0], synthetic.ARMS[0]])
    with pytest.raises(BoardError, match="arms 'a b' and 'A-b' share a file"):
        build_leaderboard(run, [ArmSpec(name=name, player="team") for name in ("a b", "A-b")])
    with pytest.raises(BoardError, match="arms 'a' and 'a.choice' share a file"):
        build_leaderboard(run, [ArmSpec(name=name, player="team") for name in ("a", "a.choice")])
    with pytest.raises(BoardError, match="'frequent value' has the name of a trivial baseline"):
        build_leaderboard(run, [ArmSpec(name="frequent value", player="team")])
    with pytest.raises(StageError, match="run the stage 'evaluate' for arm 'nobody'"):
        build_leaderboard(run, [ArmSpec(name="nobody", player="team")])
    with pytest.raises(StageError, match="at least one arm"):
        build_leaderboard(run, [])


def test_exam_that_holds_nothing_out_or_is_absent(run: Path, tmp_path: Path) -> None:
    write_jsonl(run / "exam.jsonl", [task for task in synthetic.make_tasks(3) if task.split == "train"])
    with pytest.raises(StageError, match="no task of split 'test'"):
        build_leaderboard(run, synthetic.ARMS)
    with pytest.raises(StageError, match="run the stage 'exam' first"):
        build_leaderboard(tmp_path, synthetic.ARMS)


def test_records_of_another_shape_are_a_clear_error(run: Path) -> None:
    write_jsonl(run / "scores" / "student.trajectories.jsonl", [{"key": "x"}])
    with pytest.raises(StageError, match=r"holds a row that is no Trajectory .*run the stage 'evaluate' for arm"):
        build_leaderboard(run, synthetic.ARMS)


def test_only_the_first_tasks(run: Path) -> None:
    for arm in synthetic.ARMS:
        synthetic.write_arm(run, arm.name, read_arm(run, arm.name)[:10])
    board = build_leaderboard(run, synthetic.ARMS, tasks=10, forms=["free"])
    assert (board.n, board.row("student").missing, board.row("student").accuracy.right) == (10, 0, 9)


def test_seats_do_not_tell_this_machine(run: Path) -> None:
    arms = [
        ArmSpec(name="student", player="student", seat=f"hf:{run.resolve() / 'students' / 'sft'}"),
        ArmSpec(name="base", player="base", seat=f"hf:{run.resolve().parent / 'models' / 'tiny'}"),
    ]
    board = build_leaderboard(run, arms, forms=["free"])
    assert [row.seat for row in board.rows] == ["hf:students/sft", "hf:tiny"]


def test_files(run: Path, board: Leaderboard) -> None:
    write_leaderboard(run, board)
    assert Leaderboard.model_validate(json.loads((run / "leaderboard.json").read_text())) == board
    with (run / "leaderboard.csv").open(newline="") as stream:
        rows = {row["arm"]: row for row in csv.DictReader(stream)}
    student = rows["student"]
    assert list(rows) == [arm.name for arm in synthetic.ARMS]
    assert (float(student["accuracy"]), student["accuracy_right"], student["engineer_n"]) == (0.9, "54", "20")
    assert float(student["base_p"]) < 1e-12 and student["teacher_worse"] == "6"
    assert board.best is not None and student["trivial_other"] == board.best.name
    assert (student["choice_accuracy_right"], rows["base"]["choice_how"]) == ("57", "likelihood")
    assert float(student["engineer_trivial_p"]) < 0.001 and student["engineer_trivial_other"]
    assert rows["base"]["base_p"] == "" and rows["base"]["stops"] == "limit:steps=40;answered=20"
    text = (run / "leaderboard.md").read_text()
    assert "| student | 90.0 [80-95] |" in text and "| student | choice |" in text
    assert "`teacher`: scripted demonstrator, no LLM" in text
    assert not [path for path in run.iterdir() if path.name.startswith(".")]
    played = read_jsonl(run / "baselines.jsonl")
    assert len(played) == 120 and {row["form"] for row in played} == {"free", "choice"}
    for baseline in board.also["choice"].baselines:
        mean = sum(row["chances"][baseline.name] for row in played if row["form"] == "choice") / 60
        assert mean == pytest.approx(baseline.accuracy)


def test_table_fits_a_terminal(board: Leaderboard) -> None:
    text = format_table(board)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100 and text == text.rstrip()
    said = "student: 90.0 % of 60 held-out tasks right (choice form 95.0 %); base 8.3 %; best trivial"
    flat = " ".join(text.split())
    assert flat.startswith(said)
    sizes = flat.partition("60 tasks in ")[2].partition(" right, %")[0]
    assert sizes.endswith("professional 20, consultant 20; 12 on unseen modules; 60 in the choice form")
    assert "teacher*" in text and "scripted demonstrator, no LLM" in text and "student closed book~" in text
    assert "student - base: +81.7 points" in text and "(longest option)" in text
    table = [line for line in lines if line.startswith(("base ", "base+cpt", "student  ", "teacher*"))]
    assert {len(line) for line in table[:4]} == {len(table[0])}


def test_long_names_are_cut_and_still_fit(run: Path) -> None:
    name = "a student with a very long name that nobody would want to read in a table of a terminal"
    synthetic.write_arm(run, name, read_arm(run, "student"))
    long = ArmSpec(name=name, player="team", seat="scripted:answer-key", choice="none")
    text = format_table(build_leaderboard(run, [*synthetic.ARMS, long]))
    assert max(map(len, text.splitlines())) <= 100 and "…*  " in text


def test_what_is_played_on_the_graph_makes_a_board(kettle: Path, tmp_path: Path) -> None:
    run = shutil.copytree(kettle, tmp_path / "kettle")
    tasks = [task for task in little.tasks(little.library()) if task.split == "test"][:6]
    mute = little.seat(tmp_path, [{"content": "I cannot say."}])
    contexts = {
        "base": little.context(run, mute, verify="score"),
        "teacher": little.context(run, verify="score"),
    }
    said = replay(run, tasks, contexts, concurrency=2)
    assert said == "right: base 0/6, teacher 6/6; choice form: base 0/6, teacher 6/6"
    assert said == replay(run, tasks, contexts, concurrency=2)
    arms = [
        ArmSpec(name="base", player="base", seat="scripted:lines"),
        ArmSpec(name="teacher", player="teacher", seat="scripted:answer-key@exam.jsonl"),
    ]
    board = build_leaderboard(run, arms, tasks=6)
    base, teacher = board.rows
    assert (base.accuracy.right, base.means["answered"], base.means["searched"]) == (0, 0.0, 0.0)
    assert (teacher.accuracy.right, teacher.means["searched"], teacher.means["grounded"]) == (6, 1.0, 1.0)
    assert teacher.means["evidence_recall"] == 1.0 and board.board is not None
    assert Score.model_validate(read_jsonl(run / "scores" / "teacher.jsonl")[0]).right
    shown = [read_arm(run, "teacher", form=form)[0].messages[1]["content"] for form in (None, "choice")]
    assert "\nA) " not in shown[0] and "\nA) " in shown[1]
    assert teacher.also["choice"].accuracy.right == 6 and board.also["choice"].n == 6
