"""The run config: run.toml as one frozen object. Unknown keys are refused with the nearest known one named.

Paths are relative to the file. Each section is described beside its user: [corpus] in agents/corpus/sources, [index] in
agents/corpus/indexes, [board] in agents/context.py, [exam] in distill/exam/build.py, [dataset] in distill/dataset.py.
A training method brings a section of its name (finetune/methods.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agents.context import Board, Mode, Seat, Team, ToolFaults, Transport, Verify
from agents.corpus.indexes import IndexConfig
from agents.corpus.sources import CorpusConfig
from agents.errors import ConfigError, SeatError, StageError
from agents.files import write_text
from agents.models.meter import Budget
from agents.providers import known_of, known_provider, names_where, split_spec
from agents.providers.scripted import DEMONSTRATOR
from agents.redaction import redacted
from agents.task import Form
from agents.text import shortened
from distill.dataset import DatasetConfig
from distill.exam.build import ExamConfig
from evals.scores import DEFAULT
from finetune.methods import in_order, short, weighed
from finetune.settings import TrainConfig

from .config_errors import ExecutorName, explain, mended_by
from .overrides import Override, applied, blamed
from .paths import absolute
from .sections import settings_of, with_sections
from .toml_file import read_toml

NAME = re.compile(r"[^\W_][\w ._+()-]{0,59}")
"""Of a team or an arm: file names are made of it."""


class Section(BaseModel):
    """A section of run.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SeatedTeam(Section):
    """[teams.NAME]: role -> seat; a seat is one line or a table."""

    reason: Seat
    search: Seat | None = None
    extract: Seat | None = None
    judge: Seat | None = None
    first_thought: bool = False
    """Think without tools first; the first sentence of that opens the first turn."""

    @field_validator("reason", "search", "extract", "judge", mode="before")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    def named(self, name: str) -> Team:
        """The team under its name."""
        return Team(name=name, **{field: getattr(self, field) for field in type(self).model_fields})


class CollectConfig(Section):
    """[collect]: who plays the training tasks, and how."""

    team: str = "teacher"
    """A name of [teams]."""
    modes: tuple[Mode, ...] = Field(("react",), min_length=1)
    """Modes in which each task is played."""
    samples: int = Field(1, ge=1, le=10_000)
    """Episodes a task and mode at the most; more than one wants a temperature above 0."""
    enough: int | None = Field(None, ge=1)
    """Accepted episodes after which a task is left alone; None = all `samples` are played."""
    concurrency: int = Field(16, ge=1, le=100_000)
    """Episodes in flight."""
    workers: int = Field(1, ge=1, le=1_000)
    """Processes that share the work, where every seat is behind an endpoint; worth it from some 100 calls a second."""
    executor: ExecutorName = None
    """Where episodes are played: `in process`, `worker processes`, or one of your own as `module:class`; None = worker
    processes where there are several workers."""
    faults: ToolFaults | None = None
    """Faults put into tool results on purpose, so that recovering can be learnt."""
    verify: Verify = "revise"
    """revise: a failing answer is sent back with a critique first."""
    choice: float = Field(0.15, ge=0, le=1)
    """Share of the training questions that are played in the choice form, of those that have options."""
    tasks: int | None = Field(None, ge=1)
    """Only so many training tasks; None = all."""


class StudentConfig(Section):
    """[student]: what is trained."""

    base: str = "tiny-base"
    """A model folder, a hub id, or `tiny-base`, which ships with Retort."""
    stages: tuple[str, ...] = ("cpt", "sft")
    """Training methods in their order, each from what the one before made; a name, or `FILE.py:CLASS` of your own.
    Empty = nothing is trained and [teams.student] plays."""
    max_tokens: int = Field(200, ge=1)
    """Tokens of one reply of the student, its base and their stages."""
    transport: Transport = "native"
    """How tools reach base, student and the models between, in training and in play: native, text, hermes."""
    chat_template: str | None = None
    """A bundled template (`chatml`) or a Jinja file, in place of the base's own: in training and in play."""

    @field_validator("stages")
    @classmethod
    def _in_order(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = in_order(value)
        if wrong:
            raise ValueError(wrong)
        return value

    @property
    def trainings(self) -> tuple[str, ...]:
        """The names of the stages: of their sections, of their students' folders, and of the teams in between."""
        return tuple(short(stage) for stage in self.stages)


class TracingConfig(Section):
    """[tracing]: what is shown to others; variables of the shell alone switch nothing on."""

    langsmith: bool = False
    """Send every prompt, reply, question and gold to LangSmith, by its own variables (LANGSMITH_API_KEY, ...)."""


class Arm(Section):
    """[[evaluate.arms]]: one row of the leaderboard."""

    name: str
    """Row name; file names of its scores are made from it."""
    team: str
    """base, student, a name of [student] stages (what that training made), or one of [teams]."""
    mode: Mode = "react"
    """cot, answer: closed book, nothing to search."""
    choice: Literal["auto", "graph", "likelihood", "off"] = "auto"
    """How it sits the choice form beside a primary free one: graph plays, likelihood weighs the options.

    auto: base, what learnt only text, and closed books are weighed where their model is in this process, and left out
    where it is behind an endpoint; all others play. off: it is left out.
    """

    def in_choice(self, model: str) -> Literal["graph", "likelihood", "none"]:
        """How it sits the choice form with the seat `model`; none = not at all.

        Raises:
            ConfigError: its options are to be weighed, and its seat is not in this process.
        """
        known = known_of(model)
        weighable = known is not None and known.weighable
        if self.choice == "likelihood" and not weighable:
            kinds = " or ".join(names_where("weighable"))
            raise ConfigError(
                f"arm {self.name!r}: choice = 'likelihood' needs an {kinds} seat, not {model!r}: set 'graph' or 'off'"
            )
        if self.choice != "auto":
            return "none" if self.choice == "off" else self.choice
        script = known is not None and not known.language_model
        if script or (self.mode == "react" and self.team != "base" and not weighed(self.team)):
            return "graph"
        return "likelihood" if weighable else "none"


class EvaluateConfig(Section):
    """[evaluate]: who sits the held-out exam, and in which forms."""

    forms: tuple[Form, ...] = ("free", "choice")
    """free: in the player's own words; choice: the tasks that have options, with them. The first one is primary: its
    figures fill the columns of the leaderboard and every comparison; the other stands beside it."""
    concurrency: int = Field(32, ge=1, le=100_000)
    """Episodes in flight."""
    workers: int = Field(1, ge=1, le=1_000)
    """Processes that share the work; arms with a model in this process are played in this process all the same."""
    executor: ExecutorName = None
    """As [collect] executor; arms whose seats it refuses are played in this process."""
    arms: tuple[Arm, ...] = ()
    """Empty = base, each model between it and the student, student, student closed book, teacher, where they exist."""
    tasks: int | None = Field(None, ge=1)
    """Only so many held-out tasks, for a look; None = all."""
    scores: tuple[str, ...] = DEFAULT
    """What is measured of every episode: names of evals/scores.py, of installed packages, or /path/file.py:function."""
    seats: dict[str, Seat] = Field(default_factory=dict)
    """Score that asks a seat -> the seat; one without a seat of its own asks the judge of the collecting team."""

    @field_validator("seats", mode="before")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        lines = value.items() if isinstance(value, Mapping) else ()
        return {name: {"model": seat} if isinstance(seat, str) else seat for name, seat in lines} or value

    @field_validator("forms")
    @classmethod
    def _one_or_two(cls, value: tuple[Form, ...]) -> tuple[Form, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError('name one or both of "free" and "choice", each once')
        return value


class RunConfig(Section):
    """run.toml; beside the fields a section for each training method that is named, by the method's own name."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    """Name of the run; its folder is `runs/NAME` beside this file unless --run says otherwise."""
    seed: int = 0
    corpus: CorpusConfig
    index: IndexConfig = IndexConfig()
    exam: ExamConfig = ExamConfig()
    board: Board = Board()
    teams: dict[str, SeatedTeam] = Field(
        default_factory=lambda: {"teacher": SeatedTeam(reason=Seat(model=DEMONSTRATOR))}
    )
    collect: CollectConfig = CollectConfig()
    budget: Budget = Budget()
    dataset: DatasetConfig = DatasetConfig()
    student: StudentConfig = StudentConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    tracing: TracingConfig = TracingConfig()

    @model_validator(mode="before")
    @classmethod
    def _with_sections(cls, given: Any) -> Any:
        return with_sections(given, frozenset(cls.model_fields), StudentConfig().stages)

    @model_validator(mode="after")
    def _names_exist(self) -> RunConfig:
        if self.collect.team not in self.teams:
            raise ValueError(f"collect.team {self.collect.team!r} is not in [teams]: {', '.join(self.teams)}")
        for name in (*self.teams, *(arm.name for arm in self.evaluate.arms)):
            if not NAME.fullmatch(name):
                raise ValueError(
                    f"{shortened(name)!r} cannot name a team or an arm: give at most 60 letters, digits and ._+() -"
                )
        taken = {*type(self).model_fields, "base", "student"} & {*self.student.trainings}
        if taken:
            raise ValueError(f"student.stages: {min(taken)!r} cannot name a training: give its class another name")
        for team in self.teams.values():
            for seat in team.named("").seats().values():
                checked_spec(seat.model)
        for seat in self.evaluate.seats.values():
            checked_spec(seat.model)
        known = self.team_names()
        for arm in self.evaluate.arms:
            if arm.team not in (*known, *self.student.trainings):
                raise ValueError(f"evaluate.arms: team {arm.team!r} is not one of {', '.join(known)}")
        names = [arm.name for arm in self.evaluate.arms]
        if len(set(names)) < len(names):
            raise ValueError("evaluate.arms: two arms have the same name")
        if not self.student.stages and "student" not in self.teams:
            raise ValueError("student.stages is empty, so [teams.student] must say who plays the student")
        return self

    def exam_seed(self) -> int:
        """The seed of the exam: its own where the file gives one, else the run's."""
        return self.exam.seed if "seed" in self.exam.model_fields_set else self.seed

    def training(self, name: str) -> TrainConfig:
        """The settings of a training, by the name of its section.

        Raises:
            ConfigError: the section of a method of the user's own has a key or a value that the method does not take.
        """
        stage = next((each for each in self.student.stages if short(each) == name), name)
        return settings_of(stage, (self.__pydantic_extra__ or {}).get(name))

    def trainings(self) -> tuple[tuple[str, TrainConfig], ...]:
        """(name, settings) of each training, in their order; raises like `training`."""
        return tuple((name, self.training(name)) for name in self.student.trainings)

    def team_names(self) -> list[str]:
        """The teams of a run: its own, the base, what each training but the last one made, and the student."""
        return sorted({*self.teams, "base", *self.student.trainings[:-1], "student"})

    def arms(self) -> tuple[Arm, ...]:
        """The arms that are played: the models from base to student, and the team that was learnt from."""
        if self.evaluate.arms:
            return self.evaluate.arms
        arms = []
        names = self.student.trainings
        if names:
            arms.append(Arm(name="base", team="base"))
        arms += [Arm(name="+".join(("base", *names[: at + 1])), team=name) for at, name in enumerate(names[:-1])]
        arms.append(Arm(name="student", team="student"))
        arms.append(Arm(name="student closed book", team="student", mode="cot"))
        arms.append(Arm(name=self.collect.team, team=self.collect.team))
        return tuple(arms)


def checked_spec(model: str) -> None:
    """Raise ValueError, as validators must, for a seat line that names no provider, no script, or no address."""
    try:
        spec = split_spec(model)
    except SeatError as error:
        raise ValueError(shortened(redacted(str(error)), 300)) from None
    known = known_provider(spec.provider)
    if known is not None:
        known.check(spec)


def load_config(path: Path, overrides: Sequence[Override] = ()) -> RunConfig:
    """Read run.toml, or the run.toml of a run folder; relative paths become absolute.

    Args:
        overrides: values that replace those of the file (`--set`).

    Raises:
        ConfigError: not there, not TOML, an unknown key, or a value that does not fit.
    """
    if path.is_dir():
        path = path / "run.toml"
    try:
        config = validated(read_toml(path), path, overrides)
    except ConfigError as error:
        anew = "" if str(error).startswith("--set ") else mended_by(path)
        raise ConfigError(f"{error}{anew}") from None
    try:
        return absolute(config, path.resolve().parent)
    except (OSError, RuntimeError) as error:  # a name too long, links in a circle
        named = repr(shortened(getattr(error, "filename", None))) if isinstance(error, OSError) else "a link"
        cause = error.strerror if isinstance(error, OSError) else shortened(error)
        raise ConfigError(f"{path}: {named} cannot be used as a path ({cause}): give another") from None


def validated(data: Mapping[str, Any], path: Path | str, overrides: Sequence[Override] = ()) -> RunConfig:
    """The config that tables make; raises ConfigError naming `path`, or the overrides that are wrong."""
    try:
        return RunConfig.model_validate(applied(data, overrides, {"teams": {"teacher": {"reason": DEMONSTRATOR}}}))
    except ValidationError as error:
        names = blamed(overrides, error, lambda: RunConfig.model_validate(data))
        raise ConfigError(f"{names or path}: {explain(error)}") from None


def write_resolved(config: RunConfig, run: Path) -> None:
    """Write the run's own run.toml; refuses a folder that another run's config made.

    Raises:
        StageError: `run` holds a run of another name.
    """
    import tomli_w

    path = run / "run.toml"
    if path.exists():
        try:
            other = read_toml(path).get("name")
        except ConfigError:  # broken: it is written anew
            other = config.name
        if other != config.name:
            raise StageError(f"{run} holds the run {other!r}, not {config.name!r}: give another --run")
    data = config.model_dump(mode="json", exclude_none=True)
    data["exam"]["seed"] = config.exam_seed()  # written down it is the exam's own from now on
    write_text(path, tomli_w.dumps(data))
