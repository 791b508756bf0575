"""Event loops of blocking calls: each runs in a loop of its own, also where the caller's thread runs one already.

A notebook's cells run inside an event loop, in which `asyncio.run` is refused. There the loop of a blocking call runs
in a thread of its own; whoever waits for it can end it from outside.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")


class Stop:
    """Ends the event loops that a call in another thread runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._asked = False

    def stop(self) -> None:
        """Cancel what runs in its loop, and what would begin in one from now on."""
        with self._lock:
            self._asked = True
            self._cancel()

    def entered(self) -> None:
        """The running task can be cancelled from now on."""
        task = asyncio.current_task()
        assert task is not None
        with self._lock:
            self._running = asyncio.get_running_loop(), task
            if self._asked:
                self._cancel()

    def left(self) -> None:
        """It has ended."""
        with self._lock:
            self._running = None

    def _cancel(self) -> None:
        if self._running is not None:
            loop, task = self._running
            loop.call_soon_threadsafe(task.cancel)


_STOP: ContextVar[Stop | None] = ContextVar("retort_stop", default=None)


def run_loop(playing: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in an event loop of its own: uvloop's where it is installed, a tenth less CPU.

    Where this thread runs a loop already, the new one runs in a thread of its own, and this thread waits for it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(playing)
    done, stop = _started(lambda: _run(playing))
    try:
        return done.result()
    except BaseException:  # Control-C, or what the coroutine ended with
        stop.stop()
        done.exception()
        raise


async def in_thread(function: Callable[[], T]) -> T:
    """Run a blocking function in a thread of its own; cancelling this ends the event loops that it runs.

    What it does outside of event loops, such as a training, goes on to its end before the cancellation is raised.
    """
    done, stop = _started(function)
    waiting = asyncio.wrap_future(done)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        stop.stop()
        await asyncio.wait([waiting])
        if not waiting.cancelled():
            waiting.exception()  # read, so that nobody is warned of it
        raise


def _started(function: Callable[[], T]) -> tuple[Future[T], Stop]:
    """Start a function in a thread, with the context variables of the caller."""
    done: Future[T] = Future()
    stop, context = Stop(), copy_context()
    context.run(_STOP.set, stop)

    def body() -> None:
        try:
            done.set_result(context.run(function))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=body, name="retort-call", daemon=True).start()
    return done, stop


def _run(playing: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new event loop of this thread.

    Meanwhile garbage is collected less often: every call leaves thousands of short-lived objects, hardly any in cycles.
    """
    stop = _STOP.get()

    async def whole() -> T:
        if stop is None:
            return await playing
        stop.entered()
        try:
            return await playing
        finally:
            stop.left()

    before = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what is there by now is never garbage: collections need not look at it
    gc.set_threshold(100_000, 50, 100)
    try:
        try:
            import uvloop
        except ModuleNotFoundError:
            return asyncio.run(whole())
        return uvloop.run(whole())
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
