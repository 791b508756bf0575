"""The leaderboard in two forms, on two splits, with what it says of figures that mean little."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import synthetic_run as synthetic

from agents.errors import BoardError, ConfigError, StageError
from agents.files import read_jsonl, write_jsonl, write_text
from agents.task import Task
from distill.exam.baselines import BASELINES, Chances, Guess, Registered
from evals.compare import best_by_level, best_trivial, groups_of, level_comparisons
from evals.journal import finished
from evals.leaderboard import ArmSpec, Leaderboard, build_leaderboard, format_table, read_arm, write_leaderboard
from evals.looks import different_students, looked, looks
from evals.notes import clock_notes, format_notes, level_notes
from evals.report import write_report
from evals.scoring import score_arm
from retort.config import load_config

TASKS = 60


def flat(text: str) -> str:
    """Text without its line breaks."""
    return " ".join(text.split())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A synthetic run that a test may spoil."""
    return synthetic.write_run(tmp_path / "synthetic", TASKS)


def held_out() -> list[Task]:
    """Its held-out tasks."""
    return [task for task in synthetic.make_tasks(TASKS) if task.split == "test"]


def board_of(run: Path, **options: Any) -> Leaderboard:
    """Its leaderboard."""
    return build_leaderboard(run, synthetic.ARMS, **options)


def test_both_forms_stand_in_the_table_and_in_the_file(run: Path) -> None:
    board = board_of(run)
    assert (board.form, list(board.also)) == ("free", ["choice"])
    student = board.row("student")
    assert (student.accuracy.right, student.also["choice"].accuracy.right) == (54, 57)
    assert {rate.n for rate in student.also["choice"].levels.values()} == {20}
    hows = [row.also["choice"].how for row in board.rows]
    assert hows == ["likelihood", "likelihood", "graph", "likelihood", "graph"]
    lines = format_table(board).splitlines()
    assert next(line for line in lines if line.startswith("right, %")).endswith("choice")
    assert next(line for line in lines if line.startswith("base ")).endswith("33.3 [23-46]^")
    assert next(line for line in lines if line.startswith("(random)")).split()[-1] == "25.0"
    text = flat(format_table(board))
    assert "base, base+cpt after the passages that a search with the question brings" in text
    assert "student closed book without passages." in text
    write_leaderboard(run, board)
    told = json.loads((run / "leaderboard.json").read_text())
    assert set(told["also"]["choice"]["levels"]) == set(told["rows"][2]["also"]["choice"]["levels"])
    assert {"random", "longest option", "frequent value"} <= {
        row["name"] for row in told["also"]["choice"]["baselines"]
    }


def test_the_first_form_is_the_primary_one(run: Path) -> None:
    for arm in synthetic.ARMS:  # the files of a run whose first form is choice
        mode = {"mode": arm.mode}
        synthetic.write_arm(
            run, arm.name, synthetic.play(held_out(), arm.name, lambda i: i % 2 == 0, form="choice", **mode)
        )
        synthetic.write_arm(run, arm.name, synthetic.play(held_out(), arm.name, lambda i: i % 3 == 0, **mode), "free")
    board = board_of(run, forms=["choice", "free"])
    assert (board.form, list(board.also)) == ("choice", ["free"])
    base = board.row("base")
    assert (base.how, base.accuracy.right, base.also["free"].how, base.also["free"].accuracy.right) == (
        "graph", 30, "graph", 20,
    )  # fmt: skip
    with pytest.raises(BoardError, match="'base' says form 'free' and was played in 'choice'"):
        board_of(run, forms=["free"])


def test_only_tasks_with_options_are_asked_in_the_choice_form(run: Path) -> None:
    tasks = [task.model_copy(update={"options": ()}) if i % 2 else task for i, task in enumerate(held_out())]
    write_jsonl(run / "exam.jsonl", [*synthetic.make_tasks(0), *tasks])
    for arm in ("student", "teacher"):
        kept = {task.id for task in tasks if task.options}
        rows = [row for row in read_arm(run, arm, form="choice") if row.task_id in kept]
        synthetic.write_arm(run, arm, rows, "choice")
    board = board_of(run)
    assert (board.n, board.also["choice"].n, board.row("student").also["choice"].n) == (60, 30, 30)
    assert "; 30 in the choice form" in flat(format_table(board))
    write_jsonl(run / "exam.jsonl", [task.model_copy(update={"options": ()}) for task in held_out()])
    assert not board_of(run).also and "choice" not in format_table(board_of(run)).split("how they play")[0]
    with pytest.raises(BoardError, match="has options"):
        board_of(run, forms=["choice"])


def test_an_arm_without_a_choice_figure_says_why(run: Path) -> None:
    arms = [arm.model_copy(update={"choice": "none"}) if arm.name == "base" else arm for arm in synthetic.ARMS]
    board = build_leaderboard(run, arms)
    assert "choice" not in board.row("base").also
    text = format_table(board)
    assert next(line for line in text.splitlines() if line.startswith("base ")).split()[-1] == "-"
    assert "base: - in the choice form" in text and 'choice = "graph"' in flat(text)
    assert "base" not in {
        c.other for row in board.rows for c in row.also.get("choice", row).against if "choice" in row.also
    }


def test_a_zero_of_format_and_the_clock_are_said(run: Path) -> None:
    slow = [synthetic.episode(task, "student", None, stop="limit:seconds") for task in held_out()[:28]]
    rest = synthetic.play(held_out()[28:], "student", lambda i: True)
    synthetic.write_arm(run, "student", [*slow, *rest])
    quiet = [synthetic.episode(task, "teacher", None, stop="malformed", form="choice") for task in held_out()]
    synthetic.write_arm(run, "teacher", quiet, "choice")
    board = board_of(run)
    assert clock_notes(board) == ["!student: 28 of 60 ended by the clock"]
    lines = format_table(board).splitlines()
    assert any(line.startswith("student! ") for line in lines)
    below = lines.index("!student: 28 of 60 ended by the clock")
    assert lines[below - 1].startswith("(") and lines[below + 1] == "", "right under the table"
    said = format_notes(board)
    assert said == [
        "base: 67 % of its episodes ended without an answer that could be read; its figure says nothing of what it "
        "knows (choice column: by likelihood).",
        "teacher (choice form): 100 % of its episodes ended without an answer that could be read; its figure says "
        "nothing of what it knows.",
    ]
    write_leaderboard(run, board)
    assert "53.3 [41-65]; 28 of 60 ended by the clock" in (run / "leaderboard.md").read_text()
    assert "28 of 60 ended by the clock" in write_report(run, board).read_text(encoding="utf-8")


def test_giving_up_in_words_can_be_read(run: Path) -> None:
    honest = [synthetic.episode(task, "base", "I don't know", stop="gave_up") for task in held_out()]
    synthetic.write_arm(run, "base", honest)
    board = board_of(run)
    assert board.row("base").means["answered"] == 0.0 and not format_notes(board)


def test_an_answer_that_names_no_option_is_counted_as_none(run: Path) -> None:
    vague = [synthetic.episode(task, "student", "one of them", form="choice") for task in held_out()]
    synthetic.write_arm(run, "student", vague, "choice")
    choice = board_of(run).row("student").also["choice"]
    assert (choice.means["answered"], choice.stops, choice.unread) == (0.0, {"no_option": 60}, 1.0)


@pytest.fixture
def oracle() -> Any:
    """A baseline that is right on every third task, registered for the test."""

    def guess(tasks: Any, train: Any, form: Any) -> Chances:
        """Right on every third task."""
        return [float(task.level == "engineer") for task in tasks]

    function: Guess = guess
    BASELINES["engineers alone"] = Registered(function, ("free",))
    yield
    del BASELINES["engineers alone"]


def test_every_baseline_is_compared_and_the_best_of_all_is_shown(run: Path, oracle: Any) -> None:
    board = board_of(run)
    assert board.best is not None and board.best.name == "engineers alone"
    assert {level: best.name for level, best in board.best_by_level.items()}["engineer"] == "engineers alone"
    assert board.best_by_level["professional"].name != "engineers alone"
    student = board.row("student")
    family = list(student.against)
    assert {c.other for c in family} == {"base", "teacher", "engineers alone", "frequent value"} | {
        name for name, one in BASELINES.items() if "free" in one.forms
    }
    best = family[-1]
    assert (best.role, best.better, best.worse) == ("trivial", 36, 2) and best.p < 1e-8
    assert len({(c.role, c.other) for c in family}) == len(family)
    text = flat(format_table(board))
    assert "student - engineers alone (best trivial): +56.7 points" in text and "(engineers alone)" in text
    assert "engineer: student - engineers alone (best trivial): -10.0 points" in text
    notes = level_notes(board)
    assert notes[0].startswith(
        "student is not above the best trivial player of level engineer (engineers alone): -10.0"
    )
    assert not any("(engineers alone)" in note for note in notes[1:])
    assert board.also["choice"].best is not None and board.also["choice"].best.name != "engineers alone"


def test_the_best_of_a_level_is_played_on_its_tasks_alone() -> None:
    tasks = held_out()
    rows = finished(score_arm(tasks, synthetic.play(tasks, "x", lambda i: i % 3 != 1), "x"))
    guesses = {"half": [0.5] * TASKS, "pro": [float(t.level == "professional") for t in tasks]}
    best = best_by_level(tasks, guesses, None, None)
    assert {level: (each.name, each.accuracy) for level, each in best.items()} == {
        "engineer": ("half", 0.5), "professional": ("pro", 1.0), "consultant": ("half", 0.5),
    }  # fmt: skip
    found = level_comparisons("x", tasks, {"x": rows}, guesses, best)
    assert [(c.level, c.other, round(c.difference, 6), c.better, c.worse) for c in found] == [
        ("engineer", "half", 0.5, 10.0, 0.0), ("professional", "pro", -1.0, 0.0, 20.0),
        ("consultant", "half", 0.5, 10.0, 0.0),
    ]  # fmt: skip
    assert all(c.p < 0.001 and c.p <= c.p_holm for c in found)
    assert best_trivial({}, None, None) is None
    with_base = best_trivial(guesses, [1.0] * TASKS, "base")
    assert with_base is not None and (with_base.name, with_base.accuracy) == ("base", 1.0)


def test_a_question_of_two_look_ups_belongs_to_two_groups() -> None:
    one, two = synthetic.make_task(0, group="a"), synthetic.make_task(2, group="b")
    both = synthetic.make_task(4, group="a", entities=(one.entities[0], two.entities[0]))
    stranger = synthetic.make_task(6, group="c", entities=("x", "y"))
    told = synthetic.make_task(8, group="d", groups=("d", "e"))
    assert groups_of([one, two, both, stranger, told]) == [{"a"}, {"b"}, {"a", "b"}, {"c", "entity y"}, {"d", "e"}]


def test_dev_is_scored_apart_and_says_so(run: Path) -> None:
    dev = [synthetic.make_task(i, "dev") for i in range(12)]
    write_jsonl(run / "exam.jsonl", [*synthetic.make_tasks(TASKS), *dev])
    for arm in synthetic.ARMS:
        rows = synthetic.play(dev, arm.name, lambda i: i != 3, mode=arm.mode)
        write_jsonl(run / "scores" / "dev" / f"{synthetic.stem(arm.name)}.trajectories.jsonl", rows)
    board = board_of(run, split="dev", forms=["free"])
    text = format_table(board)
    assert text.startswith("DEV: student: 91.7 % of 12 dev tasks right")
    write_leaderboard(run, board)
    assert (run / "scores" / "dev" / "baselines.jsonl").exists()
    assert sorted(path.name for path in run.glob("leaderboard*")) == ["leaderboard.dev.json", "leaderboard.dev.md"]
    assert "DEV: student" in (run / "leaderboard.dev.md").read_text()
    with pytest.raises(StageError, match=r"retort evaluate --split dev` for arm 'student'"):
        board_of(run, split="dev")
    write_jsonl(run / "exam.jsonl", synthetic.make_tasks(TASKS))
    with pytest.raises(StageError, match="no task of split 'dev'"):
        board_of(run, split="dev", forms=["free"])


def test_looks_at_the_test_are_counted_by_student(run: Path) -> None:
    tasks = held_out()
    assert different_students(run, tasks) == 1 and board_of(run).looks == 1
    for student in ("s1", "s1", "s2"):
        looked(run, tasks, {"base": "b", "student": student, "closed": student}, ["student", "closed"])
    assert [(look.students, look.times) for look in looks(run)] == [(("s1",), 2), (("s2",), 1)]
    board = board_of(run)
    assert board.looks == 2
    assert "test was evaluated 2 times with different students" in format_table(board)
    looked(run, tasks[:-1], {"student": "s3"}, ["student"])
    assert different_students(run, tasks) == 2, "another exam is counted apart"
    looked(run, tasks, {"a": "1", "b": "2"}, [])
    assert looks(run)[-1].students == ("1", "2")
    write_text(run / "scores" / "looks.json", "{")
    assert looks(run) == [] and board_of(run).looks == 1


def test_the_viewer_shows_options_of_the_choice_form_alone(run: Path) -> None:
    page = write_report(run, board_of(run)).read_text(encoding="utf-8")
    assert '{"name":"student (choice form)","kind":"student","form":"choice","split":"test"}' in page
    assert 'form(task, arm) === "choice"' in page
    asked = [row["messages"][0]["content"] for row in read_jsonl(run / "scores" / "student.trajectories.jsonl")]
    assert not any("\nA) " in text for text in asked)


@pytest.mark.parametrize("forms", ['["free", "free"]', "[]", '["oral"]'])
def test_forms_of_a_config(forms: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    start = 'name = "x"\n[corpus]\nsource = "stdlib"\n[evaluate]\n'
    path.write_text(f"{start}forms = {forms}\n")
    with pytest.raises(ConfigError, match="evaluate.forms"):
        load_config(path)
    path.write_text(f'{start}forms = ["choice"]\n[[evaluate.arms]]\nname = "a"\nteam = "base"\nchoice = "off"\n')
    config = load_config(path)
    assert config.evaluate.forms == ("choice",) and config.arms()[0].in_choice("hf:x") == "none"
    path.write_text(start)
    assert load_config(path).evaluate.forms == ("free", "choice")


def test_arms_of_the_same_name_as_a_baseline_are_refused(run: Path) -> None:
    shutil.copy(run / "scores" / "student.trajectories.jsonl", run / "scores" / "random.trajectories.jsonl")
    with pytest.raises(BoardError, match="'random' has the name of a trivial baseline"):
        build_leaderboard(run, [ArmSpec(name="random", player="team")])
