"""Plays in the caller's event loop."""

from __future__ import annotations

from ..episode import Table
from .executors import IN_PROCESS, Job, executors
from .worker import Tally, play_tasks


@executors.register(IN_PROCESS)
class InProcess:
    """One event loop with all episodes; the only place for models that lie in this process."""

    def refusal(self, table: Table, workers: int) -> str:
        """Every seat can be played here."""
        return ""

    async def play(self, job: Job) -> Tally:
        """Play the whole job as one part."""
        return await play_tasks(
            job.tasks, job.table, job.ledger, job.meter(), job.order, job.signals, concurrency=job.concurrency
        )
