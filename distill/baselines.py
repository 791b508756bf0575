"""Trivial baselines: what a player gets on the held-out exam who reads neither question nor manual.

A baseline gives each task the chance of being right, exactly: ties share it. The exam reports their means; the
leaderboard compares arms with them pair by pair.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from agents.answers import normalise
from agents.task import LEVELS, Form, Task

Chances = list[float]
"""For each task, in order, the probability that the baseline is right."""
Guess = Callable[[Sequence[Task], Sequence[Task], Form], Chances]
"""(held-out tasks, training tasks, form) -> chances; in the choice form every task has options."""


class Registered(NamedTuple):
    """A baseline and the forms in which it can play."""

    guess: Guess
    forms: tuple[Form, ...]


BASELINES: dict[str, Registered] = {}


def baseline(name: str, *forms: Form) -> Callable[[Guess], Guess]:
    """Register a baseline for these forms, or for both."""

    def register(function: Guess) -> Guess:
        BASELINES[name] = Registered(function, forms or ("free", "choice"))
        return function

    return register


def _shared(task: Task, weights: Sequence[float]) -> float:
    """Chance of the gold when the heaviest option is taken and ties share."""
    top = max(weights)
    best = [option for option, weight in zip(task.options, weights, strict=True) if weight == top]
    return (task.gold in best) / len(best)


@baseline("random", "choice")
def random_option(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """An option drawn at random."""
    return [1 / len(task.options) for task in tasks]


@baseline("majority")
def majority(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """The answer, or option, that was most often the gold of training questions of the same family."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for task in train:
        seen[family(task)][normalise(task.gold)] += 1
    found = []
    for task in tasks:
        counts = seen[family(task)]
        if form == "choice":
            found.append(_shared(task, [counts[normalise(option)] for option in task.options]))
        else:
            top = [gold for gold, n in counts.items() if n == max(counts.values())]
            found.append((normalise(task.gold) in top) / max(1, len(top)))
    return found


def family(task: Task) -> str:
    """What questions of one sort share: the exam's own name for it, else the kind and the attribute of the last hop."""
    attribute = task.hops[-1].attribute if task.hops else ""
    return task.provenance.get("family") or f"{task.kind}/{attribute}"


@baseline("longest option", "choice")
def longest(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """The option with the most characters."""
    return [_shared(task, [len(option) for option in task.options]) for task in tasks]


def chances(tasks: Sequence[Task], train: Sequence[Task], form: Form = "free") -> dict[str, Chances]:
    """Name -> chances of every baseline that can play in `form`.

    Raises:
        ValueError: the choice form, and a task without options.
    """
    if form == "choice" and not all(task.options for task in tasks):
        raise ValueError("a task without options cannot be played in the choice form")
    return {name: one.guess(tasks, train, form) for name, one in BASELINES.items() if form in one.forms}


def baselines(tasks: Sequence[Task], split: str = "test", form: Form = "free") -> dict[str, dict[str, float]]:
    """Level (and `overall`) -> baseline -> expected accuracy on the tasks of `split` that can be asked in `form`."""
    asked = [task for task in tasks if task.split == split and (form == "free" or task.options)]
    found = chances(asked, [task for task in tasks if task.split == "train"], form)
    result: dict[str, dict[str, float]] = {}
    for level in (*LEVELS, "overall"):
        members = [i for i, task in enumerate(asked) if level in (task.level, "overall")]
        if members:
            result[level] = {
                name: round(sum(values[i] for i in members) / len(members), 4) for name, values in found.items()
            }
    return result
