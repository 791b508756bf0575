"""Plays in worker processes: each plays a part of the tasks into the same ledger.

One process spends some milliseconds of CPU on a call (LangChain, LangGraph, JSON), so that a fast endpoint with
hundreds of calls in flight is fed by several. A worker ends with the process that started it, however that ends.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil
from multiprocessing import connection
from pathlib import Path
from typing import Any

from agents.errors import RetortError
from agents.models import close_seats
from agents.models.meter import Budget, Meter
from agents.providers import provider_of, split_spec
from agents.storage import storage_error
from agents.task import Task
from agents.tools import close_kits

from ..episode import Table
from .executors import PROCESSES, Job, executors
from .ledger import Ledger
from .loop import run_loop
from .worker import Order, Tally, play_tasks

LOOK_SECONDS = 0.2
"""How often the runner looks how far its workers are."""
END_SECONDS = 10.0
"""What a worker that is told to end has for writing down what it has called; a second is usual."""


class SharedSignals:
    """`worker.Signals` and what was spent, over processes: numbers in shared memory."""

    def __init__(self, tokens: float, usd: float) -> None:
        context = multiprocessing.get_context("spawn")
        self.numbers = context.Array("d", [0.0, 0.0, 0.0, 0.0, tokens, usd])

    def tell(self, played: int, accepted: int, not_needed: int) -> None:
        """So many more episodes played, accepted, and not needed."""
        with self.numbers.get_lock():
            for place, number in enumerate((played, accepted, not_needed)):
                self.numbers[place] += number

    def stopping(self) -> bool:
        """Whether a worker has found that no worker can go on."""
        return bool(self.numbers[3])

    def stop(self) -> None:
        """No worker can go on."""
        self.numbers[3] = 1.0

    def add(self, tokens: int, usd: float) -> None:
        """Spend."""
        with self.numbers.get_lock():
            self.numbers[4] += tokens
            self.numbers[5] += usd

    def totals(self) -> tuple[float, float]:
        """Tokens and USD spent."""
        return self.numbers[4], self.numbers[5]


@executors.register(PROCESSES)
class WorkerProcesses:
    """Several processes, for endpoints so fast that one process is the bottleneck."""

    def refusal(self, table: Table, workers: int) -> str:
        """Models that lie in this process, or servers that it starts, cannot be shared."""
        for seat in table.context.team.seats().values():
            spec = split_spec(seat.model)
            if not provider_of(spec).shareable(spec):
                return (
                    f"seat {seat.model!r} lives in this process or starts a server: several workers need endpoints, "
                    f"so set workers = 1 (given: {workers})"
                )
        return ""

    async def play(self, job: Job) -> Tally:
        """Play the job in `workers` processes; one task alone is played in one."""
        known = [0, 0, 0]

        def look(*so_far: int) -> None:
            job.signals.tell(*(now - before for now, before in zip(so_far, known, strict=True)))
            known[:] = so_far

        workers = max(1, min(job.workers, len(job.tasks)))
        return await play_in_processes(
            job.tasks, job.table, job.ledger, job.budget, job.order,
            concurrency=job.concurrency, workers=workers, look=look,
        )  # fmt: skip


async def play_in_processes(
    tasks: Sequence[Task],
    table: Table,
    ledger: Ledger,
    budget: Budget,
    order: Order,
    *,
    concurrency: int,
    workers: int,
    look: Callable[[int, int, int], None],
) -> Tally:
    """Play `tasks` with `workers` processes, `concurrency` episodes in flight over all of them.

    Args:
        look: called several times a second with the episodes played, accepted and not_needed so far.

    Raises:
        RetortError: what a worker ended with; the others are ended too, and what was finished is in the ledger.
    """
    spent = ledger.accounts().values()
    signals = SharedSignals(float(sum(a.tokens for a in spent)), sum(a.money for a in spent))
    context = multiprocessing.get_context("spawn")
    begun, lines, started = ledger.seconds(), [], []
    for number in range(workers):
        here, there = context.Pipe()
        portion = ceil(concurrency / workers)
        own = split_ceilings(table, workers)
        arguments = (there, own, ledger.path, budget, begun, order, signals.numbers, portion)
        process = context.Process(target=work, args=arguments, daemon=True, name=f"retort-{number}")
        process.start()
        there.close()
        lines.append(here)
        started.append(process)
    try:
        # Not among the arguments: those fill the pipe of a starting process, and the next one would start only when
        # this one has loaded its modules.
        for number, line in enumerate(lines):
            with suppress(BrokenPipeError, ConnectionResetError):  # it ended at once: `gather` says so
                await asyncio.to_thread(line.send, tasks[number::workers])
        return await gather(lines, signals, look)
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.join(END_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        for line in lines:
            line.close()


async def gather(lines: Sequence[Any], signals: SharedSignals, look: Callable[[int, int, int], None]) -> Tally:
    """Wait for every worker's tally."""
    whole, open_lines = Tally(), list(lines)
    while open_lines:
        await asyncio.sleep(LOOK_SECONDS)
        for line in [each for each in open_lines if each.poll()]:
            open_lines.remove(line)
            try:
                found = line.recv()
            except EOFError:
                raise RetortError(
                    "a worker process ended without a word (killed, or out of memory?); what was finished is in the "
                    "ledger: run the same command again, with fewer `workers`"
                ) from None
            if isinstance(found, BaseException):
                raise found
            whole = whole.plus(found)
        played, accepted, not_needed = (int(number) for number in signals.numbers[:3])
        look(played, accepted, not_needed)
    return whole


def split_ceilings(table: Table, workers: int) -> Table:
    """The table with its seats' ceilings split over the workers; who plays, and so every key, stays the same."""
    team = table.context.team
    seats = {
        role: seat.model_copy(update={"concurrency": ceil(seat.concurrency / workers)})
        for role, seat in team.seats().items()
    }
    context = table.context.model_copy(update={"team": team.model_copy(update=seats)})
    return Table(context=context, board=table.board, team=table.team)


def work(
    line: Any,
    table: Table,
    path: Path,
    budget: Budget,
    seconds: float,
    order: Order,
    numbers: Any,
    concurrency: int,
) -> None:
    """What a worker process does: play its part, send its tally or what went wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Control-C reaches the runner, which ends its workers
    threading.Thread(target=end_with_parent, daemon=True).start()
    signals = SharedSignals.__new__(SharedSignals)
    signals.numbers = numbers
    tasks: Sequence[Task] = line.recv()
    try:
        with Ledger(path) as ledger:
            meter = Meter(budget, signals, seconds)

            async def whole() -> Tally:
                ending = asyncio.current_task()
                assert ending is not None
                with suppress(NotImplementedError):  # where there are no such signals, a worker ends at once
                    # What is in flight may be billed: a worker that is told to end writes it down first.
                    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.cancel)
                try:
                    return await play_tasks(tasks, table, ledger, meter, order, signals, concurrency=concurrency)
                finally:
                    await close_kits()
                    await close_seats()

            line.send(run_loop(whole()))
    except asyncio.CancelledError:
        return
    except RetortError as error:
        line.send(error)
    except Exception as error:
        line.send(storage_error(error) or RuntimeError(f"in a worker process:\n{traceback.format_exc()}"))


def end_with_parent() -> None:
    """End this process at once when the runner is gone: nobody would read what it pays for."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
