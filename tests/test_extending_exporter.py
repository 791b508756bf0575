"""The exporter of docs/extending/exporter.md, read from there, exports a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agents.files import read_jsonl
from retort.cli import main

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending" / "exporter.md"


def test_the_exporter_of_the_page_exports_a_run(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "alpaca.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(whole / "run"), "out", "--format", "alpaca.py:Alpaca"]) == 0
    rows = read_jsonl(tmp_path / "out" / "sft.jsonl")
    trained = read_jsonl(whole / "run" / "data" / "sft.jsonl")
    assert len(rows) == len(trained) and rows[0]["output"] == trained[0]["messages"][-1]["content"]
    assert "the question and the final turn" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
