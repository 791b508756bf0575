"""What a stage made: damage is seen and named, the named remedy mends it, and a ledger is never thrown away."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agents.files import read_json, read_jsonl, write_json
from graphs.contents import sha256_of
from graphs.runner.ledger import Ledger
from retort.cli import main
from retort.config import load_config
from retort.pipeline import Run
from retort.products import damage, ledger_keys, made
from retort.stages import Found, looked_at


def seen(root: Path) -> dict[str, Found]:
    """The stages of the run in `root`."""
    return looked_at(Run(load_config(root / "run.toml"), root / "run"))


def command(name: str, root: Path) -> int:
    """Run a command on the run in `root`."""
    return main([name, str(root / "run.toml"), "--run", str(root / "run")])


MADE = {
    "library/chunks.jsonl": "index",
    "library/library.json": "index",
    "library/index/vocab.index.json": "index",
    "facts.jsonl": "index",
    "exam.jsonl": "exam",
    "held_out.json": "exam",
    "exam.json": "exam",
    "kept.jsonl": "dataset",
    "dropped.jsonl": "dataset",
    "data/sft.jsonl": "dataset",
    "data/cpt.jsonl": "dataset",
    "dataset.json": "dataset",
    "leaks.json": "dataset",
    "leaderboard.md": "leaderboard",
    "report.html": "leaderboard",
}


@pytest.mark.parametrize("name", MADE)
def test_a_damaged_file_makes_its_stage_stale_and_the_stage_mends_it(name: str, copied: Path) -> None:
    path, stage = copied / "run" / name, MADE[name]
    before = path.read_bytes()
    path.write_bytes(before[: len(before) // 2] or b"something")
    found = seen(copied)[stage]
    assert found == Found("stale", f"{name} is not what the stage made")
    assert command(stage, copied) == 0
    assert seen(copied)[stage].state == "fresh"
    if name != "report.html":
        assert path.read_bytes() == before


def test_a_file_within_a_folder_that_is_gone(copied: Path) -> None:
    (copied / "run" / "library" / "library.json").unlink()
    assert seen(copied)["index"] == Found("stale", "library/library.json is gone")
    assert command("index", copied) == 0
    assert seen(copied)["index"].state == "fresh"


def test_a_run_mends_everything_and_trains_nothing_again(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = copied / "run"
    for name in ("exam.jsonl", "data/sft.jsonl", "scores/base.jsonl", "scores/student.trajectories.jsonl"):
        (run / name).write_text("not this")
    assert command("run", copied) == 0
    said = capsys.readouterr().err
    assert "exam.jsonl is not what the stage made" in said
    fresh = [line.split()[0] for line in said.splitlines() if line.endswith("fresh")]
    assert fresh == ["index", "collect", "cpt", "sft", "leaderboard"], "its scores came out as they were"
    assert {found.state for found in seen(copied).values()} == {"fresh"}


def test_truncated_weights_are_trained_again(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = copied / "run" / "students" / "sft" / "model.safetensors"
    before = sha256_of(weights)
    with weights.open("r+b") as stream:
        stream.truncate(1000)
    found = seen(copied)
    assert found["sft"] == Found("stale", "students/sft/model.safetensors is not what the stage made")
    assert found["cpt"].state == "fresh"
    assert command("plan", copied) == 0
    assert "students/sft/model.safetensors is not what the stage made" in capsys.readouterr().out
    assert command("train", copied) == 0
    after = seen(copied)
    assert after["sft"].state == "fresh"
    assert sha256_of(weights) == before, "the same training makes the same weights"
    assert after["evaluate"].state == "fresh", "and the same weights are the same player"


def test_a_broken_library_is_built_again_although_its_files_are_the_ones_made(copied: Path) -> None:
    """What an upgrade of a package may do; the message of every later stage names this remedy."""
    run = copied / "run"
    write_json(run / "library" / "library.json", {"version": 99})
    marks = read_json(run / "stages.json", "run")
    marks["index"]["made"] = made(run, ("library", "facts.jsonl"))
    write_json(run / "stages.json", marks)
    assert seen(copied)["index"].state == "fresh"
    assert command("index", copied) == 0
    assert read_json(run / "library" / "library.json", "index")["version"] == 1
    assert {found.state for found in seen(copied).values()} == {"fresh"}


def rows_of(path: Path) -> dict[str, str]:
    """Key -> episode of a ledger, read past its own code."""
    with closing(sqlite3.connect(path)) as db:
        return dict(db.execute("SELECT key, json FROM trajectories"))


def test_a_ledger_that_grew_is_still_what_collecting_made(copied: Path) -> None:
    path = copied / "run" / "ledger.sqlite"
    with Ledger(path) as ledger:
        first = next(ledger.trajectories())
        ledger.add(first.model_copy(update={"key": "0000", "task_id": "another"}))
        found = seen(copied)  # while it is open, with its log beside it
    assert found["collect"].state == "fresh"
    assert found["dataset"].why == "ledger.sqlite changed"
    assert command("dataset", copied) == 0
    assert found["sft"].why == "dataset is stale"
    assert seen(copied)["sft"].state == "fresh"


def test_a_ledger_with_episodes_missing_is_filled_up(copied: Path) -> None:
    path = copied / "run" / "ledger.sqlite"
    before = rows_of(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM trajectories WHERE key IN (SELECT key FROM trajectories ORDER BY key LIMIT 5)")
    left = rows_of(path)
    what = f"({len(left)} of its {len(before)} episodes are there)"
    assert seen(copied)["collect"].why == f"ledger.sqlite is not what the stage made {what}"
    assert command("collect", copied) == 0
    after = rows_of(path)
    assert after.keys() == before.keys()
    assert {key: after[key] for key in left} == left, "what was there was not played again"
    assert {seen(copied)[name].state for name in ("collect", "dataset", "sft")} == {"fresh"}


def test_an_overwritten_ledger_is_named_and_left_alone(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copied / "run" / "ledger.sqlite"
    path.write_text("somebody's notes " * 500)
    assert seen(copied)["collect"].why.startswith("ledger.sqlite cannot be read as a ledger: move it away")
    assert command("run", copied) == 2
    assert "move it away" in capsys.readouterr().err
    assert path.read_text().startswith("somebody's notes")
    path.rename(path.with_name("notes"))
    assert command("collect", copied) == 0
    assert seen(copied)["collect"].state == "fresh"


def test_a_truncated_ledger_is_an_error_with_a_remedy(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copied / "run" / "ledger.sqlite"
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    assert seen(copied)["collect"].state == "stale"
    assert command("collect", copied) == 2
    assert "move it away" in capsys.readouterr().err


def test_looking_at_a_ledger_leaves_no_trace(copied: Path) -> None:
    run = copied / "run"
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    keys = ledger_keys(run / "ledger.sqlite")
    assert keys is not None
    assert keys["episodes"] == len(rows_of(run / "ledger.sqlite"))
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_damage_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("x")
    (tmp_path / "a" / ".hidden").write_text("x")
    records = made(tmp_path, ("a", "not there"))
    assert list(records) == ["a/b"]
    assert not damage(tmp_path, records)
    assert json.loads(json.dumps(records)) == records


def test_the_exam_is_as_it_was(copied: Path) -> None:
    """Made again from the same facts, an exam is the same file: nothing after it is stale."""
    assert main(["exam", str(copied / "run.toml"), "--run", str(copied / "run"), "--force"]) == 0
    assert {found.state for found in seen(copied).values()} == {"fresh"}
    assert read_jsonl(copied / "run" / "exam.jsonl")
