"""What is wrong with a run.toml, in one line each: where, what was given, what would fit."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agents.errors import ConfigError
from agents.redaction import redacted


def shortened(value: object, most: int = 120) -> str:
    """A value as text of at most so many characters."""
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def first_problem(error: ValidationError) -> Any:
    """The problem that is told: an unknown key first, since the key it was meant for is then missing too."""
    return min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")


def explain(error: ValidationError, known_keys: Callable[[list[str]], list[str]]) -> str:
    """The first problem of a validation in one line: where, what was given, what would fit.

    Args:
        known_keys: the keys that may stand at a place.
    """
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
    said = redacted(first["msg"].removeprefix("Value error, "))
    said = said if len(said) <= 500 else f"{said[:250]} ... {said[-200:]}"  # a huge value is told in it
    return f"{shortened('.'.join(place)) + ': ' if place else ''}{said}{shown}{more}"


def mended_by(path: Path) -> str:
    """What writes a run folder's own run.toml anew, to end a sentence with; empty for any other file."""
    from .folders import command_for, place_of  # they read configs themselves

    run = place_of(path).run
    try:
        command = command_for(run) if run is not None else None
    except ConfigError:
        return ""
    return f"; `{command}` writes it anew" if command else ""
