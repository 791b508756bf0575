"""`retort benchmark`: the arms of a run sit an outside exam, into scores/benchmarks/NAME; no stage depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.errors import ConfigError
from graphs.contents import sha256_of

from .config import Arm
from .lock import alone
from .products import BENCHMARKS

if TYPE_CHECKING:
    from evals.benchmarks.sitting import Result

    from .pipeline import Run


def benchmark(run: Run, name: str, arms: Sequence[str] = ()) -> Result:
    """Play a benchmark for arms of a run; what was played before is not played again.

    Args:
        name: a registered benchmark, or the user's own by `/path/file.py:Class`.
        arms: rows of the leaderboard; none = all that are no closed books, each team once. The base comes first where
            it is among them, and the others are compared with it.

    Raises:
        ConfigError: no such benchmark or arm.
        StageError: a player is not trained yet, what the benchmark needs is not there, another process is at work.
        ProviderError, BudgetError: what was played is kept.
    """
    from evals.benchmarks import Player, benchmarks
    from evals.benchmarks.sitting import sit
    from evals.jobs import closing
    from evals.journal import finished

    part = benchmarks.get(name)()
    title, path = name.rpartition(":")[2], benchmarks.file(name)
    run.check_place()
    with alone(run.folder):
        run.settle()
        folder = run.folder / BENCHMARKS / title
        players = []
        for arm in chosen(run, arms):
            context = part.context(run.team(arm.team), arm.mode, folder)
            players.append(Player(arm=arm.name, context=context, role=f"benchmark:{title}"))
        source = sha256_of(path) if path is not None else ""
        options = run.config.evaluate
        playing = sit(part, title, source, folder, players, concurrency=options.concurrency, budget=run.config.budget)
        return finished(closing(playing))


def chosen(run: Run, names: Sequence[str]) -> list[Arm]:
    """The arms that play, the base first; raises ConfigError for a name that is none."""
    known = {arm.name: arm for arm in run.config.arms()}
    for name in names:
        if name not in known:
            raise ConfigError(f"no arm is named {name!r}; there are {', '.join(known)}")
    every = {arm.team: arm for arm in reversed(known.values()) if arm.mode == "react"}
    arms = [known[name] for name in dict.fromkeys(names)] or list(reversed(every.values()))
    return sorted(arms, key=lambda arm: arm.team != "base")
