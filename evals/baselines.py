"""The trivial baselines on the leaderboard: what each gets over all tasks and by level."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from agents.task import Level, Task
from distill.exam.baselines import BASELINES, Chances, chances

__all__ = ["Baseline", "Chances", "chances", "mean_of", "summarise"]


class Baseline(BaseModel):
    """A trivial baseline on the held-out exam."""

    model_config = ConfigDict(frozen=True)

    name: str
    legend: str
    accuracy: float
    """Expected share of right answers, 0 to 1."""
    levels: dict[Level, float]
    unseen: float | None
    """On tasks whose whole module was held out; None where there are none."""


def mean_of(values: Chances, members: Sequence[bool]) -> float | None:
    """Mean over the members, None where there are none."""
    found = [value for value, member in zip(values, members, strict=True) if member]
    return sum(found) / len(found) if found else None


def summarise(name: str, tasks: Sequence[Task], values: Chances) -> Baseline:
    """A baseline's expected accuracy, over all, by level and on unseen modules."""
    levels: dict[Level, list[float]] = {}
    for task, chance in zip(tasks, values, strict=True):
        levels.setdefault(task.level, []).append(chance)
    return Baseline(
        name=name,
        legend=(BASELINES[name].guess.__doc__ or "").strip().partition("\n")[0],
        accuracy=mean_of(values, [True] * len(tasks)) or 0.0,
        levels={level: sum(part) / len(part) for level, part in levels.items()},
        unseen=mean_of(values, [task.unseen_module for task in tasks]),
    )
