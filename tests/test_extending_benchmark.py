"""The benchmark of docs/extending/benchmark.md, read from there, is played in THE graph."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_benchmark import root

from agents.files import read_jsonl, write_jsonl
from retort.cli import main

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending" / "benchmark.md"
__all__ = ["root"]


def test_the_benchmark_of_the_page_is_played(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (root / "kitchen.py").write_text(code, encoding="utf-8")
    search = {"turn": 0, "reply": "I look.", "call": {"arguments": {"query": "oven degrees"}}}
    write_jsonl(root / "student.jsonl", [search, {"reply": "Quote: The oven heats to 240 degrees.\nAnswer: 240"}])
    place = f"{root / 'kitchen.py'}:Kitchen"
    assert main(["benchmark", place, str(root / "run.toml"), "--run", str(root / "run"), "--arm", "student"]) == 0
    said = capsys.readouterr().out
    assert "Kitchen: a kitchen that no manual of ours describes; 2 items" in said and "student     50.0 [9-91]" in said
    played = read_jsonl(root / "run" / "scores" / "benchmarks" / "Kitchen" / "student.jsonl")
    assert all(row["result"]["tool_uses"] for row in played)
