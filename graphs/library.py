"""Opens the library that a context names, once a process."""

from __future__ import annotations

import threading
from pathlib import Path

from agents.context import Context
from agents.files import read_json
from agents.library.index import Library

_opened: dict[tuple[str, str | None, float], Library] = {}
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
        return _opened[name]
