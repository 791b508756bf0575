"""Asks the seats of scores, while arms are evaluated: so many at once, counted, and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from agents.context import Seat
from agents.models.meter import Budget, count
from agents.models.structured import ask_structured
from agents.task import Task
from graphs.board import seat_identity
from graphs.trajectory import Trajectory

from .jobs import Job, work_through
from .journal import Journal
from .scores import DEFAULT, Asker, Scorer
from .scoring import ASKED, Scoring, valued

M = TypeVar("M", bound=BaseModel)


class SeatAsker(Asker):
    """Asks a seat; its calls are counted on the run's meter under `role`."""

    def __init__(self, role: str, seat: Seat) -> None:
        self.role = role
        self.seat = seat

    async def ask(self, messages: Sequence[BaseMessage], schema: type[M]) -> M | None:
        """The seat's reply as an object of `schema`; see `Asker.ask`."""
        found, _, mended = await ask_structured(self.seat, self.role, messages, schema)
        count(*mended)
        return found


@dataclass(frozen=True)
class AskSeats:
    """`scoring.Asking` with seats."""

    seats: Mapping[str, Seat] = field(default_factory=dict)
    """Name of a score -> the seat that it asks; `""` = that of those that have none of their own."""
    budget: Budget | None = None
    concurrency: int = 32
    """Episodes that are scored at once."""

    def seat(self, name: str) -> Seat:
        """The seat that a score asks."""
        return self.seats.get(name) or self.seats[""]

    async def __call__(
        self, name: str, part: Scorer, episodes: Mapping[str, tuple[Task, Trajectory]], arm: str, folder: Path | None
    ) -> dict[str, dict[str, float | None]]:
        """Key -> the values of a score for its episode.

        Raises:
            ProviderError, BudgetError: what was answered is kept.
        """
        asker = SeatAsker(f"score:{name}", self.seat(name))

        def job(task: Task, t: Trajectory) -> Job:
            return lambda: valued(name, part, task, t, asker)

        jobs = {key: job(task, t) for key, (task, t) in episodes.items()}
        if folder is None:
            return {key: await each() for key, each in jobs.items()}
        return await work_through(
            jobs,
            Journal(folder / ASKED / f"{name}.jsonl"),
            folder / "ledger.sqlite",
            concurrency=self.concurrency,
            title=f"score {arm}: {name}",
            budget=self.budget,
        )


def scoring_with(
    seats: Mapping[str, Seat], names: Sequence[str] = DEFAULT, *, folder: Path | None = None, **more: Any
) -> Scoring:
    """The scores of these names, some of which ask seats.

    Args:
        seats: name of a score -> the seat that it asks; `""` = that of those that have none of their own.
        folder: the scores folder; None = nothing is kept.
        more: `budget` and `concurrency`.

    Raises:
        ConfigError: see `Scoring.of`.
    """
    who = {name: seat_identity(seat) for name, seat in seats.items()}
    return Scoring.of(names, who, folder=folder, asking=AskSeats(seats, **more))
