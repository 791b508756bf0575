"""Reads JSON as models write it: exactly first, and where that fails with what models get wrong put right, by name.

The second reader goes over the text once, without stepping back, so no text can hold it up; it reads no more than
`MAX_CHARS`. A string that is not closed is never closed here: what it was to say is unknown.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ..text import writable_value

MAX_CHARS = 16_384
"""Longer values are read only where they are JSON to the letter."""
DEEPEST = 32
"""Levels of a value; deeper ones are refused."""
MAX_VALUES = 32
"""Values that are read of one text."""

_CLOSING = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_RUN = {mark: re.compile(rf"[^\\{mark}\x00-\x1f]*") for mark in set(_CLOSING.values())}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}
_PYTHON = {"True": True, "False": False, "None": None}
_WORD = re.compile(r"[^\s,:=()\[\]{}<>\"'“”‘’]{1,100}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_SPACE = re.compile(r"\s*")
_BETWEEN = re.compile(r"[\s,;]*")
_FENCE = re.compile(r"`{3}[A-Za-z_]{0,20}\s*")
_TOO_MANY = re.compile(r"[}\]]+")


class Read(NamedTuple):
    """One value read."""

    value: Any
    end: int
    """Offset in the text behind the value."""
    mended: list[str]


class ReadAll(NamedTuple):
    """What a text that should hold one value holds."""

    values: list[Any]
    rest: str
    """What stands behind the values, white space taken off its ends."""
    mended: list[str]


def _no_number(text: str) -> Any:
    raise ValueError(f"{text[:20]} is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_float)


def shallow(value: Any, levels: int = DEEPEST) -> bool:
    """Whether a value has at most so many levels: records refuse very deep ones."""
    if not isinstance(value, (dict, list)):
        return True
    inside = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(shallow(each, levels - 1) for each in inside)


def read_exactly(text: str, start: int) -> tuple[Any, int] | None:
    """The JSON value that begins at `start` and the offset behind it; None where there is none to the letter."""
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None


def read(text: str, start: int = 0) -> Read:
    """Read the value that begins at `start`.

    Raises:
        ValueError: there is none; the message says what is wrong, in words for the model.
    """
    exact = read_exactly(text, start)
    if exact is not None:
        value, end = exact
        if not shallow(value):
            raise ValueError("it is nested too deeply")
        if "\\ud" in text[start:end].lower():
            sound = writable_value(value)
            return Read(sound, end, [] if sound == value else ["surrogate"])
        return Read(value, end, [])
    reader = Reader(text, start)
    value = reader.value(0)
    return Read(value, reader.at, list(reader.mended))


def read_all(text: str) -> ReadAll:
    """Read the objects of a text, one or several, fenced or not; a list counts as its elements.

    Raises:
        ValueError: an object is begun and cannot be read; the message says what is wrong, in words for the model.
    """
    mended: list[str] = []
    values: list[Any] = []
    at = skip(text, 0)
    fence = _FENCE.match(text, at)
    if fence:
        at = fence.end()
        mended.append("fence")
    while text[at : at + 1] in ("{", "[") and len(values) < MAX_VALUES:
        found = read(text, at)
        values += found.value if isinstance(found.value, list) else [found.value]
        mended += [*found.mended, *(["wrapped"] if isinstance(found.value, list) else [])]
        spare = _TOO_MANY.match(text, skip(text, found.end))
        if spare:
            mended.append("extra_brace")
        between = _BETWEEN.match(text, spare.end() if spare else found.end)
        at = between.end() if between else found.end
    if len(values) > MAX_VALUES or text[at : at + 1] in ("{", "["):
        mended.append("too_many")
        at = len(text)
    if fence and text.startswith("```", at):
        at += 3
    return ReadAll(values[:MAX_VALUES], text[at:].strip(), list(dict.fromkeys(mended)))


def skip(text: str, at: int) -> int:
    """The offset of the first character from `at` on that is no white space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


class Reader:
    """Reads one value of almost JSON from an offset on; `at` stands behind what was read, `mended` says what was wrong.

    Raises:
        ValueError: (its methods) it cannot be read, or is longer than `MAX_CHARS`.
    """

    def __init__(self, text: str, start: int = 0) -> None:
        if len(text) - start > MAX_CHARS:
            raise ValueError("it is no JSON, and too long to be mended")
        self.text = text
        self.start = self.at = start
        self.mended: dict[str, None] = {}

    def value(self, depth: int) -> Any:
        """The value at `at`."""
        self.at = skip(self.text, self.at)
        first = self.text[self.at : self.at + 1]
        if depth > DEEPEST:
            raise self.wrong("it is nested too deeply")
        if first == "{":
            return self.members("}", depth)
        if first == "[":
            items: list[Any] = []
            self._parts("]", lambda: items.append(self.value(depth + 1)))
            return items
        return self.string() if first in _CLOSING else self.word()

    def members(self, closing: str, depth: int) -> dict[str, Any]:
        """Pairs of key and value up to `closing`, split by `:`; the arguments of a Python call, split by `=`, too."""
        found: dict[str, Any] = {}

        def member() -> None:
            key = self.string() if self.text[self.at] in _CLOSING else self._bare_key(closing)
            self.at = skip(self.text, self.at)
            if self.text[self.at : self.at + 1] not in (":", "="):
                raise self.wrong("a colon is missing")
            self.at += 1
            found[key] = self.value(depth + 1)

        self._parts(closing, member)
        return found

    def _parts(self, closing: str, one: Callable[[], None]) -> None:
        """What stands between brackets, split by commas."""
        self.at += 1
        comma = False
        while True:
            self.at = skip(self.text, self.at)
            here = self.text[self.at : self.at + 1]
            if here in ("", closing):
                if comma:
                    self.mended["trailing_comma"] = None
                if not here:
                    self.mended["unclosed"] = None
                self.at += len(here)
                return
            one()
            self.at = skip(self.text, self.at)
            here = self.text[self.at : self.at + 1]
            comma = here == ","
            if comma:
                self.at += 1
            elif here not in ("", closing):
                raise self.wrong("a comma or a closing bracket is missing")

    def _bare_key(self, closing: str) -> str:
        word = _WORD.match(self.text, self.at)
        if word is None:
            raise self.wrong("a name is missing")
        self.at = word.end()
        if closing == "}":
            self.mended["bare_key"] = None
        return word.group()

    def string(self) -> str:
        """The string at `at`, whichever its quotes. A quote ends it only where something can follow."""
        closing = _CLOSING[self.text[self.at]]
        if closing != '"':
            self.mended["quotes"] = None
        parts: list[str] = []
        coded = False
        self.at += 1
        while True:
            run = _RUN[closing].match(self.text, self.at)
            if run:
                parts.append(run.group())
                self.at = run.end()
            here = self.text[self.at : self.at + 1]
            self.at += 1
            if not here:
                raise self.wrong("a string is not closed")
            if here == "\\":
                coded |= self.text.startswith("u", self.at)
                parts.append(self._escape())
            elif here != closing:
                self.mended["raw_newline"] = None
                parts.append(here)
            elif self._ends():
                text = "".join(parts)
                return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") if coded else text
            else:
                self.mended["inner_quotes"] = None
                parts.append(here)

    def _ends(self) -> bool:
        follows = skip(self.text, self.at)
        return self.text[follows : follows + 1] in ("", ",", ":", "=", "}", "]", ")")

    def _escape(self) -> str:
        here = self.text[self.at : self.at + 1]
        self.at += 1
        if here in ("\\", "/", '"') or (here in _CLOSING.values() and "quotes" in self.mended):
            return here
        if here in _ESCAPES:
            return _ESCAPES[here]
        code = _HEX.match(self.text, self.at) if here == "u" else None
        if code:
            self.at = code.end()
            return chr(int(code.group(), 16))
        self.mended["bad_escape"] = None
        return here if here in _CLOSING.values() else "\\" + here

    def word(self) -> Any:
        """The number, or true, false, null, at `at`."""
        found = _WORD.match(self.text, self.at)
        if found is None:
            raise self.wrong("a value is missing")
        word = found.group()
        if word in _PYTHON:
            self.mended["python_literal"] = None
        elif word not in _WORDS and not _NUMBER.fullmatch(word):
            raise self.wrong("a string stands without quotes")
        self.at = found.end()
        if word in _WORDS or word in _PYTHON:
            return {**_WORDS, **_PYTHON}[word]
        return _float(word) if set(word) & set(".eE") else int(word)

    def wrong(self, what: str) -> ValueError:
        """The error for what is wrong at `at`."""
        return ValueError(f"{what} at character {min(self.at, len(self.text)) - self.start + 1}")
