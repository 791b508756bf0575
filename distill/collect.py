"""The runner: plays tasks with bounded concurrency into a ledger, and continues where it was stopped.

A provider failure that outlasts its retries is counted and leaves no record, so the next run plays that episode again.
When an endpoint is plainly down (as many failures in a row as there are episodes in flight, or a refused key), the run
stops instead of failing once a task.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from tqdm import tqdm

from agents.errors import ProviderError
from agents.seats import close_seats, open_seat
from agents.task import Task
from graphs.episode import Table, play

from .ledger import Ledger

HOPELESS = frozenset({"auth", "request"})
"""Kinds of provider failure that no repetition mends."""


class Collected(BaseModel):
    """What one run of the runner did."""

    model_config = ConfigDict(frozen=True)

    wanted: int
    """Episodes asked for."""
    known: int
    """Of these, recorded by an earlier run."""
    played: int
    """Recorded by this run."""
    accepted: int
    """Of the played ones."""
    stops: dict[str, int] = Field(default_factory=dict)
    failures: dict[str, int] = Field(default_factory=dict)
    """Provider failures by kind; these episodes are still to be played."""


class _Tally:
    """Counters of a run in progress."""

    def __init__(self) -> None:
        self.stops: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.accepted = 0
        self.in_a_row = 0
        self.last: ProviderError | None = None
        self.down = False


def now(playing: Coroutine[Any, Any, Collected]) -> Collected:
    """Run `collect(...)` in an event loop of its own, and close the seats' connections, which belong to it."""

    async def whole() -> Collected:
        try:
            return await playing
        finally:
            await close_seats()

    return asyncio.run(whole())


async def collect(
    tasks: Sequence[Task],
    table: Table,
    ledger: Ledger,
    *,
    concurrency: int = 16,
    samples: int = 1,
    title: str = "collect",
) -> Collected:
    """Play every task `samples` times unless the ledger has it.

    Args:
        concurrency: episodes in flight.

    Raises:
        ProviderError: the endpoint is plainly down; what was finished is in the ledger.
    """
    for seat in (table.context.team.reason, table.context.team.search, table.context.team.extract):
        if seat is not None:
            open_seat(seat)  # what cannot be opened is said before anything is played
    known = ledger.keys()
    wanted = [(task, sample) for task in tasks for sample in range(samples)]
    missing = [(task, sample) for task, sample in wanted if table.key(task, sample) not in known]
    tally = _Tally()
    queue = iter(missing)
    with tqdm(total=len(wanted), initial=len(wanted) - len(missing), desc=title, unit="ep", disable=None) as bar:

        async def work() -> None:
            for task, sample in queue:
                if tally.down:
                    return
                try:
                    trajectory = await play(task, table, sample=sample)
                except ProviderError as error:
                    failed(tally, error, concurrency)
                    continue
                tally.in_a_row = 0
                ledger.add(trajectory)
                tally.stops[trajectory.stop] += 1
                tally.accepted += trajectory.verdict.accepted
                bar.update()
                bar.set_postfix(accepted=f"{tally.accepted / tally.stops.total():.0%}", refresh=False)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(concurrency, len(missing))):
                    group.create_task(work())
        except ExceptionGroup as errors:  # one worker's error ended the others; it alone is the news
            raise errors.exceptions[0] from None
    if tally.down and tally.last is not None:
        recorded = tally.stops.total()
        raise ProviderError(
            tally.last.kind,
            f"{title} stopped after {tally.failures.total()} failures, {recorded} episodes recorded, "
            f"{len(missing) - recorded} left: {tally.last}. Run the same command again to continue.",
        )
    return Collected(
        wanted=len(wanted),
        known=len(wanted) - len(missing),
        played=tally.stops.total(),
        accepted=tally.accepted,
        stops=dict(tally.stops),
        failures=dict(tally.failures),
    )


def failed(tally: _Tally, error: ProviderError, concurrency: int) -> None:
    """Count a provider failure, and see whether the endpoint is plainly down."""
    tally.failures[error.kind] += 1
    tally.in_a_row += 1
    tally.last = error
    if error.kind in HOPELESS or tally.in_a_row >= max(4, concurrency):
        tally.down = True
