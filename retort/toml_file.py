"""Reads run.toml as plain values, and refuses what no key of it may hold, before anything is made of it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agents.errors import ConfigError

MAX_BYTES = 4_000_000
"""Of a run.toml; the longest known one, with its own wordings, has 30,000."""
MAX_INT = 2**53
"""TOML promises 64 bits, JSON and JavaScript 53."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, in UTF-8 with or without a byte order mark.

    Raises:
        ConfigError: not there, not to be read, not TOML, or a value that nothing can be made of: NaN, an infinite
            number, an integer of more than 53 bits, a string with a NUL.
    """
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_BYTES:,} bytes: it is no run.toml")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{str(path)!r} is not there: `retort new DIR` writes a commented run.toml") from None
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{str(path)[:200]!r} cannot be read ({cause}): give the path of a run.toml") from None
    if not raw.strip():
        raise ConfigError(f"{path} is empty: `retort new DIR` writes a commented run.toml into a new folder")
    try:
        data = tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        at = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {at}: not UTF-8 ({error.reason}): save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except (RecursionError, ValueError) as error:  # a number of thousands of digits is a ValueError
        cause = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(f"{path} is not TOML: {cause}; take that value out") from None
    for name, value in values("", data):
        text = impossible(value)
        if text:
            raise ConfigError(f"{path}: {name} {text}")
    return data


def values(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every value and every key in a table."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"the key {key!r}", key
            yield from values(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from values(f"{name}.{number}", inner)
    else:
        yield name, value


def impossible(value: Any) -> str:
    """Why nothing can be made of a value, and what to do; empty where something can."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}: give a number"
    if isinstance(value, int) and abs(value) > MAX_INT:
        return f"is a number of more than {MAX_INT.bit_length() - 1} bits: give a smaller one"
    if isinstance(value, str) and "\0" in value:
        return "holds a NUL character (\\u0000): take it out"
    return ""
