"""What is wrong with a run.toml, in one line: where, what was given, and what would fit."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ValidationError

from agents.context import Seat
from agents.errors import ConfigError
from agents.redaction import redacted
from agents.text import shortened
from finetune.methods import methods
from graphs.runner.executors import executors


def known_executor(name: str | None) -> str | None:
    """A name of `executors`, or one of the user's own by `module:class`."""
    if name is not None and ":" not in name and name not in executors:
        raise ValueError(f"executor {shortened(name)!r} is not one of {', '.join(executors.names())}")
    return name


ExecutorName = Annotated[str | None, AfterValidator(known_executor)]


def first_problem(error: ValidationError) -> Any:
    """The problem that is told: an unknown key first, since the key it was meant for is then missing too."""
    return min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")


def explain(error: ValidationError) -> str:
    """The first problem of a validation in one line: where, what was given, what would fit."""
    first = first_problem(error)
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
    text = redacted(first["msg"].removeprefix("Value error, "))
    text = text if len(text) <= 500 else f"{text[:250]} ... {text[-200:]}"  # a huge value is told in it
    return f"{shortened('.'.join(place)) + ': ' if place else ''}{text}{shown}{more}"


def known_keys(place: list[str]) -> list[str]:
    """Names of the keys that may stand at a place of run.toml."""
    from .config import Arm, EvaluateConfig, RunConfig, SeatedTeam

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
        if model is RunConfig and part in methods:
            model = methods.get(part).config
            continue
        model = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    more = ("provider", "url") if model is Seat else methods.names() if model is RunConfig else ()
    return sorted([*model.model_fields, *more]) if model is not None else []


def mended_by(path: Path) -> str:
    """What writes a run folder's own run.toml anew, to end a sentence with; empty for any other file."""
    from .folders import command_for, place_of  # they read configs themselves

    run = place_of(path).run
    try:
        command = command_for(run) if run is not None else None
    except ConfigError:
        return ""
    return f"; `{command}` writes it anew" if command else ""
