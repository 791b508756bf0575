"""The examples of docs/extending on loaders, sources and kinds of question run as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of

from agents.files import read_jsonl
from retort.cli import main

ROOT = Path(__file__).resolve().parents[1]
FOLDER = 'manuals = "manual"\nfacts = "facts.jsonl"\n'


def example(page: str, file: Path) -> Path:
    """The program of a page of docs/extending, written to a file."""
    text = (ROOT / "docs" / "extending" / f"{page}.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    assert 10 <= found[1].count("\n") <= 40
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(found[1], encoding="utf-8")
    return file


def test_a_loader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path, CONFIG.replace(FOLDER, FOLDER + 'loaders = {".log" = "log.py:Log"}\n'))
    example("loader", root / "log.py")
    (root / "manual" / "kettle.log").write_text("2026-05-01 boiled\n2026-05-02 leaked\n")
    (root / "manual" / "bad.log").write_text("boiled\n")
    assert main(["index", "--trust", str(root)]) == 0
    assert "line 1 begins with no date" in capsys.readouterr().err
    chunks = read_jsonl(root / "runs" / "kettle" / "library" / "chunks.jsonl", "index")
    assert {each["title"]: each["text"] for each in chunks if each["document"] == "kettle"} == {
        "2026-05-01": "boiled", "2026-05-01 > 2026-05-02": "leaked",
    }  # fmt: skip


def test_a_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path, CONFIG.replace(FOLDER, 'source = "tickets.py:Tickets"\nmanuals = "settings.json"\n'))
    example("source", root / "tickets.py")
    (root / "settings.json").write_text(json.dumps({f"opt_{n}": f"{7 * n + 3}ms" for n in range(300)}))
    for stage in ("index", "exam"):
        assert main([stage, "--trust", str(root)]) == 0
    assert "facts {given: 300, usable: 300}" in capsys.readouterr().err


def test_a_kind_of_question(tmp_path: Path) -> None:
    root = folder_of(tmp_path, CONFIG.replace("[exam]\n", '[exam]\nkinds = ["lookup", "since.py:WithRelease"]\n'))
    example("question_kind", root / "since.py")
    for stage in ("index", "exam"):
        assert main([stage, "--trust", str(root)]) == 0
    rows = [row for row in read_jsonl(root / "runs" / "kettle" / "exam.jsonl", "exam") if row["kind"] == "with release"]
    assert len(rows) > 5
    assert all(row["gold"] == " and ".join(row["parts"]) and len(row["hops"]) == 2 for row in rows)


OFFERED = """
import sys
from agents.corpus.loaders import suffixes
from agents.corpus.sources import CorpusConfig
from distill.exam.kinds import kinds_of
print(suffixes()[".log"], CorpusConfig(source="tickets", manuals="x").opened().__class__.__name__)
print([kind.name for kind in kinds_of()])
"""


def test_a_package_offers_them(tmp_path: Path) -> None:
    """Installed beside Retort, with entry points, they are there without a word in a config."""
    for page, name in (("loader", "log"), ("source", "tickets"), ("question_kind", "since")):
        example(page, tmp_path / f"{name}.py")
    about = tmp_path / "elsewhere-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[retort.loaders]\nlog = log:Log\n[retort.sources]\ntickets = tickets:Tickets\n"
        "[retort.question_kinds]\nwith release = since:WithRelease\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", OFFERED],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "log Tickets", "['lookup', 'bridge', 'pair', 'effective', 'release', 'with release']",
    ]  # fmt: skip
