"""Trivial baselines: what a player gets on the held-out exam who reads neither question nor manual.

A baseline gives each task the chance of being right, exactly: ties share it. For a comparison pair by pair the chances
are turned into one answer a task, with as many right answers as the chances add up to.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from agents.answers import normalise
from agents.task import Level, Task
from graphs.trajectory import digest

Chances = list[float]
"""For each task, in order, the probability that the baseline is right."""
Guess = Callable[[Sequence[Task], Sequence[Task]], Chances]
"""(held-out tasks, training tasks) -> chances."""
BASELINES: dict[str, Guess] = {}


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


def baseline(name: str) -> Callable[[Guess], Guess]:
    """Register a baseline."""

    def register(function: Guess) -> Guess:
        BASELINES[name] = function
        return function

    return register


def _shared(task: Task, weights: Sequence[float]) -> float:
    """Chance of the gold when the heaviest option is taken and ties share."""
    top = max(weights)
    best = [option for option, weight in zip(task.options, weights, strict=True) if weight == top]
    return (task.gold in best) / len(best)


@baseline("random")
def random_option(tasks: Sequence[Task], train: Sequence[Task]) -> Chances:
    """An option drawn at random."""
    return [1 / len(task.options) if task.options else 0.0 for task in tasks]


@baseline("majority")
def majority(tasks: Sequence[Task], train: Sequence[Task]) -> Chances:
    """The option that was most often the gold of training questions of the same kind about the same attribute."""
    narrow: dict[tuple[str, str], Counter[str]] = {}
    wide: dict[str, Counter[str]] = {}
    for task in train:
        narrow.setdefault((task.kind, _attribute(task)), Counter())[normalise(task.gold)] += 1
        wide.setdefault(task.kind, Counter())[normalise(task.gold)] += 1
    chances = []
    for task in tasks:
        if not task.options:
            pool = wide.get(task.kind, Counter())
            top = [gold for gold, n in pool.items() if n == max(pool.values())]
            chances.append((normalise(task.gold) in top) / len(top) if top else 0.0)
            continue
        weights = [0.0] * len(task.options)
        for counts in (narrow.get((task.kind, _attribute(task))), wide.get(task.kind)):
            if counts and not any(weights):
                weights = [float(counts[normalise(option)]) for option in task.options]
        chances.append(_shared(task, weights))
    return chances


def _attribute(task: Task) -> str:
    """The attribute that the last hop asks for."""
    return task.hops[-1].attribute if task.hops else ""


@baseline("longest option")
def longest(tasks: Sequence[Task], train: Sequence[Task]) -> Chances:
    """The option with the most characters."""
    return [_shared(task, [len(option) for option in task.options]) if task.options else 0.0 for task in tasks]


def chances(tasks: Sequence[Task], train: Sequence[Task]) -> dict[str, Chances]:
    """Name -> chances of every registered baseline."""
    return {name: function(tasks, train) for name, function in BASELINES.items()}


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
        legend=(BASELINES[name].__doc__ or "").strip().partition("\n")[0],
        accuracy=sum(values) / len(values) if values else 0.0,
        levels={level: sum(part) / len(part) for level, part in levels.items()},
        per_task=all(value in (0.0, 1.0) for value in values),
    )
