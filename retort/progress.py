"""Progress of the stages: a line for each thing that is worth one, to the logger `retort` and to a callback."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from agents.bars import bars_shown

LOGGER = logging.getLogger("retort")


@dataclass(frozen=True)
class Progress:
    """One message on how far a stage is."""

    text: str
    """A line, or what is played."""
    done: int | None = None
    """Episodes that are recorded or not needed; None where the message is a line."""
    wanted: int | None = None
    """Episodes asked for."""
    accepted: int | None = None
    """Of those played since the start."""

    def __str__(self) -> str:
        return self.text if self.done is None else f"{self.text}: {self.done} of {self.wanted}"


Callback = Callable[[Progress], None]
_CALLBACK: ContextVar[Callback | None] = ContextVar("retort_progress", default=None)


def say(text: str) -> None:
    """A line for the person who waits."""
    LOGGER.info("%s", text)
    callback = _CALLBACK.get()
    if callback is not None:
        callback(Progress(text))


@contextmanager
def reported(callback: Callback | None) -> Iterator[None]:
    """Tell `callback` of all progress within; it may be called in another thread."""
    from graphs.runner.watch import Count, watched

    if callback is None:
        yield
        return

    def look(count: Count) -> None:
        callback(Progress(count.title, count.done, count.wanted, count.accepted))

    token = _CALLBACK.set(callback)
    try:
        with watched(look):
            yield
    finally:
        _CALLBACK.reset(token)


@contextmanager
def printed() -> Iterator[None]:
    """Print the lines within on standard error, and draw progress bars there where it is a terminal; for commands."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    level, propagate = LOGGER.level, LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False  # a library that sets up the root logger must not print them twice
    try:
        with bars_shown():
            yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        LOGGER.propagate = propagate
