"""The draft of a question: what it asks, its gold and its hops, before options are dealt and a split is filled."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from agents.answers import normalise
from agents.task import Hop, Level

from .evidence import Known

ModuleOf = Callable[[Known], str | None]

_TYPES = (
    ("version", re.compile(r"v?\d+(\.\d+){2,}[a-z]?\d*")),
    ("flag", re.compile(r"true|false|on|off|yes|no|enabled?|disabled?", re.IGNORECASE)),
    ("none", re.compile(r"none|null|nil|unset|empty|\(\)|\{\}|\[\]|''|\"\"", re.IGNORECASE)),
    ("integer", re.compile(r"[-+]?\d+")),
    ("decimal", re.compile(r"[-+]?\d*\.?\d+(e[-+]?\d+)?")),
    (
        "duration",
        re.compile(r"[-+]?\d+(\.\d+)?\s?(us|ms|s|h|d|w|y|(milli|micro)?sec(ond)?s?|min(ute)?s?|hours?|days?|weeks?)"),
    ),
    ("size", re.compile(r"[-+]?\d+(\.\d+)?\s?([kKgGtT]([iI]?[bB])?|[mM][iI]?[bB]|B|bytes?|bits?)")),
    ("quantity", re.compile(r"[-+]?\d+(\.\d+)?\s?[A-Za-z%]{1,8}")),
    ("option", re.compile(r"-{1,2}\w[\w.\-]*")),
    ("quoted", re.compile(r"b?(['\"]).*\1")),
    ("argument", re.compile(r"<.*>")),
    ("reference", re.compile(r"\$.*")),
    ("word", re.compile(r"[^\W\d_]+")),
    ("name", re.compile(r"\w+")),
    ("dotted", re.compile(r"\w+(\.\w+)+")),
    ("path", re.compile(r"\S*/\S*")),
    ("symbol", re.compile(r"\S+")),
    ("list", re.compile(r"[^,]+(,[^,]+)+")),
)


@dataclass(frozen=True)
class Draft:
    """A question that may be asked."""

    kind: str
    level: Level
    question: str
    gold: str
    attribute: str
    """What is asked of the last hop's entity, as the facts name it."""
    hops: tuple[Hop, ...]
    entities: tuple[str, ...]
    group: str
    groups: tuple[str, ...]
    """Groups of everything that the question is about; all on one side of the split."""
    modules: tuple[str | None, ...]
    stated: tuple[str, ...] = ()
    """Values that stand in the question; none of them may be an option."""
    parts: tuple[str, ...] = ()
    """The gold's parts, of a question about two entities."""
    square: tuple[str, ...] = ()
    """Of a question about two entities: the four combinations of two values each, the gold among them."""
    block: str = ""
    """Name of that square: its four questions have the same one."""
    cell: str = ""
    """Part of the exam that it belongs to: `test`, `dev` or a part of `train`. Groups, and lists of options, never
    reach over two parts, so that each can be guessed from the others alone."""
    provenance: tuple[tuple[str, str], ...] = ()

    @property
    def answered(self) -> bool:
        """Whether the question tells its answer."""
        return self.key in {normalise(value) for value in self.stated}

    @cached_property
    def key(self) -> str:
        """The gold as it is compared."""
        return normalise(self.gold)


def value_type(value: str) -> str:
    """The form of a value, by which it can be told without reading: version, flag, number, quoted, list, text ..."""
    for name, pattern in _TYPES:
        if pattern.fullmatch(value):
            return name
    return "text"


def draft(
    kind: str,
    level: Level,
    question: str,
    gold: str,
    chain: Sequence[Known],
    module_of: ModuleOf,
    *,
    stated: Sequence[str] = (),
    parts: Sequence[str] = (),
    square: Sequence[str] = (),
    block: str = "",
) -> Draft:
    """A draft about the facts of `chain`, in reading order."""
    first, last = chain[0], chain[-1]
    return Draft(
        kind=kind,
        level=level,
        question=question,
        gold=gold,
        attribute=last.fact.attribute,
        hops=tuple(known.hop for known in chain),
        entities=tuple(dict.fromkeys(known.fact.entity for known in chain)),
        group=first.group,
        groups=tuple(dict.fromkeys(known.group for known in chain)),
        modules=tuple(module_of(known) for known in chain),
        stated=tuple(stated),
        parts=tuple(parts),
        square=tuple(square),
        block=block,
        provenance=(
            ("attribute", last.fact.attribute),
            ("family", last.fact.kin),
            ("source", first.fact.source),
        ),
    )
