"""The runner: plays tasks with bounded concurrency into a ledger, and continues where it was stopped.

A provider failure that outlasts its retries leaves no record of an attempt, so the next run plays that episode again.
When an endpoint is plainly down (as many failures in a row as there are episodes in flight, or a refused key), the run
stops instead of failing once a task; when the budget is used up, it pauses in the middle of its episodes.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from tqdm import tqdm

from agents.bars import bars_off
from agents.errors import PROVIDER_KINDS, BudgetError, ConfigError, ProviderError
from agents.models import close_seats, open_seat
from agents.models.desk import one_by_one
from agents.models.meter import Budget, LocalSpendCounter, Meter, RunAccount
from agents.models.prices import check_prices
from agents.task import Task
from agents.tools.kit import close_kits

from ..episode import Table
from .executors import IN_PROCESS, PROCESSES, Job, by_workers, executors
from .ledger import Ledger
from .loop import run_loop
from .watch import Count, watcher
from .worker import SETTLE_SECONDS, Order, Tally


class Collected(BaseModel):
    """What one run of the runner did, and what all its starts have cost: the run summary."""

    model_config = ConfigDict(frozen=True)

    wanted: int
    """Episodes asked for."""
    known: int
    """Of these, recorded by an earlier run."""
    played: int
    """Recorded by this run."""
    not_needed: int = 0
    """Not played, since enough episodes of their tasks were accepted."""
    accepted: int
    """Of the played ones."""
    stops: dict[str, int] = Field(default_factory=dict)
    labels: dict[str, int] = Field(default_factory=dict)
    """Labels of all that is recorded of what was asked for, and of failures (graphs/labels.py)."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Provider failures by kind; these episodes are still to be played."""
    causes: dict[str, str] = Field(default_factory=dict)
    """Kind of provider failure -> what the first one of this run said, with what to do."""
    faults: dict[str, int] = Field(default_factory=dict)
    """Calls that failed at an endpoint and were repeated, by class, over all starts."""
    accounts: dict[str, RunAccount] = Field(default_factory=dict)
    """What calls cost by role, over all starts."""
    lowest_in_flight: float | None = None
    """The fewest calls in flight that an endpoint was allowed; None where none asked for less."""
    seconds: float = 0.0
    """Wall time over all starts."""

    @property
    def usd(self) -> float:
        """By the seats' prices, failed calls that may be billed included."""
        return sum(account.money for account in self.accounts.values())

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens of every role, failed calls that may be billed included."""
        return sum(account.tokens for account in self.accounts.values())

    @property
    def estimated(self) -> tuple[int, int, float]:
        """Failed calls that may be billed, their tokens and USD at the most."""
        every = self.accounts.values()
        tokens = sum(account.estimated_prompt + account.estimated_completion for account in every)
        return sum(a.estimated for a in every), tokens, sum(a.estimated_usd for a in every)

    def failed(self) -> list[str]:
        """Why episodes are still to be played, one line a kind of failure."""
        return [
            f"  {kind}, {times} episode{'s' if times > 1 else ''}: {self.causes.get(kind, PROVIDER_KINDS[kind])}"
            for kind, times in self.failures.items()
        ]

    def summary(self) -> str:
        """One line for the person who waits."""
        parts = [f"{self.played} played, {self.known} known, {self.accepted} of the played accepted"]
        if self.not_needed:
            parts.append(f"{self.not_needed} not needed")
        odd = {label: n for label, n in self.labels.items() if label != "accepted"}
        if odd:
            parts.append(", ".join(f"{label} {n}" for label, n in sorted(odd.items(), key=lambda x: -x[1])))
        if self.faults:
            parts.append("endpoint faults outlived: " + ", ".join(f"{kind} {n}" for kind, n in self.faults.items()))
        calls, tokens, usd = self.estimated
        if calls:
            money = f" and {usd:.2f} USD" if usd else ""
            parts.append(f"{calls} failed calls counted as billed, by estimate: {tokens:,} tokens{money} at the most")
        if self.usd:
            parts.append(f"{self.usd:.2f} USD in all")
        return "; ".join(parts)


STOPPED: dict[int | str, str] = {
    402: "the endpoint asks for payment",
    404: "the endpoint knows no such model or path",
    "auth": "the endpoint refuses the key",
    "request": "the endpoint refuses the request",
    "quota": "the account's quota is used up",
    "garbage": "what the endpoint answers is no chat completion",
    "rate": "the endpoint takes no more requests",
}
"""Status or kind of the failure that ended a run -> what it is; an endpoint of any other kind is down."""


class RunSignals:
    """The signals of a job: a progress bar on a terminal, and whether to go on. Any thread may call it."""

    def __init__(self, bar: Any, title: str, wanted: int, before: int) -> None:
        self._bar = bar
        self._title, self._wanted, self._before = title, wanted, before
        self._watcher = watcher()
        self._lock = threading.Lock()
        self._played = self._accepted = self._spared = 0
        self._stopping = False

    def tell(self, played: int, accepted: int, not_needed: int) -> None:
        """So many more episodes played, accepted, and not needed."""
        with self._lock:
            self._bar.update(played + not_needed)
            self._played += played
            self._accepted += accepted
            self._spared += not_needed
            if self._played:
                self._bar.set_postfix(accepted=f"{self._accepted / self._played:.0%}", refresh=False)
            if self._watcher is not None:
                done = self._before + self._played + self._spared
                self._watcher(Count(self._title, self._wanted, done, self._played, self._accepted))

    def stopping(self) -> bool:
        """Whether a part has found that no part can go on."""
        return self._stopping

    def stop(self) -> None:
        """No part can go on."""
        self._stopping = True


def now(playing: Coroutine[Any, Any, Collected]) -> Collected:
    """Run `collect(...)` in an event loop of its own, and close seats and tools, whose connections belong to it."""

    async def whole() -> Collected:
        try:
            return await playing
        finally:
            await close_kits()
            await close_seats()

    return run_loop(whole())


async def collect(
    tasks: Sequence[Task],
    table: Table,
    ledger: Ledger,
    *,
    concurrency: int = 16,
    samples: int = 1,
    enough: int | None = None,
    budget: Budget | None = None,
    workers: int = 1,
    executor: str | None = None,
    title: str = "collect",
    on_summary: Callable[[Collected], None] | None = None,
) -> Collected:
    """Play every task `samples` times, or until `enough` of its episodes are accepted, unless the ledger has it.

    Args:
        concurrency: episodes in flight.
        budget: what all starts of this ledger's run may spend.
        workers: parts that share the work.
        executor: where episodes are played (executors.py); None = in worker processes where there are several workers.
        on_summary: gets the summary, of a run that is stopped too.

    Raises:
        ProviderError: the endpoint is plainly down; what was finished is in the ledger.
        BudgetError: the budget is used up; what was begun goes on in the next run.
        ConfigError: seats that the executor cannot play, or a budget in USD with seats that have no price.
    """
    order = Order(samples=samples, enough=enough)
    budget = budget or Budget()
    check_prices(budget, table.context)
    chosen = executor or by_workers(workers)
    if refusal := executors.get(chosen)().refusal(table, workers):
        raise ConfigError(refusal)
    for seat in table.context.team.seats().values():
        for one in one_by_one(seat):
            open_seat(one)  # what cannot be opened is said before anything is played
    known = ledger.keys()
    keys = [table.key(task, sample) for task in tasks for sample in range(samples)]
    there = sum(key in known for key in keys)
    missing = [task for task in tasks if any(table.key(task, n) not in known for n in range(samples))]
    with tqdm(total=len(keys), initial=there, desc=title, unit="ep", disable=bars_off()) as bar:
        spent = ledger.accounts().values()
        job = Job(
            tasks=missing,
            table=table,
            ledger=ledger,
            order=order,
            concurrency=concurrency,
            workers=workers,
            budget=budget,
            seconds=ledger.seconds(),
            spent=LocalSpendCounter(sum(a.tokens for a in spent), sum(a.money for a in spent)),
            signals=RunSignals(bar, title, len(keys), there),
        )
        if chosen == PROCESSES and len(missing) <= 1:
            chosen = IN_PROCESS  # one task alone is not worth the start of a process
        clock = asyncio.create_task(ticking(ledger))
        try:
            tally = await executors.get(chosen)().play(job) if missing else Tally()
        finally:
            clock.cancel()
            with suppress(asyncio.CancelledError):
                await clock
    wanted, recorded = set(keys), {**ledger.failures(), **ledger.labels()}
    done = Collected(
        wanted=len(keys),
        known=there,
        played=tally.played,
        not_needed=tally.not_needed,
        accepted=tally.accepted,
        stops=dict(tally.stops),
        labels=dict(Counter(label for key, label in recorded.items() if key in wanted).most_common()),
        failures=dict(tally.failures),
        causes={kind: text for kind, text in tally.causes.items() if kind in tally.failures},
        faults=ledger.faults(),
        accounts=ledger.accounts(),
        lowest_in_flight=tally.lowest,
        seconds=round(ledger.seconds(), 1),
    )
    if on_summary is not None:
        on_summary(done)
    stopped(done, tally, title)
    return done


async def ticking(ledger: Ledger) -> None:
    """Write wall time down every few seconds, and what is left of it at the end: a kill costs the budget no more."""
    last = time.monotonic()
    try:
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            ledger.settle(Meter(), time.monotonic() - last)
            last = time.monotonic()
    finally:
        ledger.settle(Meter(), time.monotonic() - last)


def stopped(done: Collected, tally: Tally, title: str) -> None:
    """Raise what ended a run before its end."""
    left = done.wanted - done.known - done.played - done.not_needed
    if tally.down is not None:
        status = f" ({tally.down_status})" if tally.down_status else ""
        why = STOPPED.get(tally.down_status or tally.down_kind) or STOPPED.get(tally.down_kind)
        raise ProviderError(
            tally.down_kind,
            f"{title} stopped: {f'{why}{status}' if why else 'the endpoint is down'}. {done.played} episodes recorded, "
            f"{left} left: {tally.down}. Then run the same command again to continue.",
            status=tally.down_status,
        )
    if tally.paused is not None:
        raise BudgetError(
            f"{title} paused: the budget is used up ({tally.paused}). {done.played} episodes recorded, {left} left; "
            "raise it in [budget] and run the same command again to continue."
        )
