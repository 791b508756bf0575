"""`retort new`: the sample that it writes runs to a leaderboard, and a manual that is there stays as it is."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from agents.corpus.documents import read_corpus
from agents.corpus.facts import read_facts
from agents.corpus.library import Library
from distill.exam.evidence import find_evidence
from retort.cli import main
from retort.config import load_config
from retort.new import new
from retort.sample import MARK


def test_every_fact_of_the_sample_stands_in_its_manual(tmp_path: Path) -> None:
    new(tmp_path)
    facts, remarks = read_facts(tmp_path / "facts.jsonl")
    known, dropped, lost, _ = find_evidence(facts, Library.build(read_corpus(tmp_path / "manual")))
    assert not remarks
    assert len(known) == len(facts) == 216
    assert not dropped
    assert lost is None


def test_without_its_marked_lines_the_config_is_the_bare_one(tmp_path: Path) -> None:
    said = new(tmp_path / "mine")
    assert MARK in said
    new(tmp_path / "b" / "mine", sample=False)
    lines = (tmp_path / "mine" / "run.toml").read_text(encoding="utf-8").splitlines()
    bare = (tmp_path / "b" / "mine" / "run.toml").read_text(encoding="utf-8")
    assert [line for line in lines if not line.endswith(MARK)][:-1] == bare.splitlines()
    assert tomllib.loads(bare)["name"] == "mine"
    assert load_config(tmp_path / "mine").exam.train == 120


@pytest.mark.slow
def test_the_sample_runs_to_a_leaderboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", str(tmp_path / "mine")]) == 0
    assert main(["run", str(tmp_path / "mine" / "run.toml"), "--run", str(tmp_path / "run")]) == 0
    assert "student - base" in capsys.readouterr().out
    board = json.loads((tmp_path / "run" / "leaderboard.json").read_text(encoding="utf-8"))
    assert {row["arm"] for row in board["rows"]} >= {"base", "student", "teacher"}


def test_the_exam_of_the_sample_holds_enough_and_passes_its_audit(tmp_path: Path) -> None:
    assert main(["new", str(tmp_path / "mine")]) == 0
    for stage in ("index", "exam", "collect", "dataset"):
        assert main([stage, str(tmp_path / "mine" / "run.toml"), "--run", str(tmp_path / "run")]) == 0
    exam = [json.loads(line) for line in (tmp_path / "run" / "exam.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum(task["split"] == "test" for task in exam) == 40
    assert sum(bool(task["options"]) for task in exam) >= 40
    kept = (tmp_path / "run" / "kept.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(kept) > 80
