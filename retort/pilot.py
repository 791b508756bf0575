"""A pilot: a few tasks are really played, and calls, tokens, money and hours of the whole collection follow from them.

The pilot's episodes stand in the run's ledger like any others, so nothing of what it cost is lost: the collection goes
on from there. Intervals are percentile bootstraps over episodes (Efron 1979), 2,000 resamples with a fixed seed; tasks
are drawn at random, since an exam's first tasks need not be like its others.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agents.errors import StageError
from distill.collect import collect, now
from distill.ledger import Ledger
from graphs.episode import Table
from graphs.trajectory import Trajectory

from .pipeline import Run

RESAMPLES = 2000
FEW = 8
"""Below so many episodes an interval says little, and the plan says so."""


class Forecast(NamedTuple):
    """What one quantity of the whole collection comes to."""

    name: str
    spent: float
    """By the episodes that are recorded."""
    left: float
    """By those still to be played."""
    low: float
    high: float
    """95 % interval of `left`."""


def pilot(run: Run, tasks: int) -> str:
    """Play `tasks` random training tasks of each mode and forecast the rest.

    Raises:
        StageError: there is no exam yet.
        ProviderError, BudgetError: as collecting does.
    """
    options = run.config.collect
    every = run.tasks("train")[: options.tasks]
    if not every:
        raise StageError("the exam has no training tasks: nothing can be piloted")
    drawn = random.Random(run.config.seed).sample(every, min(tasks, len(every)))
    lines: list[str] = []
    with Ledger(run.folder / "ledger.sqlite") as ledger:
        for name, context, part in run.to_collect(every):
            table = Table.lay(context)
            here = {task.id for task in part}
            now(
                collect(
                    [task for task in drawn if task.id in here],
                    table,
                    ledger,
                    concurrency=options.concurrency,
                    samples=options.samples,
                    enough=options.enough,
                    budget=run.config.budget,
                    title=f"pilot {name}",
                )
            )
            keys = {table.key(task, n): task.id for task in part for n in range(options.samples)}
            played = [t for t in ledger.trajectories() if t.key in keys]
            lines += forecast_text(name, played, len(part), options.concurrency)
    return "\n".join(lines)


def forecast_text(name: str, played: Sequence[Trajectory], tasks: int, concurrency: int) -> list[str]:
    """The forecast of one part of the collection as lines."""
    groups: dict[str, list[Trajectory]] = {}
    for trajectory in played:
        groups.setdefault(trajectory.task_id, []).append(trajectory)
    left = tasks - len(groups)
    kept = sum(any(t.verdict.accepted for t in group) for group in groups.values())
    lines = [
        f"  pilot {name}: {len(groups)} of {tasks} tasks played, {kept} with an accepted episode; the other {left}:",
        f"  {'':<16}{'spent':>12}{'to come':>12}   95 % interval",
    ]
    for row in forecast(list(groups.values()), left, concurrency):
        digits = 2 if row.name in ("usd", "hours") else 0
        numbers = f"{row.spent:>12,.{digits}f}{row.left:>12,.{digits}f}"
        lines.append(f"  {row.name:<16}{numbers}   {row.low:,.{digits}f} to {row.high:,.{digits}f}")
    if len(groups) < FEW:
        lines.append(f"  only {len(groups)} tasks: the interval says little, play {FEW} or more (--pilot {FEW})")
    return lines


def forecast(groups: Sequence[Sequence[Trajectory]], left: int, concurrency: int) -> list[Forecast]:
    """Each quantity for `left` more tasks, from the episodes of each played task.

    Args:
        groups: the episodes of one task each: tasks are resampled whole, with all samples that they needed.
        concurrency: episodes in flight; hours are their seconds divided by it.
    """
    measured = {
        "episodes": [float(len(group)) for group in groups],
        "calls": [float(sum(r.calls for t in group for r in t.usage.roles.values())) for group in groups],
        "prompt tokens": [float(sum(t.usage.prompt for t in group)) for group in groups],
        "reply tokens": [float(sum(t.usage.completion for t in group)) for group in groups],
        "usd": [sum(t.usage.usd for t in group) for group in groups],
        "hours": [sum(t.usage.seconds for t in group) / 3600 / concurrency for group in groups],
    }
    dice = np.random.default_rng(0)
    picks = dice.integers(0, len(groups), size=(RESAMPLES, len(groups)))
    found = []
    for name, values in measured.items():
        row = np.array(values)
        low, high = np.quantile(row[picks].mean(axis=1) * left, (0.025, 0.975))
        found.append(Forecast(name, float(row.sum()), float(row.mean() * left), float(low), float(high)))
    return found
