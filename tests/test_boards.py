"""The board of collecting and that of the exam are compared by name: prompts, tools and graph must agree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import silence
from kettle_run import CONFIG, folder_of

from agents.files import read_json, write_json
from retort.boards import COLLECTED, differences
from retort.cli import main
from retort.config import load_config
from retort.stages import states

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = CONFIG.replace(
    "[student]\nmax_tokens = 24",
    '[student]\nstages = []\n[teams.teacher]\nreason = "scripted:answer-key"\n'
    '[teams.student]\nreason = "scripted:answer-key"',
)


def test_a_whole_run_was_played_on_one_board(whole: Path) -> None:
    parts = {"graph", "prompts", "tools", "rules", "library", "index"}
    assert set(read_json(whole / "run" / COLLECTED, "collect")) == parts
    assert differences(whole / "run") == []
    assert read_json(whole / "run" / "leaderboard_notes.json", "leaderboard") == []


@pytest.mark.parametrize("part", ["prompts", "tools", "graph"])
def test_what_differs_is_named_by_plan_and_on_the_leaderboard(
    part: str, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, config = copied / "run", str(copied / "run.toml")
    write_json(run / COLLECTED, {**read_json(run / COLLECTED, "collect"), part: "another"})
    (note,) = differences(run)
    assert part in note
    assert "another" in note
    assert main(["plan", config, "--run", str(run)]) == 0
    assert note in " ".join(capsys.readouterr().out.split())
    # The stage that wrote the file would mend it; the leaderboard must tell of what is there.
    marks = read_json(run / "stages.json", "run")
    del marks["collect"]["made"][COLLECTED]
    write_json(run / "stages.json", marks)
    assert states(load_config(copied / "run.toml"), run)["leaderboard"] == "stale"
    assert main(["leaderboard", config, "--run", str(run)]) == 0
    said = capsys.readouterr()
    assert note in " ".join(said.err.split())
    assert note in " ".join(said.out.split())
    assert read_json(run / "leaderboard_notes.json", "leaderboard") == [note]


@pytest.mark.parametrize("part", ["rules", "library"])
def test_help_and_held_out_pages_differ_on_purpose(part: str, copied: Path) -> None:
    run = copied / "run"
    write_json(run / COLLECTED, {**read_json(run / COLLECTED, "collect"), part: "another"})
    assert differences(run) == []


def test_nothing_is_said_of_what_was_not_played(tmp_path: Path) -> None:
    assert differences(tmp_path) == []
    write_json(tmp_path / COLLECTED, {"prompts": "a"})
    assert differences(tmp_path) == []


def test_a_prompt_edited_between_collecting_and_the_exam(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for room in ("agents", "distill", "evals", "finetune", "graphs", "retort"):
        shutil.copytree(ROOT / room, project / room, ignore=shutil.ignore_patterns("__pycache__"))
    root = folder_of(tmp_path, SCRIPTS)

    def retort(command: str) -> str:
        line = [sys.executable, "-m", "retort", command, str(root / "run.toml"), "--run", str(root / "run")]
        environment = {**os.environ, "PYTHONPATH": silence.path(project)}
        done = subprocess.run(line, cwd=project, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    for command in ("index", "exam", "collect"):
        retort(command)
    with (project / "agents" / "prompts" / "react.txt").open("a") as stream:
        stream.write("\nBe brief.\n")
    assert "other prompts than the exam" in retort("evaluate")
    assert "other prompts than the exam" in " ".join(retort("plan").split())
