"""`--set KEY=VALUE`: values that replace those of run.toml before the config is validated.

KEY is a dotted path as TOML writes keys (`sft.max_steps`, `teams."my teacher".reason.temperature`); the entries of a
list are numbered from 0 (`evaluate.arms.0.mode`). VALUE is a TOML value; a word that is none is a string.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from agents.errors import ConfigError
from agents.redaction import redacted

from .config_errors import first_problem
from .toml_file import impossible, values

EXAMPLE = "write --set KEY=VALUE, e.g. --set sft.max_steps=20"
MAX_CHARS = 100
"""Of a key or value that is shown."""
BARE = re.compile(r"[A-Za-z0-9_-]+")
"""A part of a key that needs no quotes."""
OPENINGS = ("[", "{", '"', "'")
"""How TOML values begin that a plain word cannot be mistaken for."""


class Override(NamedTuple):
    """One value that replaces another."""

    path: tuple[str, ...]
    value: Any

    @property
    def key(self) -> str:
        """The path as TOML writes it."""
        return ".".join(part if BARE.fullmatch(part) else json.dumps(part) for part in self.path)


def parse(text: str) -> Override:
    """An override as the command line gives it.

    Raises:
        ConfigError: no `=`, a key or value that is not TOML, or a value that no key may hold.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {shown(text)}: {EXAMPLE}")
    return override(path_of(key), value_of(key, value))


def from_mapping(wanted: Mapping[str, Any]) -> list[Override]:
    """Overrides given in Python: dotted key -> value; raises ConfigError as `parse` does."""
    return [override(path_of(key), value) for key, value in wanted.items()]


def override(path: tuple[str, ...], value: Any) -> Override:
    """An override whose value was looked at."""
    made = Override(path, value)
    for _, each in values(made.key, value):
        if problem := impossible(each):
            raise ConfigError(f"--set {shown(made.key)} {problem}")
    return made


def path_of(key: str) -> tuple[str, ...]:
    """The parts of a dotted key."""
    try:
        found: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        found = None
    steps: list[str] = []
    while isinstance(found, dict) and len(found) == 1:
        ((step, found),) = found.items()
        steps.append(step)
    if found != 0 or not steps:
        raise ConfigError(f"--set {shown(key)}: that is no key; {EXAMPLE}, with quotes around a part that has blanks")
    return tuple(steps)


def value_of(key: str, text: str) -> Any:
    """The value that a text stands for."""
    plain = text.strip()
    try:
        found = tomllib.loads(f"value = {plain}")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        if plain and not plain.startswith(OPENINGS) and plain.isprintable():
            return plain
        cause = "nothing stands after =" if not plain else f"not a TOML value ({str(error)[:MAX_CHARS]})"
        raise ConfigError(f"--set {shown(key)}: {cause}; {EXAMPLE}") from None
    if list(found) != ["value"]:
        raise ConfigError(f"--set {shown(key)}: more than one value; repeat --set for each")
    return found["value"]


def applied(data: Mapping[str, Any], overrides: Sequence[Override], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a config with the overrides in them; `data` stays as it is.

    Args:
        defaults: what stands for a section that the config leaves out and an override reaches into.

    Raises:
        ConfigError: an override leads into something that is neither table nor list, or past the end of a list.
    """
    changed = copy.deepcopy(dict(data))
    for each in overrides:
        first = each.path[0]
        if first in defaults and len(each.path) > 1:
            changed.setdefault(first, copy.deepcopy(defaults[first]))
        put(changed, each)
    return changed


def put(data: dict[str, Any], each: Override) -> None:
    """Put one override into tables."""
    place: Any = data
    for depth, step in enumerate(each.path):
        last = depth == len(each.path) - 1
        at: Any = step
        if isinstance(place, list):
            at = index_of(place, step, each, depth)
        elif not isinstance(place, dict):
            raise ConfigError(f"--set {shown(each.key)}: {shown('.'.join(each.path[:depth]))} is a value, not a table")
        if last:
            place[at] = each.value
            return
        if isinstance(place, dict):
            place.setdefault(at, {})
            if isinstance(place[at], str) and each.path[0] == "teams" and depth == 2:
                place[at] = {"model": place[at]}  # a seat in one line
        place = place[at]


def index_of(entries: Sequence[Any], step: str, each: Override, depth: int) -> int:
    """The place in a list that a part of a key names."""
    if step.isascii() and step.isdigit() and int(step[:9]) < len(entries):
        return int(step[:9])
    there = f"its entries are 0 to {len(entries) - 1}" if entries else "it has no entries; give the whole list"
    raise ConfigError(f"--set {shown(each.key)}: {shown('.'.join(each.path[:depth]))} has no {shown(step)}, {there}")


def blamed(overrides: Sequence[Override], error: ValidationError, without: Callable[[], object]) -> str:
    """Which overrides a problem of the config comes from, to begin its sentence with; empty where none.

    Args:
        without: validates the config without any override.
    """
    if not overrides:
        return ""
    place = [str(part) for part in first_problem(error)["loc"]]  # empty where it lies between several keys
    near = [each for each in overrides if place and all(a == b for a, b in zip(each.path, place, strict=False))]
    names = near or (overrides if fits(without) else [])
    return ", ".join(f"--set {shown(each.key)}" for each in names)


def fits(validate: Callable[[], object]) -> bool:
    """Whether a validation finds nothing wrong."""
    try:
        validate()
    except ValidationError:
        return False
    return True


def summary(overrides: Sequence[Override], data: Mapping[str, Any]) -> list[str]:
    """A line on each override for the person who waits: the key, its value, and what run.toml says.

    Args:
        data: the tables of run.toml.
    """
    lines = []
    for each in overrides:
        before: Any = data
        for step in each.path:
            if isinstance(before, list):
                before = before[int(step)] if step.isdigit() and int(step) < len(before) else None
            else:
                before = before.get(step) if isinstance(before, Mapping) else None
        instead = "the default" if before is None else shown(before)
        lines.append(f"{'set':<12} {shown(each.key)} = {shown(each.value)}, in place of {instead}")
    return lines


def shown(value: object) -> str:
    """A key or value for one line, without what may be a secret."""
    text = " ".join(redacted(str(value)).split())
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}..."
