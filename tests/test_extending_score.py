"""The scores of docs/extending/score.md, read from there, stand in every table and file of a leaderboard."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import synthetic_run as synthetic

from agents.context import Seat
from agents.files import read_jsonl, read_model, write_jsonl
from agents.task import Task
from evals.asking import scoring_with
from evals.journal import finished
from evals.leaderboard import Leaderboard, build_leaderboard, format_table, write_leaderboard
from evals.report import write_report
from evals.scoring import score_arm

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending" / "score.md"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The page's file of scores."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "manners.py"
    path.write_text(code, encoding="utf-8")
    return path


def test_the_scores_of_the_page_need_no_other_edit(own: Path, tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "run", 20)
    write_jsonl(tmp_path / "opinion.jsonl", [{"reply": '{"polite": true}'}])
    seat = Seat(model=f"scripted:lines@{tmp_path / 'opinion.jsonl'}")
    names = ("search", f"{own}:brevity", f"{own}:politeness")
    scoring = scoring_with({"politeness": seat}, names, folder=run / "scores")
    tasks = [Task.model_validate(row) for row in read_jsonl(run / "exam.jsonl") if row["split"] == "test"]
    arms = [arm.model_copy(update={"choice": "none"}) for arm in synthetic.ARMS]
    for arm in arms:
        played = read_jsonl(run / "scores" / f"{synthetic.stem(arm.name)}.trajectories.jsonl")
        finished(score_arm(tasks, map(synthetic.Trajectory.model_validate, played), arm.name, scoring=scoring))
    board = build_leaderboard(run, arms, forms=("free",), scoring=scoring)
    student = board.row("student")
    assert student.means["polite"] == 1.0 and student.means["words"] == 1.0
    assert "prompt_tokens" not in student.means, "cost was not asked for"
    table = format_table(board)
    assert re.search(r"how they play +answer +search +queries +recall +ground +words +polite", table)
    assert "polite, %: A model finds the answer polite." in table
    write_leaderboard(run, board)
    (row,) = [
        each
        for each in csv.DictReader((run / "leaderboard.csv").read_text(encoding="utf-8").splitlines())
        if each["arm"] == "student"
    ]
    assert (row["mean_polite"], row["mean_words"]) == ("1.0", "1.0")
    assert "- `words`: Words. (words; lower is better)" in (run / "leaderboard.md").read_text(encoding="utf-8")
    assert read_model(run / "leaderboard.json", Leaderboard, "leaderboard") == board
    page = write_report(run, board).read_text(encoding="utf-8")
    assert '<th scope="col" title="Words.">words of the answer</th>' in page and "<dt><code>polite</code></dt>" in page
