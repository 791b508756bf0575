"""The consultant's level: small scenarios whose key is obtained by executing them, never by filling a template.

`effective` and `release` need nothing but facts (defaults; version numbers). `call` and `example` need a live Python
library: they live in distill/exam/live.py.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agents.answers import normalise
from agents.corpus.facts import Fact

from .drafts import Draft, ModuleOf, draft, value_type
from .evidence import Known
from .kinds import Material, QuestionKind, question_kinds
from .levels import SHORT, thinned

TRIES = 6
"""Pairs that are tried for each question about two releases."""
SET_DRAFTS = 0.12
"""Share of the drafts that ask for what was set: they keep a reader from answering with the manual's value unread, and
are answered by the question itself, so there are few of them."""

_VERSION = re.compile(r"v?(\d+(?:\.\d+)+)")
_WHOLE = re.compile(r"v?(\d+(?:\.\d+)*)")
_SAYS_RELEASE = re.compile(r"version|release", re.IGNORECASE)


def in_force(defaults: Mapping[str, str], settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Name -> value after a configuration has been read: the defaults, then its settings; the last one wins."""
    values = dict(defaults)
    for name, value in settings:
        if name not in values:
            raise KeyError(name)
        values[name] = value
    return values


def settable(fact: Fact) -> bool:
    """Whether a default is one plain value, which something else could be set to."""
    return "`" not in fact.attribute and " " not in fact.value and len(fact.value) <= SHORT


def effective(known: Sequence[Known], rng: random.Random, module_of: ModuleOf) -> list[Draft]:
    """Which value is in force where a configuration sets one thing and leaves another alone."""
    pool = [item for item in known if item.fact.kin == "default" and settable(item.fact)]
    typed: dict[str, list[Known]] = defaultdict(list)
    for item in pool:
        typed[value_type(item.fact.value)].append(item)
    found: list[Draft] = []
    for _, members in sorted(typed.items()):
        values = sorted({item.fact.value for item in members})
        for item in members:
            others = [value for value in values if normalise(value) != normalise(item.fact.value)]
            if not others:
                continue
            two = rng.choice(members)
            if two.label != item.label and rng.random() >= SET_DRAFTS:
                found.append(_left_alone(item, two, rng.choice(others), module_of))
            else:
                found.append(_set(item, rng.choice(others), module_of))
    rng.shuffle(found)
    return found


def _left_alone(item: Known, other: Known, value: str, module_of: ModuleOf) -> Draft:
    defaults = {item.label: item.fact.value, other.label: other.fact.value}
    gold = in_force(defaults, [(other.label, value)])[item.label]
    question = (
        f"A configuration sets `{other.label}` to {value} and leaves `{item.label}` unset. "
        f"Which value of `{item.label}` is in force?"
    )
    made = draft("effective", "consultant", question, gold, [item], module_of, stated=(value,))
    # The other one is no hop, but it must stand on the same side of the split.
    entities = (*made.entities, other.fact.entity)
    groups = tuple(dict.fromkeys((item.group, other.group)))
    return replace(made, groups=groups, entities=tuple(dict.fromkeys(entities)))


def _set(item: Known, value: str, module_of: ModuleOf) -> Draft:
    gold = in_force({item.label: item.fact.value}, [(item.label, value)])[item.label]
    question = f"A configuration sets `{item.label}` to {value}. Which value of `{item.label}` is in force?"
    return draft("effective", "consultant", question, gold, [item], module_of, stated=(value,))


def version(text: str, whole: bool = False) -> tuple[int, ...] | None:
    """`7.64.1` -> (7, 64, 1); None for anything that is no version number. With `whole`, `257` is one, too."""
    match = (_WHOLE if whole else _VERSION).fullmatch(text.strip())
    return tuple(int(part) for part in match.group(1).split(".")) if match else None


def numbered_whole(facts: Sequence[Fact]) -> bool:
    """Whether whole numbers count as releases: the attribute's name says version or release, and every value is one."""
    named = all(_SAYS_RELEASE.search(fact.attribute) for fact in facts)
    return named and all(version(fact.value, whole=True) for fact in facts)


def is_release(facts: Sequence[Fact]) -> bool:
    """Whether an attribute's values are version numbers (all but one in twenty, or all where some have no dot)."""
    dotted = sum(version(fact.value) is not None for fact in facts) >= 0.95 * len(facts)
    return len(facts) > 0 and (dotted or numbered_whole(facts))


def releases(known: Sequence[Known], rng: random.Random, module_of: ModuleOf, count: int) -> list[Draft]:
    """Up to `count` questions for the lowest release that has two things: the later of the two versions."""
    families: dict[str, list[Known]] = defaultdict(list)
    for item in known:
        families[item.fact.kin].append(item)
    found: list[Draft] = []
    for _, members in sorted(families.items()):
        if not is_release([item.fact for item in members]):
            continue
        whole = numbered_whole([item.fact for item in members])
        pool = thinned([item for item in members if version(item.fact.value, whole)], rng)
        homes: dict[str | None, list[Known]] = defaultdict(list)
        for item in pool:
            homes[item.fact.module].append(item)
        # Modules of one manual may count their releases apart: both things come from one.
        pool = [item for item in pool if len(homes[item.fact.module]) > 1]
        for _ in range(count * TRIES if pool else 0):
            if len(found) >= count:
                break
            one = rng.choice(pool)
            made = _release(one, rng.choice(homes[one.fact.module]), module_of, whole)
            if made is not None:
                found.append(made)
    rng.shuffle(found)
    return found


def _release(one: Known, two: Known, module_of: ModuleOf, whole: bool) -> Draft | None:
    first, second = version(one.fact.value, whole), version(two.fact.value, whole)
    if one.group == two.group or first is None or second is None or first == second:
        return None
    gold = one if max(first, second) == first else two
    question = f"A setup uses `{one.label}` and `{two.label}`. Which is the lowest release that has both?"
    return draft("release", "consultant", question, gold.fact.value, [one, two], module_of)


@question_kinds.register("effective")
class Effective(QuestionKind):
    """The value in force after a configuration has been read."""

    name = "effective"
    level = "consultant"

    def drafts(self, material: Material) -> list[Draft]:
        """One question for each default that could be set to something else."""
        return effective(material.facts, material.rng, material.module_of)


@question_kinds.register("release")
class Release(QuestionKind):
    """The lowest release that has two things."""

    name = "release"
    level = "consultant"

    def drafts(self, material: Material) -> list[Draft]:
        """As many as the cell is to have, and some more for small exams."""
        return releases(material.facts, material.rng, material.module_of, material.size + 20)
