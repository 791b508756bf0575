"""Counts of an exam: its questions by kind, and how many facts the exam that is asked for needs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from agents.corpus.facts import Fact
from agents.errors import ExamError
from agents.task import LEVELS, Level, Task


def needed(usable: int, tasks: Sequence[Task], wanted: Mapping[str, int]) -> int:
    """Facts like the usable ones that the exam wanted takes, by the split that has the least of what is wanted.

    A proportion, not a proof: questions of two look-ups grow faster than facts, and lists of options need variety.
    """
    made: Counter[str] = Counter(task.split for task in tasks)
    return max(
        (math.ceil(usable * size / max(1, made[split])) for split, size in wanted.items() if split != "dev" and size),
        default=0,
    )


def too_few(count: int, least: int, usable: int, rejected: Sequence[tuple[Fact, str]]) -> str:
    """What is said of facts that make no exam: how many there are, how many it takes, and why others are left out."""
    about = max(least * max(usable, 1) // max(count, 1), usable + 1)
    reasons = Counter(reason for _, reason in rejected).most_common(2)
    left = f" ({len(rejected)} are left out: {', '.join(f'{why} {n}' for why, n in reasons)})" if rejected else ""
    return (
        f"only {count} test questions of {usable} usable facts{left}: at least {least} need about {about} facts, so "
        "give more, or raise exam.held_out"
    )


def by_kind(tasks: Sequence[Task]) -> dict[str, dict[str, dict[str, int]]]:
    """Split -> level -> kind -> questions."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for task in tasks:
        kinds = found.setdefault(task.split, {}).setdefault(task.level, {})
        kinds[task.kind] = kinds.get(task.kind, 0) + 1
    return {
        split: {level: dict(sorted(levels[level].items())) for level in LEVELS if level in levels}
        for split, levels in found.items()
    }


def shares_of(wanted: Mapping[Level, float]) -> dict[Level, float]:
    """Shares of the levels that sum to 1, in the proportions given; raises ExamError where all are 0."""
    total = sum(wanted.values())
    if total <= 0:
        raise ExamError("[exam] engineer, professional and consultant are all 0: give one of them a share")
    return {level: share / total for level, share in wanted.items()}
