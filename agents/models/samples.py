"""Which sample of its task the running episode is; a script that errs on purpose draws its errors from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SAMPLE: ContextVar[int] = ContextVar("retort_sample", default=0)


@contextmanager
def sampling(number: int) -> Iterator[None]:
    """Within it an episode is played that is sample `number` of its task, from 0."""
    token = _SAMPLE.set(number)
    try:
        yield
    finally:
        _SAMPLE.reset(token)


def current_sample() -> int:
    """The sample of the running episode; 0 outside of one."""
    return _SAMPLE.get()
