"""What one gets on an exam without reading: chance, the most frequent answer, the longest option."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from agents.answers import normalise
from agents.task import LEVELS, Task


def _share(task: Task, score: Callable[[str], float]) -> float:
    """Chance of the gold among the options with the highest score."""
    top = max(score(option) for option in task.options)
    best = [option for option in task.options if score(option) == top]
    return 1 / len(best) if task.gold in best else 0.0


def baselines(tasks: Sequence[Task], split: str = "test") -> dict[str, dict[str, float]]:
    """Level (and `overall`) -> baseline -> expected accuracy on `split`; {} where it has no task with options.

    random: 1 / options. majority: the option that is most often the gold in training, within its attribute family.
    longest: the option with the most characters. Ties count as drawn by lot.
    """
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for task in tasks:
        if task.split == "train":
            seen[task.provenance.get("family", "")][normalise(task.gold)] += 1
    rows = [task for task in tasks if task.split == split and task.options]
    result: dict[str, dict[str, float]] = {}
    for name in (*LEVELS, "overall"):
        members = [task for task in rows if name in (task.level, "overall")]
        if not members:
            continue
        count = len(members)
        majority = 0.0
        for task in members:
            frequency = seen[task.provenance.get("family", "")]
            majority += _share(task, lambda option, f=frequency: f[normalise(option)])  # type: ignore[misc]
        result[name] = {
            "random": round(sum(1 / len(task.options) for task in members) / count, 4),
            "majority": round(majority / count, 4),
            "longest": round(sum(_share(task, len) for task in members) / count, 4),
        }
    return result
