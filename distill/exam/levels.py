"""Drafts the questions of the engineer and professional levels: one attribute of one entity, or two look-ups.

What has to be copied into a search stands in backticks: the reader may be a model of a million parameters.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from agents.answers import normalise

from .drafts import Draft, ModuleOf, draft, value_type
from .evidence import Known
from .kinds import Material, QuestionKind, question_kinds
from .wording import parameter_of, wording

Own = Mapping[str, Sequence[str]]
"""Attribute -> the user's own wordings of it."""
SHORT = 32
"""Characters of a value above which it is no part of an answer to two questions."""
PAIR_TRIES = 4
"""Squares that are tried with each fact as their first corner."""


def parameter(known: Known) -> str | None:
    """The parameter whose default a fact gives; None for other facts."""
    return parameter_of(known.fact.attribute)


def lookup_question(known: Known, turn: int, own: Own | None = None) -> str:
    """Asks for one attribute of one entity; `turn` chooses the wording."""
    asks = wording(known.fact.attribute, own).asks
    return asks[turn % len(asks)].replace("{entity}", f"`{known.label}`")


def lookups(known: Sequence[Known], rng: random.Random, module_of: ModuleOf, own: Own | None = None) -> list[Draft]:
    """One question a fact."""
    found = []
    for item in known:
        question = lookup_question(item, rng.randrange(60), own)
        found.append(draft("lookup", "engineer", question, item.fact.value, [item], module_of))
    rng.shuffle(found)
    return found


def bridges(
    firsts: Sequence[Known],
    seconds: Sequence[Known],
    rng: random.Random,
    module_of: ModuleOf,
    own: Own | None = None,
) -> list[Draft]:
    """Two hops: the value of the first fact is the name of the entity that the second one is about."""
    about: dict[str, list[Known]] = defaultdict(list)
    for item in seconds:
        about[item.fact.entity].append(item)
    for entity in [entity for entity, items in about.items() if len({item.label for item in items}) > 1]:
        del about[entity]  # the value alone does not say which one is meant
    found = []
    for first in firsts:
        matching = [item for item in about.get(first.fact.value, ()) if item.fact.entity != first.fact.entity]
        rng.shuffle(matching)
        for second in matching[:3]:
            clause = wording(first.fact.attribute, own).clause.replace("{entity}", f"`{first.label}`")
            question = f"Take {clause}. {wording(second.fact.attribute, own).its}"
            found.append(draft("bridge", "professional", question, second.fact.value, [first, second], module_of))
    rng.shuffle(found)
    return found


def pair_question(one: Known, two: Known, own: Own | None = None) -> str:
    """Asks for the same attribute of two entities; its first word tells it from a look-up of the first one alone."""
    left, right = parameter(one), parameter(two)
    if left is not None and right is not None:
        first, second = f"parameter `{left}` of `{one.label}`", f"`{right}` of `{two.label}`"
        return f"Compare {first} with {second}: what are the two default values?"
    return f"Compare `{one.label}` with `{two.label}`: {wording(one.fact.attribute, own).each}"


def pairs(
    known: Sequence[Known], rng: random.Random, module_of: ModuleOf, count: int, own: Own | None = None
) -> list[Draft]:
    """About `count` questions about the same attribute of two entities, four at a time.

    Of four facts with the values a, b, c, d (a and c differ, b and d too) all four combinations are asked, and each
    question has all four answers as its options: whoever sees the options alone can do no better than chance, and no
    form of an answer, such as twice the same value, is right more often than another.
    """
    families: dict[tuple[str, str], list[Known]] = defaultdict(list)
    for item in known:
        value = item.fact.value
        if len(value) <= SHORT and "," not in value and " and " not in f" {value} ":
            families[item.fact.kin, value_type(value)].append(item)
    makers = [_squares(members, rng, module_of, own) for _, members in sorted(families.items()) if _spread(members) > 1]
    found: list[Draft] = []
    while makers and len(found) < count:
        for maker in list(makers):
            made = next(maker, None)
            if made is None:
                makers.remove(maker)
            else:
                found.extend(made)
    return found


def _spread(members: Sequence[Known]) -> int:
    return len({normalise(item.fact.value) for item in members})


def thinned(members: Sequence[Known], rng: random.Random) -> list[Known]:
    """`members` in random order, no value more often than an eighth of them (but at least twice)."""
    mixed = list(members)
    rng.shuffle(mixed)
    limit = max(2, len(mixed) // 8)
    seen: dict[str, int] = defaultdict(int)
    kept = []
    for item in mixed:
        key = normalise(item.fact.value)
        seen[key] += 1
        if seen[key] <= limit:
            kept.append(item)
    return kept


def _squares(
    members: Sequence[Known], rng: random.Random, module_of: ModuleOf, own: Own | None
) -> Iterator[list[Draft]]:
    """Four questions at a time over four facts of different groups."""
    pool = thinned(members, rng)
    for _ in range(PAIR_TRIES):
        for one in pool:
            corners = [one, *rng.sample(pool, min(3, len(pool)))]
            if len({item.group for item in corners}) < 4:
                continue
            left, right = (corners[0], corners[2]), (corners[1], corners[3])
            if any(normalise(a.fact.value) == normalise(b.fact.value) for a, b in (left, right)):
                continue
            options = tuple(f"{a.fact.value} and {b.fact.value}" for a in left for b in right)
            if len({normalise(option) for option in options}) < 4:
                continue
            block = "|".join(f"{item.label}:{item.fact.attribute}" for item in corners)
            yield [
                draft(
                    "pair",
                    "professional",
                    pair_question(a, b, own),
                    f"{a.fact.value} and {b.fact.value}",
                    [a, b],
                    module_of,
                    parts=(a.fact.value, b.fact.value),
                    square=options,
                    block=block,
                )
                for a in left
                for b in right
            ]


@question_kinds.register("lookup")
class Lookup(QuestionKind):
    """One attribute of one entity."""

    name = "lookup"
    level = "engineer"
    asks_attribute = True

    def drafts(self, material: Material) -> list[Draft]:
        """One question a fact."""
        return lookups(material.facts, material.rng, material.module_of, material.wordings)


@question_kinds.register("bridge")
class Bridge(QuestionKind):
    """An attribute of the entity that another entity's attribute names."""

    name = "bridge"
    level = "professional"

    def drafts(self, material: Material) -> list[Draft]:
        """At most three questions for each fact of the split whose value names an entity of the cell."""
        return bridges(material.split, material.facts, material.rng, material.module_of, material.wordings)


@question_kinds.register("pair")
class Pair(QuestionKind):
    """The same attribute of two entities."""

    name = "pair"
    level = "professional"

    def drafts(self, material: Material) -> list[Draft]:
        """Three times as many as the cell is to have, and some more for small exams."""
        return pairs(material.facts, material.rng, material.module_of, 3 * material.size + 20, material.wordings)
