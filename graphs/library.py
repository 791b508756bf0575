"""Opens the library that a context names, once a process."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

from pydantic import BaseModel

from agents.context import Context
from agents.corpus.library import Library
from agents.files import read_model

from .contents import sha256_of

CHECK_SECONDS = 1.0
"""A library in use is looked at for changed files at most so often: looking costs as much as a search."""

Name = tuple[str, str | None]
"""Folder of the library, file with the barred chunks."""
State = tuple[tuple[str, str | None], ...]
"""(file, SHA-256 of its content or None where it is absent) of everything that a library is opened from."""


class Barred(BaseModel):
    """What is read of held_out.json."""

    chunks: tuple[str, ...]
    """Ids of the chunks that training must not see."""


_opened: dict[Name, tuple[State, Library]] = {}
_checked: dict[Name, tuple[float, Library]] = {}
_lock = threading.Lock()


def open_library(context: Context) -> Library:
    """The context's library, without the chunks that `context.without` bars; reopened when a file of either changed.

    Raises:
        StageError, CorpusError: the folder or the list of barred chunks is not there or broken.
    """
    name = (context.library, context.without)
    with _lock:
        state = state_of(context)
        known = _opened.get(name)
        if known is None or known[0] != state:
            barred = read_model(Path(context.without), Barred, "exam").chunks if context.without else ()
            known = state, Library.open(Path(context.library), without=frozenset(barred))
            _opened[name] = known
        _checked[name] = (time.monotonic(), known[1])
        return known[1]


def state_of(context: Context) -> State:
    """The state of the files from which the context's library is opened."""
    files = sorted(path for path in Path(context.library).rglob("*") if path.is_file())
    if context.without is not None:
        files.append(Path(context.without))
    return tuple((str(path), content(path)) for path in files)


def content(path: Path) -> str | None:
    """Hash of a file's content; None where the file is absent or cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return None


async def library_of(context: Context) -> Library:
    """`open_library` for nodes: files are looked at in a thread, and not on every search."""
    checked, library = _checked.get((context.library, context.without), (0.0, None))
    if library is not None and time.monotonic() - checked < CHECK_SECONDS:
        return library
    return await asyncio.to_thread(open_library, context)
