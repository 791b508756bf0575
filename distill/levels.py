"""Words the questions of the engineer and professional levels: one attribute of one entity, or two look-ups.

Few, short and stable phrasings: the reader may be a model of a million parameters. What has to be copied into a search
stands in backticks.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from agents.answers import normalise
from agents.task import Level

from .distractors import Draft, value_type
from .evidence import Known

ModuleOf = Callable[[Known], str | None]

_TICKED = re.compile(r"^default of `([^`]+)`$")
SHORT = 32
"""Characters of a value above which it is not put into an option of two parts."""
PAIR_TRIES = 6
"""Partners that are tried for each fact when pairs are made."""


def parameter(known: Known) -> str | None:
    """The parameter whose default a fact gives; None for other facts."""
    match = _TICKED.match(known.fact.attribute)
    return match.group(1) if match else None


def lookup_question(known: Known, turn: int) -> str:
    """Asks for one attribute of one entity; `turn` chooses the phrasing."""
    name = parameter(known)
    if name is not None:
        return (
            f"What is the default value of parameter `{name}` of `{known.label}`?",
            f"Which default has parameter `{name}` of `{known.label}`?",
        )[turn % 2]
    return (
        f"What is the {known.fact.attribute} of `{known.label}`?",
        f"Look up the {known.fact.attribute} of `{known.label}`. What is it?",
    )[turn % 2]


def draft(
    kind: str, level: Level, question: str, gold: str, chain: Sequence[Known], module_of: ModuleOf,
    options: tuple[str, ...] = (), must: tuple[str, ...] = (),
) -> Draft:  # fmt: skip
    """A draft about the facts of `chain`, in reading order."""
    first = chain[0]
    return Draft(
        kind=kind,
        level=level,
        question=question,
        gold=gold,
        family=chain[-1].fact.kin,
        hops=tuple(known.hop for known in chain),
        entities=tuple(dict.fromkeys(known.fact.entity for known in chain)),
        group=first.group,
        groups=tuple(dict.fromkeys(known.group for known in chain)),
        modules=tuple(module_of(known) for known in chain),
        options=options,
        must=must,
        provenance=(("family", chain[-1].fact.kin), ("source", first.fact.source)),
    )


def lookups(known: Sequence[Known], rng: random.Random, module_of: ModuleOf) -> list[Draft]:
    """One question a fact."""
    found = []
    for item in known:
        question = lookup_question(item, rng.randrange(2))
        found.append(draft("lookup", "engineer", question, item.fact.value, [item], module_of))
    rng.shuffle(found)
    return found


def bridges(known: Sequence[Known], rng: random.Random, module_of: ModuleOf) -> list[Draft]:
    """Two hops: the value of the first fact is the name of the entity that the second one is about."""
    about: dict[str, list[Known]] = defaultdict(list)
    for item in known:
        about[item.fact.entity].append(item)
    for entity in [entity for entity, items in about.items() if len({item.label for item in items}) > 1]:
        del about[entity]  # the value alone does not say which one is meant
    found = []
    for first in known:
        seconds = [item for item in about.get(first.fact.value, ()) if item.fact.entity != first.fact.entity]
        rng.shuffle(seconds)
        for second in seconds[:3]:
            name = parameter(second)
            asked = f"the default value of its parameter `{name}`" if name else f"its {second.fact.attribute}"
            question = f"Take the {first.fact.attribute} of `{first.label}`. What is {asked}?"
            found.append(draft("bridge", "professional", question, second.fact.value, [first, second], module_of))
    rng.shuffle(found)
    return found


def pair_question(one: Known, two: Known) -> str:
    """Asks for the same attribute of two entities; its first word tells it from a look-up of the first one alone."""
    left, right = parameter(one), parameter(two)
    if left is not None:
        first, second = f"parameter `{left}` of `{one.label}`", f"`{right}` of `{two.label}`"
        return f"Compare {first} with {second}: what are the two default values?"
    return f"Compare `{one.label}` with `{two.label}`: what is the {one.fact.attribute} of each?"


def pairs(known: Sequence[Known], rng: random.Random, module_of: ModuleOf, count: int) -> list[Draft]:
    """Up to `count` questions about the same attribute of two entities; the four options are a square.

    Right and wrong values of both sides are combined in all four ways, so each part alone stands in two options, and
    both have to be looked up. In a third of them the wrong values are each other's: the order decides.
    """
    families: dict[tuple[str, str], list[Known]] = defaultdict(list)
    for item in known:
        value = item.fact.value
        if len(value) <= SHORT and "," not in value and " and " not in value:
            families[item.fact.kin, value_type(value)].append(item)
    makers = [_pairs(members, rng, module_of) for _, members in sorted(families.items()) if _spread(members) > 3]
    found: list[Draft] = []
    while makers and len(found) < count:
        for maker in list(makers):
            made = next(maker, None)
            if made is None:
                makers.remove(maker)
            else:
                found.append(made)
    return found[:count]


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


def _pairs(members: Sequence[Known], rng: random.Random, module_of: ModuleOf) -> Iterator[Draft]:
    pool = thinned(members, rng)
    debts = {item.fact.value: 0 for item in pool}
    for _ in range(PAIR_TRIES):
        for one in pool:
            two = rng.choice(pool)
            if two.group == one.group:
                continue
            a, b = one.fact.value, two.fact.value
            if normalise(a) != normalise(b) and rng.random() < 1 / 3:
                wrong_a, wrong_b = b, a
            else:
                wrong_a, wrong_b = _other(a, debts, rng), _other(b, debts, rng)
            options = (f"{a} and {b}", f"{a} and {wrong_b}", f"{wrong_a} and {b}", f"{wrong_a} and {wrong_b}")
            if len({normalise(option) for option in options}) == 4:
                question = pair_question(one, two)
                yield draft("pair", "professional", question, options[0], [one, two], module_of, options)


def _other(value: str, debts: dict[str, int], rng: random.Random) -> str:
    """Another value; each stands as the wrong one as often as it stands as the right one."""
    debts[value] += 1
    free = [other for other in debts if normalise(other) != normalise(value)]
    most = max(debts[other] for other in free)
    picked = rng.choice([other for other in free if debts[other] == most])
    debts[picked] -= 1
    return picked
