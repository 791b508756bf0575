"""Opens the library that a context names, once a process."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

from agents.context import Context
from agents.files import read_json
from agents.library.index import Library

CHECK_SECONDS = 1.0
"""A library in use is looked at for changed files at most so often: looking costs as much as a search."""

_opened: dict[tuple[str, str | None, float], Library] = {}
_checked: dict[tuple[str, str | None], tuple[float, Library]] = {}
_lock = threading.Lock()


def open_library(context: Context) -> Library:
    """The context's library, without the chunks that `context.without` bars; reopened when its files changed.

    Raises:
        StageError, CorpusError: the folder or the list of barred chunks is not there or broken.
    """
    folder = Path(context.library)
    stamp = max((path.stat().st_mtime for path in folder.glob("*")), default=0.0)
    name = (context.library, context.without, stamp)
    with _lock:
        if name not in _opened:
            barred = read_json(Path(context.without), "exam")["chunks"] if context.without else ()
            _opened[name] = Library.open(folder, without=frozenset(barred))
        _checked[context.library, context.without] = (time.monotonic(), _opened[name])
        return _opened[name]


async def library_of(context: Context) -> Library:
    """`open_library` for nodes: files are looked at in a thread, and not on every search."""
    checked, library = _checked.get((context.library, context.without), (0.0, None))
    if library is not None and time.monotonic() - checked < CHECK_SECONDS:
        return library
    return await asyncio.to_thread(open_library, context)
