"""Jobs that may ask a seat: so many at once, repeated where an endpoint fails, counted, and never paid for twice.

Every result is appended to a file as it comes (`Journal`); a killed process loses the calls in flight. What the calls
cost is written into the accounts of a ledger, where the budget counts it.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from agents.errors import BudgetError, ProviderError
from agents.files import read_lines_kept, write_jsonl
from agents.models.meter import Budget, Meter, OutOfBudget, OwnPurse, metered

T = TypeVar("T")
Job = Callable[[], Awaitable[Any]]
"""Makes one result, as a JSON value."""


class Journal:
    """Results by key in a file of JSON lines; a line that was cut off when its process was killed is left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        rows = read_lines_kept(path)[0] if path.exists() else []
        self.results: dict[str, Any] = {row["key"]: row["result"] for row in rows if {"key", "result"} <= row.keys()}
        self._appended = False

    def put(self, key: str, result: Any) -> None:
        """Keep a result; it is in the file when this returns."""
        self.results[key] = result
        if not self._appended:
            self.settle()
            self._appended = True
            return
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"key": key, "result": result}, ensure_ascii=False) + "\n")

    def settle(self) -> None:
        """Write the file anew, by key: the same results make the same bytes, in whatever order they came."""
        write_jsonl(self.path, ({"key": key, "result": self.results[key]} for key in sorted(self.results)))


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
    from graphs.runner.ledger import Ledger

    left = deque((key, job) for key, job in jobs.items() if key not in journal.results)
    if not left:
        return {key: journal.results[key] for key in jobs}
    with Ledger(accounts) as ledger:
        spent = ledger.accounts().values()
        meter = Meter(budget, OwnPurse(sum(a.tokens for a in spent), sum(a.money for a in spent)), ledger.seconds())
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
        said = f"{title} stopped: {error}. What was answered is kept; run the same command again to continue."
        return ProviderError(error.kind, said, error.retry_after, error.status)
    return error


async def repeated(job: Job) -> Any:
    """The result of a job; it is done again where its endpoint failed in a way that may pass (graphs/policies.py)."""
    from graphs.policies import PATIENCE

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


def finished(working: Coroutine[Any, Any, T], *, asks: bool = False) -> T:
    """Run a coroutine to its end from plain code, also where an event loop runs already: then in a thread of its own.

    Args:
        asks: it may open seats and tools; they are closed, since their connections belong to its event loop.
    """
    whole = closing(working) if asks else working
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(whole)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, whole).result()


async def closing(working: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result; seats and kits are closed behind it."""
    from agents.models import close_seats
    from agents.tools import close_kits

    try:
        return await working
    finally:
        await close_kits()
        await close_seats()
