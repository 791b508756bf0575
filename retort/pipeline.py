"""The line: each stage reads files of the run folder and writes files there; only what is missing or stale is done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agents.context import Context, Mode, Seat, Team, Verify
from agents.errors import StageError
from agents.files import read_models
from agents.folders import absolute
from agents.task import Form, Task
from graphs.contents import recall, remember
from graphs.trajectory import digest

from . import lines
from .config import DEMONSTRATOR, RunConfig, write_resolved
from .doctor.before import refuse_broken
from .evaluation import check_scores
from .folders import check_place, claim
from .lines import say
from .lock import alone
from .parts import Parts
from .stages import HASHES, Found, looked_at, mark, parts_of, sources, unmark
from .table import Stage, stages_of
from .work import work_of


class Run:
    """A config and its run folder.

    Args:
        source: the run.toml that the config was read from; None = no file.

    Raises:
        FolderError: `folder` is no path.
    """

    def __init__(self, config: RunConfig, folder: Path, source: Path | None = None) -> None:
        self.config = config
        self.folder = absolute(folder)
        self.source = source

    def check_place(self) -> None:
        """Raise FolderError or StageError where the run folder is none, another config's, or holds the corpus."""
        check_place(self.folder, self.source, (self.config.corpus.manuals, self.config.corpus.facts))

    def settle(self) -> None:
        """Write the run folder's own run.toml, and whose it is."""
        write_resolved(self.config, self.folder)
        claim(self.folder, self.source)

    def tasks(self, split: str | None = None) -> list[Task]:
        """The exam's tasks, of one split or all."""
        rows = read_models(self.folder / "exam.jsonl", Task, "exam")
        return [task for task in rows if split is None or task.split == split]

    def team(self, name: str) -> Team:
        """The team of an arm: base, student, a training, or one of [teams]; the demonstrator gets this run's exam."""
        if name in self.config.teams:
            team = self.config.teams[name].named(name)
        else:
            student = self.config.student
            seat = Seat(
                model=self.student_model(name),
                max_tokens=student.max_tokens,
                transport=student.transport,
                chat_template=student.chat_template if name == "base" else None,  # a trained one carries its own
            )
            team = Team(name=name, reason=seat)

        def keyed(seat: Seat) -> Seat:
            if seat.model.startswith(DEMONSTRATOR) and "@" not in seat.model:
                return seat.model_copy(update={"model": f"{seat.model}@{self.folder / 'exam.jsonl'}"})
            return seat

        return team.model_copy(update={role: keyed(seat) for role, seat in team.seats().items()})

    def student_model(self, name: str) -> str:
        """The hf seat of base, of what a training made, or of student, which is what the last one made."""
        if name == "base":
            return f"hf:{self.config.student.base}"
        names = self.config.student.trainings
        stage = name if name in names else names[-1]
        folder = self.folder / "students" / stage
        if not folder.exists():
            raise StageError(f"{folder} is not there: run the stage {stage!r} first")
        return f"hf:{folder}"

    def collecting(self, mode: Mode, form: Form = "free") -> Context:
        """The context of collected episodes: held-out pages barred, faults put in where the config says."""
        options = self.config.collect
        context = self.context(options.team, mode, options.verify, held_out=True)
        return context.model_copy(update={"faults": options.faults, "form": form})

    def to_collect(self, tasks: Sequence[Task]) -> Iterator[tuple[str, Context, list[Task]]]:
        """What is collected, part by part: its name, the context, and those of `tasks` that are played in it."""
        for mode in self.config.collect.modes:
            for form in FORMS:
                part = [task for task in tasks if form_of(task, self.config.collect.choice) == form]
                if part:
                    yield mode if form == "free" else f"{mode}, choice", self.collecting(mode, form), part

    def context(self, team: str, mode: Mode, verify: Verify, *, held_out: bool) -> Context:
        """The runtime context of an episode; `held_out` bars the pages that training must not see."""
        return Context(
            team=self.team(team),
            library=str(self.folder / "library"),
            without=str(self.folder / "held_out.json") if held_out else None,
            board=self.config.board,
            mode=mode,
            verify=verify,
        )


FORMS: tuple[Form, ...] = ("free", "choice")


def form_of(task: Task, share: float) -> Form:
    """The form in which a training question is played: of those with options a share of `share`, by its id."""
    return "choice" if task.options and int(digest(task.id), 16) % 10_000 < share * 10_000 else "free"


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
        raise StageError(lines.run_first(stage.name, late[0], found[late[0]].said(), run.folder))
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
        said = work_of(stage.name)(run)
        seconds = time.monotonic() - begun
        mark(run.folder, stage, depends, seconds, said)
        say(f"{'':<12} {said}  [{seconds:.1f} s]")


def unusable(run: Run, stage: str) -> str:
    """Why what a stage made cannot be used although every file is as it was; empty where it can."""
    from agents.corpus.index import Library

    try:
        if stage == "index":
            Library.open(run.folder / "library")
    except StageError as error:
        return str(error)
    return ""
