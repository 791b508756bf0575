"""Jobs that may ask a seat: so many at once, repeated where an endpoint fails, counted, and never paid for twice.

Every result is kept as it comes (journal.py); a killed process loses the calls in flight. What the calls cost is
written into the accounts of a ledger, where the budget counts it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from agents.errors import BudgetError, ProviderError
from agents.models import close_seats
from agents.models.meter import Budget, LocalSpendCounter, Meter, OutOfBudget, metered
from agents.tools import close_kits
from graphs.policies import PATIENCE
from graphs.runner.ledger import Ledger

from .journal import Journal

T = TypeVar("T")
Job = Callable[[], Awaitable[Any]]
"""Makes one result, as a JSON value."""


async def work_through(
    jobs: Mapping[str, Job],
    journal: Journal,
    accounts: Path,
    *,
    concurrency: int,
    title: str,
    budget: Budget | None = None,
) -> dict[str, Any]:
    """Do the jobs whose results the journal lacks; returns the results of all of them.

    Args:
        jobs: key -> job; a key stands for everything that the result depends on.
        accounts: the ledger on which the calls are counted.
        concurrency: jobs at once.

    Raises:
        ProviderError: an endpoint failed for good; what was done is kept.
        BudgetError: the budget is used up; what was done is kept.
    """
    left = deque((key, job) for key, job in jobs.items() if key not in journal.results)
    if not left:
        return {key: journal.results[key] for key in jobs}
    with Ledger(accounts) as ledger:
        spent = ledger.accounts().values()
        meter = Meter(
            budget, LocalSpendCounter(sum(a.tokens for a in spent), sum(a.money for a in spent)), ledger.seconds()
        )
        begun = time.monotonic()

        async def work(bar: Any) -> None:
            while left:
                key, job = left.popleft()
                journal.put(key, await repeated(job))
                ledger.settle(meter)
                bar.update(1)

        try:
            with (
                metered(meter),
                tqdm(total=len(jobs), initial=len(jobs) - len(left), desc=title, unit="job", disable=None) as bar,
            ):
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(concurrency, len(left))):
                        group.create_task(work(bar))
        except ExceptionGroup as errors:  # one job's error ended the others; it alone is the news
            raise stopped(errors.exceptions[0], title) from errors.exceptions[0]
        finally:
            ledger.settle(meter, time.monotonic() - begun)
            if journal.path.exists():
                journal.settle()
    return {key: journal.results[key] for key in jobs}


def stopped(error: Exception, title: str) -> Exception:
    """The error that ends a command, with what to do next."""
    if isinstance(error, OutOfBudget):
        return BudgetError(
            f"{title} paused: the budget is used up ({error}). What was answered is kept; raise it in [budget] and run "
            "the same command again to continue."
        )
    if isinstance(error, ProviderError):
        text = f"{title} stopped: {error}. What was answered is kept; run the same command again to continue."
        return ProviderError(error.kind, text, error.retry_after, error.status)
    return error


async def repeated(job: Job) -> Any:
    """The result of a job; it is done again where its endpoint failed in a way that may pass (graphs/policies.py)."""
    failed = 0
    while True:
        try:
            return await job()
        except ProviderError as error:
            failed += 1
            attempts, first, longest = PATIENCE.get(error.kind, (1, 0.0, 0.0))
            if failed >= attempts:
                raise
            await asyncio.sleep(min(longest, first * 2 ** (failed - 1)) * random.uniform(0.5, 1.0))


async def closing(working: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result; seats and kits are closed behind it."""
    try:
        return await working
    finally:
        await close_kits()
        await close_seats()
