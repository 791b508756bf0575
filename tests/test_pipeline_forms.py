"""Both forms and the dev tasks in the whole line, from the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agents.files import read_json, read_jsonl
from retort.cli import main
from retort.config import load_config
from retort.stages import states


def test_both_forms_stand_on_the_leaderboard(whole: Path) -> None:
    rows = {row["arm"]: row["also"]["choice"] for row in read_json(whole / "run" / "leaderboard.json", "x")["rows"]}
    assert {arm: row["how"] for arm, row in rows.items()} == {
        "base": "likelihood",
        "base+cpt": "likelihood",
        "student": "graph",
        "student closed book": "likelihood",
        "teacher": "graph",
    }
    assert rows["teacher"]["accuracy"]["value"] == 1.0 and {row["n"] for row in rows.values()} == {6}
    weighed = read_jsonl(whole / "run" / "scores" / "base.choice.likelihood.jsonl")
    assert [row["passages"] for row in weighed] == [True] * 6
    closed = read_jsonl(whole / "run" / "scores" / "student-closed-book.choice.likelihood.jsonl")
    assert not any(row["passages"] for row in closed) and len(read_jsonl(whole / "run" / "scores" / "base.jsonl")) == 6
    (look,) = read_json(whole / "run" / "scores" / "looks.json", "x")
    assert set(look["players"]) == set(rows) and len(look["students"]) == 1


def test_dev_is_played_without_a_look_at_the_test(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole / "run", run)
    shutil.rmtree(run / "scores")
    for name in ("leaderboard.json", "report.html"):
        (run / name).unlink()
    command = [str(whole / "run.toml"), "--run", str(run), "--split", "dev"]
    assert main(["leaderboard", *command]) == 2
    assert "retort evaluate --split dev" in capsys.readouterr().err
    assert main(["evaluate", *command]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("DEV: student: ") and "dev tasks right" in said.out
    dev = {row["id"] for row in read_jsonl(run / "exam.jsonl") if row["split"] == "dev"}
    played = {row["task_id"] for row in read_jsonl(run / "scores" / "dev" / "teacher.trajectories.jsonl")}
    assert played <= dev and len(played) == 6
    assert sorted(path.name for path in (run / "scores").iterdir()) == ["dev"]
    assert (run / "leaderboard.dev.md").exists() and not (run / "leaderboard.json").exists()
    assert main(["leaderboard", *command]) == 0
    assert capsys.readouterr().out == said.out
    assert main(["run", *command]) == 0
    again = capsys.readouterr()
    assert again.out == said.out and again.err.count("fresh") == 6
    key = read_jsonl(run / "scores" / "dev" / "teacher.trajectories.jsonl")[0]["key"]
    assert main(["show", str(run), key]) == 0
    assert "  react  free  stop answered" in capsys.readouterr().out


def test_playing_dev_makes_nothing_stale(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole / "run", run)
    config = load_config(whole / "run.toml")
    assert set(states(config, run).values()) == {"fresh"}
    assert main(["evaluate", str(whole / "run.toml"), "--run", str(run), "--split", "dev"]) == 0
    assert set(states(config, run).values()) == {"fresh"}
    (run / "scores" / "dev" / "teacher.jsonl").unlink()
    assert set(states(config, run).values()) == {"fresh"}
    (run / "scores" / "looks.json").unlink()
    assert states(config, run)["evaluate"] == "stale", "the count of looks at the test is part of what was made"
