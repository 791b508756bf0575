"""Executors: where the episodes of a run are played. In this process, in worker processes, or where yours plays them.

An executor gets a `Job` and sees to it that every task of it is played and recorded: `play_tasks` (worker.py) plays a
part of the tasks wherever it is called, with a ledger, a meter and signals. Parts that run elsewhere share the budget
by sharing what was spent (`Job.spent`), and end together by `Job.signals`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agents.models.meter import Budget, Meter, SpendCounter
from agents.registry import Registry
from agents.task import Task

if TYPE_CHECKING:
    from ..episode import Table
    from .ledger import Ledger
    from .worker import Order, Signals, Tally

IN_PROCESS = "in process"
PROCESSES = "worker processes"


@dataclass(frozen=True)
class Job:
    """Tasks to be played at one table into one ledger."""

    tasks: Sequence[Task]
    """Each lacks at least one of its episodes in the ledger."""
    table: Table
    """A team at a board. Plain data: it can be sent to another process or machine."""
    ledger: Ledger
    """Where episodes are recorded; open in the caller's thread. `ledger.path` opens it in another one."""
    order: Order
    """How often a task is played."""
    concurrency: int
    """Episodes in flight, over all parts of the job."""
    workers: int
    """Parts that the config asks for."""
    budget: Budget
    """What all parts may spend together, earlier starts of the run included."""
    seconds: float
    """Wall time that earlier starts of the run took."""
    spent: SpendCounter
    """What was spent so far; any thread of this process may add to it."""
    signals: Signals
    """Takes the progress, and says whether to go on; any thread of this process may call it."""

    def meter(self) -> Meter:
        """A meter for one part that runs in this process."""
        return Meter(self.budget, self.spent, self.seconds)


class Executor(Protocol):
    """Plays jobs."""

    def refusal(self, table: Table, workers: int) -> str:
        """Why the seats of a table cannot be played here, with a step that works; empty where they can."""

    async def play(self, job: Job) -> Tally:
        """Play what the ledger lacks of the job's tasks, and return what was done.

        Cancelling it must end everything that it has started; what was finished stays in the ledger.

        Raises:
            RetortError: what a part ended with; the others are ended too.
        """


class ExecutorClass(Protocol):
    """What is registered: a class, or a function without arguments."""

    def __call__(self) -> Executor:
        """A new executor."""


executors: Registry[ExecutorClass] = Registry(
    "executor", {IN_PROCESS: "graphs.runner.in_process", PROCESSES: "graphs.runner.processes"}
)


def by_workers(workers: int) -> str:
    """The executor where the config names none."""
    return PROCESSES if workers > 1 else IN_PROCESS


def suited(table: Table, executor: str | None, workers: int) -> str:
    """The executor that a config asks for, or this process where that one refuses the seats of a table."""
    wanted = executor or by_workers(workers)
    return IN_PROCESS if executors.get(wanted)().refusal(table, workers) else wanted
