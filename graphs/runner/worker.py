"""One part of a job: its tasks, so many episodes in flight, into the ledger. It runs wherever an executor calls it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from agents.errors import ProviderError, StorageError
from agents.models.meter import Meter, metered
from agents.models.turns import in_turns, my_turn
from agents.task import Task

from ..episode import Paused, Table, play
from .ledger import Ledger

HOPELESS = frozenset({"auth", "request", "quota"})
"""Kinds of provider failure that no repetition mends."""
SETTLE_SECONDS = 5.0
"""Accounts are written down at least so often: what a kill may cost them."""


class Order(BaseModel):
    """How each task is sampled."""

    model_config = ConfigDict(frozen=True)

    samples: int = 1
    """Episodes a task at the most."""
    enough: int | None = None
    """Accepted episodes after which a task is left alone; None = all samples are played."""


class Signals(Protocol):
    """Takes the progress of a part, and says whether to go on."""

    def tell(self, played: int, accepted: int, not_needed: int) -> None:
        """So many more episodes played, accepted, and not needed."""

    def stopping(self) -> bool:
        """Whether another part has found that no part can go on."""

    def stop(self) -> None:
        """No part can go on."""


class Tally(BaseModel):
    """What a part did."""

    model_config = ConfigDict()

    played: int = 0
    accepted: int = 0
    not_needed: int = 0
    """Episodes not needed, since enough of their tasks were accepted."""
    stops: Counter[str] = Field(default_factory=Counter)
    failures: Counter[str] = Field(default_factory=Counter)
    """Kinds of provider failure of the episodes that are still to be played."""
    causes: dict[str, str] = Field(default_factory=dict)
    """Kind of provider failure -> what the first one said, with what to do."""
    in_a_row: int = 0
    down: str | None = None
    """Why the endpoint is taken to be down, as its last error said it."""
    down_kind: str = "refused"
    down_status: int | None = None
    paused: str | None = None
    """Which part of the budget is used up."""
    lowest: float | None = None
    """The fewest calls in flight that an endpoint's gate came down to; None where it never closed."""

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        lows = [low for low in (self.lowest, other.lowest) if low is not None]
        return Tally(
            played=self.played + other.played,
            accepted=self.accepted + other.accepted,
            not_needed=self.not_needed + other.not_needed,
            stops=self.stops + other.stops,
            failures=self.failures + other.failures,
            causes={**other.causes, **self.causes},
            down=self.down or other.down,
            down_kind=self.down_kind if self.down else other.down_kind,
            down_status=self.down_status if self.down else other.down_status,
            paused=self.paused or other.paused,
            lowest=sum(lows) if lows else None,
        )


async def play_tasks(
    tasks: Sequence[Task],
    table: Table,
    ledger: Ledger,
    meter: Meter,
    order: Order,
    signals: Signals,
    *,
    concurrency: int,
) -> Tally:
    """Play what the ledger lacks of `tasks`; an episode that fails at its endpoint is tried once more at the end.

    Args:
        ledger: open in this thread.
        meter: counts what the part spends.
        order: how often each task is played.
        signals: told of every episode, and asked before each whether to go on.
        concurrency: episodes in flight.

    Returns:
        What was done; parts are added with `Tally.plus`.
    """
    accepted = ledger.accepted()
    tally = Tally()
    later: list[Task] = []

    async def whole_round(queue: deque[Task], again: bool) -> None:
        async def work() -> None:
            while queue and not (tally.down or tally.paused or signals.stopping()):
                with in_turns():
                    await sample(queue.popleft(), again)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(queue))):
                group.create_task(work())

    async def sample(task: Task, again: bool) -> None:
        keys = [table.key(task, number) for number in range(order.samples)]
        for number, key in enumerate(keys):
            good = sum(accepted.get(each, False) for each in keys)
            if order.enough is not None and good >= order.enough:
                left = sum(each not in accepted for each in keys)
                tally.not_needed += left
                signals.tell(0, 0, left)
                return
            if key in accepted:
                continue
            await my_turn()
            try:
                trajectory = await play(task, table, sample=number, begun=ledger.unfinished(key))
            except ProviderError as error:
                failed(task, key, error, again)
                return
            except Paused as pause:
                if pause.state is not None:
                    ledger.pause(key, pause.state)
                tally.paused = meter.used_up()
                signals.stop()
                return
            tally.in_a_row = 0
            ledger.add(trajectory, meter)
            accepted[key] = trajectory.verdict.accepted
            tally.played += 1
            tally.accepted += trajectory.verdict.accepted
            tally.stops[trajectory.stop] += 1
            signals.tell(1, int(trajectory.verdict.accepted), 0)

    def failed(task: Task, key: str, error: ProviderError, again: bool) -> None:
        ledger.failed(key, task, table.context.team.name, error)
        tally.in_a_row += 1
        tally.causes.setdefault(error.kind, str(error))
        if error.kind in HOPELESS or tally.in_a_row >= max(4, concurrency):
            tally.down, tally.down_kind, tally.down_status = str(error), error.kind, error.status
            signals.stop()
        if again or tally.down:
            tally.failures[error.kind] += 1
        else:
            later.append(task)

    async def settle() -> None:
        with suppress(StorageError):  # said by the episode that cannot be recorded, and at the end
            while True:
                await asyncio.sleep(SETTLE_SECONDS)
                ledger.settle(meter)

    settling = asyncio.create_task(settle())
    try:
        with metered(meter):
            await whole_round(deque(tasks), again=False)
            await whole_round(deque(later), again=True)
    except ExceptionGroup as errors:  # one worker's error ended the others; it alone is the news
        raise errors.exceptions[0] from None
    finally:
        settling.cancel()
        ledger.settle(meter)
    tally.lowest = lowest_gate()
    return tally


def lowest_gate() -> float | None:
    """The fewest calls in flight that a gate of this event loop came down to; None where none ever closed."""
    from agents.models.desk import gates

    lows = [gate.lowest for gate in gates().values() if gate.lowest < gate.ceiling]
    return min(lows) if lows else None
