"""The index of docs/extending/index.md, read from there, is built, asked in the graph, and part of the board."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of

from agents.corpus.library import Library
from graphs.board import board_parts
from graphs.episode import Table, play
from retort.cli import main
from retort.config import load_config
from retort.pipeline import Run

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending" / "index.md"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the page's class and its [index]."""
    text = PAGE.read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    section = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0]
    (tmp_path / "grams.py").write_text(code, encoding="utf-8")
    return folder_of(tmp_path, CONFIG.replace("[exam]", f"{section}\n[exam]"))


async def test_the_index_of_the_page(root: Path) -> None:
    for stage in ("index", "exam"):
        assert main([stage, str(root / "run.toml"), "--run", str(root / "run"), "--trust"]) == 0
    run = Run(load_config(root / "run.toml"), root / "run")
    library = Library.open(run.folder / "library")
    assert library.search("heatr_limt", 1)[0][0].title.endswith("heater_limit"), "in spite of two slips"
    assert library.search("heater_limit", 0) == library.search("~", 3) == []
    assert library.fingerprint["kind"] == "grams.py:Grams" and library.fingerprint["size"] == 3
    context = run.context("teacher", "react", "score", held_out=True)
    task = next(task for task in run.tasks("train") if task.kind == "lookup")
    played = await play(task, Table.from_context(context))
    assert played.stop == "answered" and 0 < played.searches[0].hits[0].score < 20
    barred = Library.open(run.folder / "library", without={chunk.id for chunk in library.chunks[1:]})
    assert {chunk.id for chunk, _ in barred.search("heater", 99)} <= {library.chunks[0].id}
    assert "index" in board_parts(context)
