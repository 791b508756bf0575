"""The line: each stage reads files of the run folder and writes files there; only what is missing or stale is done."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from agents.context import Context, Mode, Verify
from agents.errors import StageError
from graphs.contents import recall, remember

from . import lines
from .doctor.before import refuse_broken
from .evaluation import check_scores
from .lock import alone
from .parts import Parts
from .progress import say
from .run import Run as Run
from .stages import HASHES, Found, looked_at, mark, parts_of, sources, unmark
from .table import Stage, stages_of
from .work import work_of


def check_budget(run: Run, only: Sequence[str] | None) -> None:
    """Raise ConfigError where the money of a stage that plays could not be counted."""
    from agents.models.prices import check_prices

    config = run.config
    plays: list[tuple[str, Mode, Verify]] = []
    if only is None or "collect" in only:
        plays += [(config.collect.team, mode, config.collect.verify) for mode in config.collect.modes]
    if only is None or "evaluate" in only:
        check_scores(run)
        plays += [(arm.team, arm.mode, "score") for arm in config.arms() if arm.team in config.teams]
    for name, mode, verify in plays:
        context = Context(team=run.team(name), library="", board=config.board, mode=mode, verify=verify)
        check_prices(config.budget, context)


def needed(run: Run, stage: Stage, code: Mapping[str, Parts] | None = None) -> dict[str, Found]:
    """The states of all stages; raises StageError where one that `stage` reads is not fresh.

    Args:
        code: what `sources` told; None = the source as it is now.
    """
    found = looked_at(run, code)
    late = [name for name in stage.needs if name in found and found[name].state != "fresh"]
    if late:
        raise StageError(lines.run_first(stage.name, late[0], found[late[0]].summary(), run.folder))
    return found


def work(run: Run, only: Sequence[str] | None = None, *, force: bool = False) -> None:
    """Do the stages that are missing or stale, all or some; `force` does the named ones in any case.

    Raises:
        StageError: a stage outside `only` that a wanted one reads is not fresh, something that it needs is broken, or
            another process works on the run.
        ConfigError: a budget in USD with seats that have no price, said before anything is done.
    """
    check_budget(run, only)
    run.check_place()
    with alone(run.folder):
        run.settle()
        recall(run.folder / HASHES)
        try:
            do(run, only, force=force)
        finally:
            remember(run.folder / HASHES)


FREE = ("index", "exam", "dataset", "leaderboard")
"""Stages that pay no teacher and train nothing that one is paid for: before all others it is looked at what can be
broken."""


def do(run: Run, only: Sequence[str] | None, *, force: bool) -> None:
    """`work` on a run folder that this process holds."""
    # Taken once: a module that is edited while its stage waits may have been imported before.
    code = sources(run.config)
    looked = False
    stages = stages_of(run.config)
    for at, stage in enumerate(stages):
        if only is not None and stage.name not in only:
            continue
        found = needed(run, stage, code)
        state, why = found[stage.name].state, found[stage.name].why
        if state == "fresh" and only is not None:
            why = unusable(run, stage.name)
        if state == "fresh" and not why and not (force and only):
            say(f"{stage.name:<12} fresh")
            continue
        if stage.name not in FREE and not looked:
            looked = True
            names = [each.name for each in stages[at:] if only is None or each.name in only]
            for remark in refuse_broken(run, names):
                say(f"{'':<12} {remark}")
        say(f"{stage.name:<12} {stage.does}{f'  ({why})' if why else ''}")
        depends = parts_of(run, stage, code[stage.name])
        unmark(run.folder, stage.name)
        begun = time.monotonic()
        text = work_of(stage.name)(run)
        seconds = time.monotonic() - begun
        mark(run.folder, stage, depends, seconds, text)
        say(f"{'':<12} {text}  [{seconds:.1f} s]")


def unusable(run: Run, stage: str) -> str:
    """Why what a stage made cannot be used although every file is as it was; empty where it can."""
    from agents.corpus.library import Library

    try:
        if stage == "index":
            Library.open(run.folder / "library")
    except StageError as error:
        return str(error)
    return ""
