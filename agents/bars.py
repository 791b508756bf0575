"""Progress bars are for commands: whoever uses Retort as a library is told by logging and callbacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SHOWN: ContextVar[bool] = ContextVar("retort_bars", default=False)


def bars_off() -> bool | None:
    """What tqdm's `disable` gets: None = bars are drawn where standard error is a terminal, True = never."""
    return None if _SHOWN.get() else True


@contextmanager
def bars_shown() -> Iterator[None]:
    """Draw bars within, where standard error is a terminal."""
    token = _SHOWN.set(True)
    try:
        yield
    finally:
        _SHOWN.reset(token)
