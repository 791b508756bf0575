"""The run config: run.toml as one frozen object. Unknown keys are refused with the nearest known one named.

Paths are relative to the file. Each section is described beside its user: [board] in agents/context.py, [index] in
agents/corpus/indexes/, [exam] in distill/exam/build.py, [dataset] in distill/dataset.py, [cpt] and [sft] in finetune/.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agents.context import Board, Mode, Seat, Team, ToolFaults, Transport, Verify
from agents.corpus.indexes import IndexConfig
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
from finetune.pretrain import CptConfig
from finetune.sft import SftConfig

from .paths import absolute
from .toml_file import read_toml

NAME = re.compile(r"[^\W_][\w ._+()-]{0,59}")
"""Of a team or an arm: file names are made of it."""


class Section(BaseModel):
    """A section of run.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class CorpusConfig(Section):
    """[corpus]: the manuals and the facts; either the embedded source, or a folder and a file."""

    source: Literal["stdlib"] | None = None
    """`stdlib`: the running Python's standard library, pages and facts alike."""
    manuals: Path | None = None
    """Folder with the manual's pages (.md .txt .rst .html)."""
    facts: Path | None = None
    """facts.jsonl: one attribute of one entity a line."""

    @model_validator(mode="after")
    def _one_of_two(self) -> CorpusConfig:
        if (self.source is None) == (self.manuals is None):
            raise ValueError('give either source = "stdlib" or manuals = "FOLDER" with facts = "FILE"')
        if self.manuals is not None and self.facts is None:
            raise ValueError('manuals needs facts = "facts.jsonl" beside it')
        return self


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
    stages: tuple[Literal["cpt", "sft"], ...] = ("cpt", "sft")
    """Trainings in their order; empty = nothing is trained and [teams.student] plays."""
    max_tokens: int = Field(200, ge=1)
    """Tokens of one reply of the student, its base and their stages."""
    transport: Transport = "native"
    """How tools reach base, base+cpt and student, in training and in play: native, text, hermes."""
    chat_template: str | None = None
    """A bundled template (`chatml`) or a Jinja file, in place of the base's own: in training and in play."""


class TracingConfig(Section):
    """[tracing]: what is shown to others; variables of the shell alone switch nothing on."""

    langsmith: bool = False
    """Send every prompt, reply, question and gold to LangSmith, by its own variables (LANGSMITH_API_KEY, ...)."""


class Arm(Section):
    """[[evaluate.arms]]: one row of the leaderboard."""

    name: str
    """Row name; file names of its scores are made from it."""
    team: str
    """base, cpt, student, or a name of [teams]."""
    mode: Mode = "react"
    """cot, answer: closed book, nothing to search."""
    choice: Literal["auto", "graph", "likelihood", "off"] = "auto"
    """How it sits the choice form beside a primary free one: graph plays, likelihood weighs the options.

    auto: base, base+cpt and closed books are weighed where their model is in this process, and left out where it is
    behind an endpoint; all others play. off: it is left out.
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
        if script or (self.mode == "react" and self.team not in ("base", "cpt")):
            return "graph"
        return "likelihood" if weighable else "none"


class EvaluateConfig(Section):
    """[evaluate]: who sits the held-out exam, and in which forms."""

    forms: tuple[Form, ...] = ("free", "choice")
    """free: in the player's own words; choice: the tasks that have options, with them. The first one is primary: its
    figures fill the columns of the leaderboard and every comparison; the other stands beside it."""
    concurrency: int = Field(32, ge=1, le=100_000)
    """Episodes in flight."""
    arms: tuple[Arm, ...] = ()
    """Empty = base, base+cpt, student, student closed book, teacher, as far as they exist."""
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
    """run.toml."""

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
    cpt: CptConfig = CptConfig()
    sft: SftConfig = SftConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    tracing: TracingConfig = TracingConfig()

    @model_validator(mode="after")
    def _names_exist(self) -> RunConfig:
        if self.collect.team not in self.teams:
            raise ValueError(f"collect.team {self.collect.team!r} is not in [teams]: {', '.join(self.teams)}")
        for name in (*self.teams, *(arm.name for arm in self.evaluate.arms)):
            if not NAME.fullmatch(name):
                raise ValueError(
                    f"{shortened(name)!r} cannot name a team or an arm: give at most 60 letters, digits and ._+() -"
                )
        if len(set(self.student.stages)) < len(self.student.stages) or self.student.stages == ("sft", "cpt"):
            raise ValueError('student.stages: give "cpt", "sft" or both in this order, each once')
        for team in self.teams.values():
            for seat in team.named("").seats().values():
                checked_spec(seat.model)
        for seat in self.evaluate.seats.values():
            checked_spec(seat.model)
        known = {*self.teams, "base", "cpt", "student"}
        for arm in self.evaluate.arms:
            if arm.team not in known:
                raise ValueError(f"evaluate.arms: team {arm.team!r} is not one of {', '.join(sorted(known))}")
        names = [arm.name for arm in self.evaluate.arms]
        if len(set(names)) < len(names):
            raise ValueError("evaluate.arms: two arms have the same name")
        if not self.student.stages and "student" not in self.teams:
            raise ValueError("student.stages is empty, so [teams.student] must say who plays the student")
        return self

    def exam_seed(self) -> int:
        """The seed of the exam: its own where the file gives one, else the run's."""
        return self.exam.seed if "seed" in self.exam.model_fields_set else self.seed

    def arms(self) -> tuple[Arm, ...]:
        """The arms that are played."""
        if self.evaluate.arms:
            return self.evaluate.arms
        arms = []
        if self.student.stages:
            arms.append(Arm(name="base", team="base"))
        if {"cpt", "sft"} <= set(self.student.stages):
            arms.append(Arm(name="base+cpt", team="cpt"))
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


def load_config(path: Path) -> RunConfig:
    """Read run.toml, or the run.toml of a run folder; relative paths become absolute.

    Raises:
        ConfigError: not there, not TOML, an unknown key, or a value that does not fit.
    """
    if path.is_dir():
        path = path / "run.toml"
    try:
        data = read_toml(path)
        config = validated(data, path)
    except ConfigError as error:
        raise ConfigError(f"{error}{mended_by(path)}") from None
    try:
        return absolute(config, path.resolve().parent)
    except (OSError, RuntimeError) as error:  # a name too long, links in a circle
        named = repr(shortened(getattr(error, "filename", None))) if isinstance(error, OSError) else "a link"
        cause = error.strerror if isinstance(error, OSError) else shortened(error)
        raise ConfigError(f"{path}: {named} cannot be used as a path ({cause}): give another") from None


def validated(data: Mapping[str, Any], path: Path) -> RunConfig:
    """The config that tables make; raises ConfigError naming `path`."""
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain(error)}") from None


def mended_by(path: Path) -> str:
    """What writes a run folder's own run.toml anew, to end a sentence with; empty for any other file."""
    from .folders import command_for, place_of

    run = place_of(path).run
    try:
        command = command_for(run) if run is not None else None
    except ConfigError:
        return ""
    return f"; `{command}` writes it anew" if command else ""


def explain(error: ValidationError) -> str:
    """The first problem of a validation in one line: where, what was given, what would fit."""
    # An unknown key first: the key it was meant for is then reported as missing too.
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    place = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        known = known_keys(place[:-1])
        near = difflib.get_close_matches(place[-1], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"unknown key {shortened('.'.join(place))!r}; {hint}"
    given = first.get("input")
    plain = isinstance(given, (str, int, float, bool))
    shown = f" (given: {shortened(given)!r})" if isinstance(given, str) else f" (given: {given!r})" if plain else ""
    if place[-1:] == ["key_env"] or redacted(shown) != shown:
        shown = ""  # it may be a key
    more = f"; {error.error_count() - 1} more" if error.error_count() > 1 else ""
    said = redacted(first["msg"].removeprefix("Value error, "))
    said = said if len(said) <= 500 else f"{said[:250]} ... {said[-200:]}"  # a huge value is told in it
    return f"{shortened('.'.join(place)) + ': ' if place else ''}{said}{shown}{more}"


def known_keys(place: list[str]) -> list[str]:
    """Names of the keys that may stand at a place of run.toml."""
    model: Any = RunConfig
    if place[:2] == ["evaluate", "seats"]:  # seats by the name of a score
        place = ["teams", "", "reason", *place[3:]]
    for part in place:
        if part == "teams":
            model = None
            continue
        if model is None:  # the name of a team
            model = SeatedTeam
            continue
        if part.isdigit():
            continue
        if model is SeatedTeam:
            model = Seat
            continue
        if model is EvaluateConfig and part == "arms":
            model = Arm
            continue
        model = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    more = ("provider", "url") if model is Seat else ()
    return sorted([*model.model_fields, *more]) if model is not None else []


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
