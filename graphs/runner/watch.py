"""Who watches the episodes of a run being played: a callback that holds for everything within a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Count(NamedTuple):
    """How far the playing of some tasks is."""

    title: str
    """What is played: `collect react`, `play student`."""
    wanted: int
    """Episodes asked for, those of earlier starts included."""
    done: int
    """Of these, recorded or not needed."""
    played: int
    """By this start."""
    accepted: int
    """Of the played ones."""


Watcher = Callable[[Count], None]
_WATCHER: ContextVar[Watcher | None] = ContextVar("retort_watcher", default=None)


def watcher() -> Watcher | None:
    """Who watches here."""
    return _WATCHER.get()


@contextmanager
def watched(by: Watcher | None) -> Iterator[None]:
    """Tell `by` of every episode that is played within; it may be called in another thread."""
    token = _WATCHER.set(by)
    try:
        yield
    finally:
        _WATCHER.reset(token)
