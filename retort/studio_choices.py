"""What a thread of a Studio server may choose: names and numbers that the run's own config holds, and nothing else.

A context that comes over the wire could name any command, file, address or key to an unrestricted graph. So the served
graphs take a `Choice`; what it does not name is the run's, and the context that is played with is made here.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from agents.context import Board, Context, Limits, Mode, Seat, Team, ToolFaults, Verify
from agents.errors import ConfigError, StageError
from agents.providers.hf import hf_line
from agents.providers.scripted import DEMONSTRATOR
from agents.redaction import redacted
from agents.task import Form

TEACHER, STUDENT = "teacher", "student"
ONE_OF: Any = Literal
"""Subscribed with names that are known only when a run is opened."""
SHOWN = 80
"""Characters of a refused value that its error shows."""


class BoardChoice(BaseModel):
    """The part of the rules that a thread may choose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limits: Limits
    """What one episode may use; a limit that is left out is the run's."""
    top_k: int
    extract: Literal["off", "lexical", "seat"]
    extract_lines: int
    tools: tuple[str, ...]
    """Some of the tools that the run's config names."""
    mcp: tuple[str, ...]
    """Names of some of the MCP servers that the run's config has."""


class Choice(BaseModel):
    """Everything that a thread, or an assistant, may choose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team: str
    """One of the run's teams, or of base, student and the models in between where they are trained."""
    mode: Mode
    form: Form
    verify: Verify
    bar_held_out: bool
    """Whether the pages that training must not see are left out of the library, as while collecting."""
    faults: bool
    """Whether the faults of the run's [collect.faults] are put into tool results."""
    board: BoardChoice


@dataclass(frozen=True)
class Offer:
    """What a run offers to choose among."""

    teams: Mapping[str, Team]
    library: str
    held_out: str | None
    """The run's held_out.json."""
    board: Board
    faults: ToolFaults | None

    def choice(self, **chosen: Any) -> type[Choice]:
        """The model of a choice, with `chosen` as its defaults; what is left out is the run's."""
        board = self.board
        limits = _with_defaults("Limits", Limits, board.limits.model_dump())
        rules = create_model(
            "BoardChoice",
            __base__=BoardChoice,
            limits=(limits, limits()),
            top_k=_kept(Board, "top_k", board.top_k),
            extract=_kept(Board, "extract", board.extract),
            extract_lines=_kept(Board, "extract_lines", board.extract_lines),
            tools=_some_of(board.tools),
            mcp=_some_of(tuple(board.mcp)),
        )
        values = {"mode": "react", "form": "free", "verify": "score", "bar_held_out": False, "faults": False, **chosen}
        team = values.pop("team")
        fields: dict[str, Any] = {name: (Choice.model_fields[name].annotation, value) for name, value in values.items()}
        fields["team"] = (ONE_OF[tuple(self.teams)], team)
        return create_model("Choice", __base__=Choice, **fields, board=(rules, rules.model_validate({})))

    def context(self, chosen: Choice) -> Context:
        """The context that a choice stands for.

        Raises:
            ConfigError: it wants held-out pages barred or faults put in, and the run has none.
        """
        if chosen.bar_held_out and self.held_out is None:
            raise ConfigError("bar_held_out: the run has no held-out list yet; run the stage 'exam' first")
        if chosen.faults and self.faults is None:
            raise ConfigError("faults: the run's config has no [collect.faults] to put in; add them there")
        rules = chosen.board
        board = self.board.model_copy(
            update={
                "limits": Limits(**rules.limits.model_dump()),
                "top_k": rules.top_k,
                "extract": rules.extract,
                "extract_lines": rules.extract_lines,
                "tools": rules.tools,
                "mcp": {name: self.board.mcp[name] for name in rules.mcp},
            }
        )
        return Context(
            team=self.teams[chosen.team],
            library=self.library,
            without=self.held_out if chosen.bar_held_out else None,
            board=board,
            form=chosen.form,
            mode=chosen.mode,
            verify=chosen.verify,
            faults=self.faults if chosen.faults else None,
        )


def _kept(model: type[BaseModel], name: str, value: Any) -> tuple[Any, Any]:
    """A field of a model with another default; its bounds stay."""
    about = copy.copy(model.model_fields[name])
    about.default, about.default_factory = value, None
    return about.annotation, about


def _with_defaults(name: str, model: type[Limits], values: Mapping[str, Any]) -> type[Limits]:
    """A model whose defaults are these values."""
    fields: dict[str, Any] = {field: _kept(model, field, value) for field, value in values.items()}
    return create_model(name, __base__=model, **fields)


def _some_of(names: tuple[str, ...]) -> tuple[Any, Any]:
    """A field that takes some of these names, by default all."""
    if not names:
        return Annotated[tuple[str, ...], Field(max_length=0)], ()
    return tuple[ONE_OF[names], ...], names


def offered_by(folder: Path) -> tuple[Offer, str]:
    """What a run offers to choose among, and the name of the team that collects.

    Without a run it is the files that `make demo` will make; a student still to be trained is named all the same, so
    that its graph is there and says what is missing when it is asked.
    """
    from .config import StudentConfig, load_config
    from .pipeline import Run

    if not (folder / "run.toml").exists():
        teacher = Team(name=TEACHER, reason=Seat(model=f"{DEMONSTRATOR}@{folder / 'exam.jsonl'}"))
        teams = {TEACHER: teacher, STUDENT: trained(folder, StudentConfig().trainings)}
        return Offer(teams, str(folder / "library"), None, Board(), None), TEACHER
    run = Run(load_config(folder), folder)
    teams = {STUDENT: trained(folder, run.config.student.trainings or StudentConfig().trainings)}
    for name in (*run.config.teams, *run.config.team_names(), STUDENT):
        try:
            teams[name] = run.team(name)
        except StageError:  # still to be trained
            continue
    held_out = folder / "held_out.json"
    barred = str(held_out) if held_out.exists() else None
    return Offer(teams, str(folder / "library"), barred, run.config.board, run.config.collect.faults), (
        run.config.collect.team
    )


def trained(folder: Path, trainings: Sequence[str]) -> Team:
    """The student that the last of some trainings makes, whether it is there or not."""
    return Team(name=STUDENT, reason=Seat(model=hf_line(folder / "students" / trainings[-1])))


def read(model: type[Choice], given: Mapping[str, Any]) -> Choice:
    """A choice that came over the wire.

    Raises:
        ConfigError: an unknown key, or a value that is not offered; the message names it and what may be chosen.
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise ConfigError(refusal(error, model)) from None


def refusal(error: ValidationError, model: type[Choice]) -> str:
    """The first problem of a context that came over the wire: where, what was given, what may be chosen."""
    first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    place = [str(part) for part in first["loc"]]
    where = ".".join(place)
    given = redacted(repr(first["input"]))
    given = given if len(given) <= SHOWN else f"{given[:SHOWN]}..."
    if first["type"] == "extra_forbidden":
        known = _known(model, place[:-1])
        near = difflib.get_close_matches(place[-1], known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return (
            f"unknown key {where!r} in the context (given: {given}); {hint}a thread may choose {', '.join(known)}; "
            "anything else is the run's: change its run.toml"
        )
    if first["type"] == "literal_error":
        return f"{where}: {given} is not offered; choose {first['ctx']['expected']}, or change the run's run.toml"
    if where in ("board.tools", "board.mcp"):
        board = model.model_fields["board"].default
        names = getattr(board, place[-1])
        return f"{where}: {given} is not offered; " + (
            f"choose a list of some of {', '.join(names)}" if names else "the run's run.toml names none"
        )
    return f"{where}: {first['msg']} (given: {given})"


def _known(model: type[BaseModel], place: list[str]) -> list[str]:
    """Keys that may stand at a place of a choice."""
    for part in place:
        inner = model.model_fields[part].annotation
        assert isinstance(inner, type)
        model = inner
    return sorted(model.model_fields)


def schema(name: str, offer: Offer, model: type[Choice]) -> type[Context]:
    """The context schema of a served graph: it is shown as `model`, takes that alone, and makes the whole context."""

    class Chosen(Context):
        @model_validator(mode="before")
        @classmethod
        def _chosen(cls, given: Any) -> dict[str, Any]:
            context = offer.context(read(model, given))
            return {field: getattr(context, field) for field in Context.model_fields}

        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
            """What LangGraph serves as the context's schema, and Studio makes its form of."""
            return {**model.model_json_schema(*args, **kwargs), "title": name}

    Chosen.__name__ = Chosen.__qualname__ = name
    Chosen.__doc__ = "What a thread may choose among what the run's config names."
    return Chosen
