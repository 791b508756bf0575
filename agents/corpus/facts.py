"""Facts: what a manual says of an entity, one attribute a line of facts.jsonl, with where it says so."""

from __future__ import annotations

import difflib
import errno
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..errors import ExamError

NAME_CHARS = 300
"""Of an entity's or an attribute's name at the most; the longest of the examples has 71."""
PLACE_CHARS = 4000
"""Of a page's path, a heading or a quote at the most."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]+:(?!//)")


class Fact(BaseModel):
    """One attribute of one entity."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    entity: str = Field(min_length=1, max_length=NAME_CHARS)
    """An option, a directive, a function: the name as the manual writes it."""
    attribute: str = Field(min_length=1, max_length=NAME_CHARS)
    """What is said of it, in words that fit `What is the ... of ...?`."""
    value: str = Field(min_length=1)
    source: str = Field(min_length=1, max_length=PLACE_CHARS)
    """The page: a path that ends in the document's own; or `SCHEME:NAME` where each entity is a page of its own."""
    section: str | None = Field(None, max_length=PLACE_CHARS)
    """The heading on that page; None = anywhere on it."""
    module: str | None = Field(None, max_length=PLACE_CHARS)
    """What the entity belongs to where the same name lives in several; whole modules can be held out."""
    family: str | None = Field(None, max_length=PLACE_CHARS)
    """Which facts' values may stand beside each other as options; None = the attribute."""
    quote: str | None = Field(None, max_length=PLACE_CHARS)
    """The words of the page that say so, verbatim, on one line; None = they are looked for."""
    group: str | None = Field(None, max_length=PLACE_CHARS)
    """What is never divided between splits, e.g. a class for its methods; None = the entity."""

    @field_validator("entity", "attribute", "source")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("it is blank")
        if any(c in value for c in "\0\n\r\u2028\u2029"):
            raise ValueError("it holds a line break or a NUL")
        return value

    @property
    def names_page(self) -> bool:
        """Whether `source` is the path of a page."""
        return _SCHEME.match(self.source) is None

    @property
    def kin(self) -> str:
        """The family, or the attribute where none is given."""
        return self.family or self.attribute


class FactRemark(NamedTuple):
    """A line of facts.jsonl that something is wrong with."""

    line: int
    """Its number, from 1."""
    reason: str
    used: bool = False
    """Whether it is a fact all the same: an unknown key of it is passed over."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


def read_facts(path: Path) -> tuple[list[Fact], list[FactRemark]]:
    """Read facts.jsonl; returns the facts, and a remark for every line that is none or that holds an unknown key.

    Raises:
        ExamError: the file is not there, is no UTF-8, or no line of it is a fact.
    """
    try:
        if path.exists() and not path.is_file():
            raise IsADirectoryError(errno.EISDIR, "it is no file")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise ExamError(
            f"{str(path)[:200]!r}: {cause}; the facts stand in a JSON Lines file beside the corpus"
        ) from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ExamError(f"{str(path)!r} is UTF-16: save it as UTF-8")
    facts: list[Fact] = []
    remarks: list[FactRemark] = []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            fact, unknown = fact_of(line)
        except ValueError as error:
            remarks.append(FactRemark(number, str(error)))
            continue
        facts.append(fact)
        remarks += [FactRemark(number, unknown_key(key), used=True) for key in unknown]
    if not facts:
        first = f": {remarks[0]}" if remarks else ""
        raise ExamError(f"{str(path)!r} holds no fact{first}; docs/your-own-manual.md shows one")
    return facts, remarks


def fact_of(line: bytes) -> tuple[Fact, list[str]]:
    """The fact of a line, and its unknown keys; raises ValueError with what is wrong with it."""
    try:
        row = json.loads(line, object_pairs_hook=once)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 ({error.reason})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg})") from None
    except RecursionError:
        raise ValueError("not JSON of a fact (nested too deeply)") from None
    if not isinstance(row, dict):
        raise ValueError(f"a JSON {type(row).__name__} where an object is expected")
    try:
        fact = Fact.model_validate({key: value for key, value in row.items() if key in Fact.model_fields})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        near = near_key(field, row) if first["type"] == "missing" else None
        hint = f" ({near!r} is no key of a fact)" if near else ""
        raise ValueError(f"{field}: {first['msg'].removeprefix('Value error, ')}{hint}") from None
    return fact, sorted(key for key in row if key not in Fact.model_fields)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; raises ValueError where a key stands in it twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {twice[:80]!r} stands in it twice")
    return found


def near_key(field: str, row: Mapping[str, Any]) -> str | None:
    """The unknown key that is most like `field`."""
    near = difflib.get_close_matches(field, [key for key in row if key not in Fact.model_fields], n=1)
    return near[0] if near else None


def unknown_key(key: str) -> str:
    """What is said of a key that no fact has."""
    near = difflib.get_close_matches(key[:80], list(Fact.model_fields), n=1)
    text = json.dumps(key[:80])
    return f"the unknown key {text} is passed over" + (f"; did you mean {near[0]!r}?" if near else "")
