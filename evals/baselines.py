"""The trivial baselines on the leaderboard: their accuracy, and one drawn answer a task to compare pair by pair."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from agents.task import Level, Task
from distill.baselines import BASELINES, Chances, chances
from graphs.trajectory import digest

__all__ = ["Baseline", "Chances", "chances", "drawn", "summarise"]


class Baseline(BaseModel):
    """A trivial baseline on the held-out exam."""

    model_config = ConfigDict(frozen=True)

    name: str
    legend: str
    accuracy: float
    """Expected share of right answers, 0 to 1."""
    levels: dict[Level, float]
    per_task: bool
    """Whether it has one answer a task (no ties)."""


def drawn(tasks: Sequence[Task], values: Chances, name: str) -> list[bool]:
    """One answer a task, right or wrong, by systematic sampling: right where the running sum of chances passes a half.

    The number of right answers is the expected one, rounded; the tasks are gone through in an order made of their ids,
    so the draw is the same every time and does not follow the order of the exam. Sure answers stay as they are.
    """
    answers = [value == 1.0 for value in values]
    open_ones = [i for i, value in enumerate(values) if 0.0 < value < 1.0]
    total = 0.5
    for i in sorted(open_ones, key=lambda i: digest(name, tasks[i].id)):
        before, total = math.floor(total + 1e-9), total + values[i]
        answers[i] = math.floor(total + 1e-9) > before
    return answers


def summarise(name: str, tasks: Sequence[Task], values: Chances) -> Baseline:
    """A baseline's expected accuracy, over all and by level."""
    levels: dict[Level, list[float]] = {}
    for task, chance in zip(tasks, values, strict=True):
        levels.setdefault(task.level, []).append(chance)
    return Baseline(
        name=name,
        legend=(BASELINES[name].guess.__doc__ or "").strip().partition("\n")[0],
        accuracy=sum(values) / len(values) if values else 0.0,
        levels={level: sum(part) / len(part) for level, part in levels.items()},
        per_task=all(value in (0.0, 1.0) for value in values),
    )
