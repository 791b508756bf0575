"""Plays single episodes from Python, in an event loop of their own, so that a notebook's loop stays free.

Models and connections stay open from one episode to the next: `close` ends them, and so does the next stage of a run.
One stage at a time works in a process, and none while episodes are played: all share the models that are open.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import PrivateAttr

from agents.context import Context, Mode, Team
from agents.errors import ConfigError, StageError
from agents.task import Form, Task

if TYPE_CHECKING:
    from graphs.trajectory import Trajectory

    from .run import Run

T = TypeVar("T")


class RunTeam(Team):
    """A team of a run: it knows the run's library and board, so that it can play without more being said."""

    _run: Any = PrivateAttr(default=None)

    @classmethod
    def of(cls, run: Run, team: Team) -> RunTeam:
        """A team that belongs to a run."""
        made = cls(**{name: getattr(team, name) for name in type(team).model_fields})
        made._run = run
        return made

    @property
    def run(self) -> Run | None:
        """The run that it belongs to."""
        found: Run | None = self._run
        return found

    def __eq__(self, other: object) -> bool:
        """Teams are the same by who sits in them."""
        return isinstance(other, Team) and dict(self) == dict(other)

    def __hash__(self) -> int:
        return hash(tuple(dict(self).values()))


class Loop:
    """The event loop of episodes that are played from Python, in a thread of its own that ends with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._episodes = 0
        self._stage = ""

    def submit(self, playing: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin an episode; raises StageError while a stage works in this process."""
        with self._lock:
            if self._stage:
                playing.close()
                raise StageError(f"{self._stage} works in this process and holds its models: play when it has ended")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="retort-episodes", daemon=True).start()
            self._episodes += 1
        future = asyncio.run_coroutine_threadsafe(playing, self._loop)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _: Future[Any]) -> None:
        with self._lock:
            self._episodes -= 1

    @contextmanager
    def kept_for(self, stage: str) -> Iterator[None]:
        """Hold the models of this process for a stage.

        Raises:
            StageError: episodes are being played, or another stage works.
        """
        with self._lock:
            if self._stage:
                raise StageError(f"{self._stage} works in this process already: wait for its end")
            if self._episodes:
                raise StageError(f"{self._episodes} episodes are being played in this process: wait for their end")
            self._stage = stage
        try:
            self.close()
            yield
        finally:
            with self._lock:
                self._stage = ""

    def close(self) -> None:
        """Close the seats and tools that episodes have opened."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(closed(), self._loop).result()


async def closed() -> None:
    """Close seats and tools of the running event loop."""
    from agents.models import close_seats
    from agents.tools import close_kits

    await close_kits()
    await close_seats()


LOOP = Loop()


def close() -> None:
    """Close the models and connections that episodes have opened in this process.

    >>> retort.close()
    """
    LOOP.close()


async def play(
    task: Task, *, team: Team, mode: Mode = "react", form: Form = "free", context: Context | None = None
) -> Trajectory:
    """Play one task in THE graph and return the record of the episode; nothing is written.

    Args:
        task: a question, e.g. of `Run.tasks`.
        team: who plays: `Run.team(name)`.
        mode: `react` with tools; `cot` and `answer` are closed books.
        form: `choice` shows the task's options.
        context: library and rules for a team that belongs to no run; team, mode and form are put in.

    Raises:
        ConfigError: the team belongs to no run, and there is no context.
        ProviderError: an endpoint failed for good.
        StageError: a stage works in this process, or the run has no library yet.

    >>> task = run.tasks("test")[0]
    >>> trajectory = asyncio.run(retort.play(task, team=run.team("teacher")))
    >>> trajectory.verdict.correct
    True
    """
    return await asyncio.wrap_future(begun(task, team, mode, form, context))


def begun(task: Task, team: Team, mode: Mode, form: Form, context: Context | None = None) -> Future[Trajectory]:
    """An episode that is being played; see `play`."""
    where = context or context_of(team)
    where = where.model_copy(update={"team": team, "mode": mode, "form": form})
    return LOOP.submit(played(task, where))


def context_of(team: Team) -> Context:
    """Library and rules of the run that a team belongs to."""
    run = team.run if isinstance(team, RunTeam) else None
    if run is None:
        raise ConfigError(
            f"the team {team.name!r} belongs to no run: give run.team({team.name!r}), or a context with its library"
        )
    run.agree()
    if not (run.folder / "library").exists():
        raise StageError(f"{run.folder / 'library'} is not there: call run.index() first")
    return run.context(team.name, "react", "score", held_out=False)


async def played(task: Task, context: Context) -> Trajectory:
    """Hash the table, which reads the library, and play."""
    from graphs.episode import Table
    from graphs.episode import play as play_at

    return await play_at(task, await asyncio.to_thread(Table.from_context, context))
