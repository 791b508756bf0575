"""What a run is after a kill: the same data as without (`make hardship` does it a hundred times, and fills disks)."""

from __future__ import annotations

import random
from pathlib import Path

import hardship
import pytest


@pytest.fixture(scope="module")
def calm(whole: Path) -> hardship.Calm:
    return hardship.Calm(whole / "run.toml", whole / "run")


@pytest.mark.parametrize("stage", ["dataset", "evaluate"])
def test_a_killed_stage_leaves_the_same_data(stage: str, calm: hardship.Calm, tmp_path: Path) -> None:
    """Collecting and training have tests of their own (test_collect.py, test_sft.py)."""
    kills, wrong = hardship.kill_stage(calm, stage, 3, random.Random(stage), tmp_path / "run")
    assert kills >= 1 and wrong == []


def test_a_difference_is_seen(calm: hardship.Calm, tmp_path: Path) -> None:
    found = calm.data("train")
    assert {"kept.jsonl", "ledger.sqlite", "students/sft/model.safetensors"} <= found.keys()
    assert hardship.differences(found, found | {"kept.jsonl": "", "new": ""}) == ["kept.jsonl", "new"]
    run = calm.before("dataset", tmp_path / "run")
    assert "kept.jsonl" in hardship.differences(found, hardship.data_of(run))
    rows = (run / "exam.jsonl").read_text(encoding="utf-8")
    (run / "exam.jsonl").write_text(rows.replace("a", "b", 1), encoding="utf-8")
    assert "exam.jsonl" in hardship.differences(found, hardship.data_of(run))
