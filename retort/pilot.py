"""A pilot: a few tasks are really played, and calls, tokens, money and hours of the whole collection follow from them.

The pilot's episodes stand in the run's ledger like any others, so nothing of what it cost is lost: the collection goes
on from there. What was sent is more than what the episodes hold, since calls fail and are repeated: the numbers of the
episodes are raised to those of the ledger's accounts, where failed calls that may be billed stand by estimate.
Intervals are percentile bootstraps over episodes (Efron 1979), 2,000 resamples with a fixed seed; tasks are drawn at
random, since an exam's first tasks need not be like its others.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from agents.errors import PROVIDER_KINDS, StageError
from agents.models.meter import RunAccount
from graphs.episode import Table
from graphs.runner.collect import collect, now
from graphs.runner.ledger import Ledger
from graphs.trajectory import Trajectory

from .pipeline import Run

RESAMPLES = 2000
FEW = 8
"""Below so many episodes an interval says little, and the plan says so."""


class Forecast(NamedTuple):
    """What one quantity of the whole collection comes to."""

    name: str
    spent: float
    """On the episodes that are recorded, calls that failed included."""
    left: float
    """By those still to be played."""
    low: float
    high: float
    """95 % interval of `left`."""


@dataclass(frozen=True)
class PilotPart:
    """What the pilot tells of one part of the collection."""

    name: str
    tasks: int
    """Training tasks of the part."""
    played: int
    """Of these, tasks with a recorded episode."""
    accepted: int
    """Of these, tasks with an accepted one."""
    forecasts: tuple[Forecast, ...]
    """For the tasks that are left; empty where none was played."""
    failed: tuple[str, ...] = ()
    """Endpoint failures of episodes, as lines."""

    def lines(self) -> list[str]:
        """The forecast as lines."""
        return [*self.forecast_lines(), *self.failed]

    def forecast_lines(self) -> list[str]:
        """The lines without the failures."""
        if not self.played:
            return [
                f"  pilot {self.name}: no task of {self.tasks} could be played to its end, so that nothing can be "
                "forecast"
            ]
        left = self.tasks - self.played
        lines = [
            f"  pilot {self.name}: {self.played} of {self.tasks} tasks played, {self.accepted} with an accepted "
            f"episode; the other {left}:",
            f"  {'':<16}{'spent':>12}{'to come':>12}   95 % interval",
        ]
        for row in self.forecasts:
            digits = 2 if row.name in ("usd", "hours") else 0
            numbers = f"{row.spent:>12,.{digits}f}{row.left:>12,.{digits}f}"
            lines.append(f"  {row.name:<16}{numbers}   {row.low:,.{digits}f} to {row.high:,.{digits}f}")
        if self.played < FEW:
            lines.append(f"  only {self.played} tasks: the interval says little, play {FEW} or more (--pilot {FEW})")
        return lines


@dataclass(frozen=True)
class Piloted:
    """What a pilot tells."""

    parts: tuple[PilotPart, ...]
    failures: tuple[str, ...]
    """What became of the calls that failed, as lines."""

    def lines(self) -> list[str]:
        """The pilot for the terminal."""
        return [line for part in self.parts for line in part.lines()] + list(self.failures)

    def row(self) -> dict[str, Any]:
        """The same as JSON."""
        parts = [{**asdict(part), "forecasts": [each._asdict() for each in part.forecasts]} for part in self.parts]
        return {"parts": parts, "failures": [line.strip() for line in self.failures]}


def pilot(run: Run, tasks: int) -> Piloted:
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
    parts: list[PilotPart] = []
    with Ledger(run.folder / "ledger.sqlite") as ledger:
        for name, context, part in run.to_collect(every):
            table = Table.from_context(context)
            here = {task.id for task in part}
            done = now(
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
            recorded = list(ledger.trajectories())
            played = [t for t in recorded if t.key in keys]
            raised = overhead(recorded, ledger.accounts())
            parts.append(forecast_part(name, played, len(part), options.concurrency, raised, done.failed()))
        return Piloted(tuple(parts), tuple(failures_text(ledger)))


def overhead(recorded: Sequence[Trajectory], accounts: Mapping[str, RunAccount]) -> dict[str, float]:
    """Quantity -> how many times as much was sent as the recorded episodes hold; 1 where nothing failed."""
    sent = [
        (a.calls + a.failed, a.prompt + a.estimated_prompt, a.completion + a.estimated_completion, a.money)
        for a in accounts.values()
    ]
    held = [
        (sum(r.calls for r in u.roles.values()), u.prompt, u.completion, u.usd) for u in (t.usage for t in recorded)
    ]
    found = {}
    for place, name in enumerate(("calls", "prompt tokens", "reply tokens", "usd")):
        whole, part = sum(row[place] for row in sent), sum(row[place] for row in held)
        found[name] = max(1.0, whole / part) if part else 1.0
    return found


def failures_text(ledger: Ledger) -> list[str]:
    """What became of the calls that failed, as lines; none where none did."""
    accounts = ledger.accounts().values()
    failed, estimated = sum(a.failed for a in accounts), sum(a.estimated for a in accounts)
    if not failed:
        return []
    kinds = ", ".join(f"{kind} {times}" for kind, times in ledger.faults().items() if kind in PROVIDER_KINDS)
    tokens = sum(a.estimated_prompt + a.estimated_completion for a in accounts)
    usd = sum(a.estimated_usd for a in accounts)
    sent = sum(a.calls for a in accounts) + failed
    money = f", {usd:,.2f} usd" if usd else ""
    return [
        f"  of {sent:,} calls sent so far {failed:,} failed ({kinds}); {estimated:,} of these may be billed and are "
        f"counted above, by estimate: {tokens:,} tokens{money}"
    ]


def forecast_part(
    name: str,
    played: Sequence[Trajectory],
    tasks: int,
    concurrency: int,
    raised: Mapping[str, float],
    failed: Sequence[str] = (),
) -> PilotPart:
    """The forecast of one part of the collection; `raised` is `overhead`."""
    groups: dict[str, list[Trajectory]] = {}
    for trajectory in played:
        groups.setdefault(trajectory.task_id, []).append(trajectory)
    kept = sum(any(t.verdict.accepted for t in group) for group in groups.values())
    found = forecast(list(groups.values()), tasks - len(groups), concurrency, raised) if groups else []
    return PilotPart(name, tasks, len(groups), kept, tuple(found), tuple(failed))


def forecast(
    groups: Sequence[Sequence[Trajectory]], left: int, concurrency: int, raised: Mapping[str, float] | None = None
) -> list[Forecast]:
    """Each quantity for `left` more tasks, from the episodes of each played task.

    Args:
        groups: the episodes of one task each: tasks are resampled whole, with all samples that they needed.
        concurrency: episodes in flight; hours are their seconds divided by it.
        raised: quantity -> times as much was sent as the episodes hold; None = what they hold.
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
        row = np.array(values) * (raised or {}).get(name, 1.0)
        low, high = np.quantile(row[picks].mean(axis=1) * left, (0.025, 0.975))
        found.append(Forecast(name, float(row.sum()), float(row.mean() * left), float(low), float(high)))
    return found
