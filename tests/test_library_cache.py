"""The library that a process has opened is opened again when its files or the list of held-out pages changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import little
import pytest

from agents.context import Context
from agents.errors import StageError
from graphs import library as cache
from graphs.board import board_parts
from graphs.library import library_of, open_library


@pytest.fixture
def context(kettle: Path, tmp_path: Path) -> Context:
    """A context over a copy of the kettle that a test may change."""
    run = shutil.copytree(kettle, tmp_path / "run")
    return little.context(run, without=str(run / "held_out.json"))


def rewrite(path: Path, text: str) -> None:
    """Replace a file's text so that only its content tells."""
    stat = path.stat()
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_changed_list_of_held_out_pages_is_heeded_in_a_live_process(context: Context) -> None:
    held_out = Path(str(context.without))
    before = open_library(context)
    board = board_parts(context)
    barred = json.loads(held_out.read_text())
    swapped = before.chunks[0].id
    back = barred["chunks"][0]
    assert swapped in before
    assert back not in before
    rewrite(held_out, json.dumps({**barred, "chunks": [swapped, *barred["chunks"][1:]]}))
    after = open_library(context)
    assert swapped not in after
    assert back in after
    assert board_parts(context)["library"] != board["library"]


async def test_so_it_is_in_a_node(context: Context) -> None:
    held_out = Path(str(context.without))
    assert open_library(context).chunks[0].id in await library_of(context)
    barred = json.loads(held_out.read_text())
    first = open_library(context).chunks[0].id
    rewrite(held_out, json.dumps({**barred, "chunks": [*barred["chunks"], first]}))
    cache._checked.clear()  # what passing time does: a library in use is looked at once a second
    assert first not in await library_of(context)


def test_a_changed_index_is_heeded(context: Context) -> None:
    folder = Path(context.library)
    before = open_library(context.model_copy(update={"without": None}))
    shutil.rmtree(folder / "index")
    with pytest.raises(StageError, match="'index'"):
        open_library(context.model_copy(update={"without": None}))
    before.save(folder)
    assert open_library(context.model_copy(update={"without": None})).hash == before.hash


def test_one_state_of_a_library_is_held_at_a_time(context: Context) -> None:
    held_out = Path(str(context.without))
    assert open_library(context) is open_library(context)
    for number in range(3):
        rewrite(held_out, json.dumps({"chunks": [open_library(context).chunks[number].id]}))
        open_library(context)
    assert sum(name[0] == context.library for name in cache._opened) == 1


def test_a_list_that_is_gone_names_its_stage(context: Context) -> None:
    open_library(context)
    Path(str(context.without)).unlink()
    with pytest.raises(StageError, match="'exam'"):
        open_library(context)
