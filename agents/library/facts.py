"""Facts: what a manual says of an entity, one attribute a line of facts.jsonl, with where it says so."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import ExamError


class Fact(BaseModel):
    """One attribute of one entity."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    entity: str = Field(min_length=1)
    """An option, a directive, a function: the name as the manual writes it."""
    attribute: str = Field(min_length=1)
    """What is said of it, in words that fit `What is the ... of ...?`."""
    value: str = Field(min_length=1)
    source: str = Field(min_length=1)
    """The page: a path that ends in the document's own, or `python:MODULE`."""
    section: str | None = None
    """The heading on that page; None = anywhere on it."""
    module: str | None = None
    """What the entity belongs to where the same name lives in several; whole modules can be held out."""
    family: str | None = None
    """Which facts' values may stand beside each other as options; None = the attribute."""
    quote: str | None = None
    """The words of the page that say so, verbatim, on one line; None = they are looked for."""
    group: str | None = None
    """What is never divided between splits, e.g. a class for its methods; None = the entity."""

    @property
    def kin(self) -> str:
        """The family, or the attribute where none is given."""
        return self.family or self.attribute


def read_facts(path: Path) -> tuple[list[Fact], list[str]]:
    """Read facts.jsonl; returns the facts, and one remark (`line 3: ...`) for every line that is none.

    Raises:
        ExamError: the file is not there, or no line of it is a fact.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ExamError(
            f"{str(path)!r}: {error.strerror}; the facts stand in a JSON Lines file beside the corpus"
        ) from None
    facts: list[Fact] = []
    remarks: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            facts.append(Fact.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            remarks.append(f"line {number}: {field + ': ' if field else ''}{first['msg']}")
    if not facts:
        raise ExamError(f"{str(path)!r} holds no fact{', ' + remarks[0] if remarks else ''}")
    return facts, remarks
