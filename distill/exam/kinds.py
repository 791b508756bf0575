"""The kinds of question, by name: each has a level, and makes drafts of the facts of one cell of a split.

A kind registers itself where it is defined; `[exam] kinds` chooses among them, and names those of the user's own::

    class Deprecated(QuestionKind):
        name, level = "deprecated", "engineer"

        def drafts(self, material):
            return [draft(self.name, self.level, ..., material.module_of) for item in material.facts]
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from agents.errors import ConfigError
from agents.registry import Registry
from agents.task import LEVELS, Level

from .drafts import Draft, ModuleOf
from .evidence import Known


@dataclass(frozen=True)
class Material:
    """What the questions of one cell are made of."""

    facts: Sequence[Known]
    """Facts of the cell, without those of families that another kind has for itself."""
    split: Sequence[Known]
    """All facts of the split that the cell is a part of."""
    rng: random.Random
    """The one source of chance: an exam is the same under its seed."""
    module_of: ModuleOf
    """The module of a fact, for `drafts.draft`."""
    size: int
    """Questions of all kinds that the cell is to have."""
    wordings: Mapping[str, Sequence[str]]
    """`[exam.wordings]`: attribute -> the user's own wordings of it."""


class QuestionKind(ABC):
    """A kind of question."""

    name: ClassVar[str]
    """What stands on its tasks, and in counts."""
    level: ClassVar[Level]
    share: ClassVar[float] = 1.0
    """Share of its level's questions that it may have at the most."""
    families: ClassVar[tuple[str, ...]] = ()
    """Families of facts that no other kind asks about."""
    executes: ClassVar[bool] = False
    """Whether it runs code that facts name: it is asked only where the source says that it can be."""
    asks_attribute: ClassVar[bool] = False
    """Whether its question is the plain wording of one attribute of one entity, which can be put into other frames."""

    @abstractmethod
    def drafts(self, material: Material) -> list[Draft]:
        """Questions that may be asked; the exam chooses among them."""


question_kinds: Registry[type[QuestionKind]] = Registry(
    "question kind",
    {
        "lookup": "distill.exam.levels",
        "bridge": "distill.exam.levels",
        "pair": "distill.exam.levels",
        "example": "distill.exam.live",
        "call": "distill.exam.live",
        "effective": "distill.exam.scenarios",
        "release": "distill.exam.scenarios",
    },
)
"""The order is that in which drafts are made, on which every exam of a seed depends."""


def kinds_of(chosen: Sequence[str] = (), of_source: Sequence[str] = ()) -> list[QuestionKind]:
    """The kinds that an exam asks.

    Args:
        chosen: names and own code, as in `[exam] kinds`; empty = all that the source can be asked.
        of_source: names of those that the source can be asked; empty = all that execute nothing.

    Raises:
        ConfigError: there is no such kind, it is none, it would execute code that the source has not, or two kinds have
            the same name.
    """
    can = list(of_source) or [name for name, part in question_kinds.items() if not part.executes]
    found: dict[str, QuestionKind] = {}
    for name in chosen or can:
        kind = made(name)
        if kind.executes and name not in can:
            raise ConfigError(
                f"[exam] kinds: {name!r} executes code that this source does not have; it can be asked {', '.join(can)}"
            )
        if kind.name in found:
            raise ConfigError(f"[exam] kinds: two of them are named {kind.name!r}: leave one out")
        found[kind.name] = kind
    return list(found.values())


def made(name: str) -> QuestionKind:
    """The kind of that name; raises ConfigError where what it names is none."""
    part = question_kinds.get(name)
    if not (isinstance(part, type) and issubclass(part, QuestionKind)):
        raise ConfigError(f"[exam] kinds: {name!r} is no class that inherits distill.exam.kinds.QuestionKind")
    kind = part()
    if getattr(kind, "level", None) not in LEVELS or not getattr(kind, "name", ""):
        raise ConfigError(f"[exam] kinds: {name!r} needs a `name`, and a `level`: one of {', '.join(LEVELS)}")
    return kind
