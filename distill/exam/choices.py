"""Deals the options of the choice form: four questions whose golds differ share one list of four options.

Each option is then the gold of one of the four, so that whoever sees options without the question is right once in
four, whatever the rule: by length, form, frequency or place in the list. What a question itself gives away is kept
small by who is put together: questions of one attribute, module and form of value before others, no value that is
told in one of the questions, and no gold that looks more like its question than the other options do. What is left
the audit measures.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from agents.answers import canonical

from .association import Association
from .cues import magnitude
from .drafts import Draft, value_type

OPTIONS = 4
"""Options a question, and questions a list of options."""
TRIED = 60
"""Partners that are looked at for each question, of each kind of nearness."""
TELLING = (0.0, 2.0, 5.0)
"""Nats by which two questions of a list may speak for their own golds (association.py): first, and for the rest."""
MISSES = 2
"""Times that a question finds no partners before it is left without options."""


class Dealt(NamedTuple):
    """Drafts that share one list of options."""

    drafts: tuple[Draft, ...]
    options: tuple[str, ...]


def rings(drafts: Sequence[Draft], known: Association, rng: random.Random) -> list[Dealt]:
    """As many lists of options as can be dealt; drafts that fit nowhere are in none of them.

    Drafts with a `square` of their own keep it, where all four questions of the square are among `drafts`.
    """
    squares: dict[str, dict[str, Draft]] = defaultdict(dict)
    pools: dict[tuple[str, str], list[Draft]] = defaultdict(list)
    for draft in drafts:
        if draft.square:
            squares[draft.block][draft.gold] = draft
        elif not draft.answered:
            pools[draft.cell, value_type(draft.gold)].append(draft)
    whole = [list(four.values()) for four in squares.values() if len(four) == OPTIONS]
    found = [Dealt(tuple(four), tuple(draft.gold for draft in four)) for four in whole if silent(four, known)]
    for _, members in sorted(pools.items()):
        rest: list[Draft] = members
        for telling in TELLING:
            made, rest = _ringed(rest, known, telling, rng)
            found.extend(made)
    rng.shuffle(found)
    return found


def _ringed(
    members: Sequence[Draft], known: Association, telling: float, rng: random.Random
) -> tuple[list[Dealt], list[Draft]]:
    """Lists of one form of value, and who is left over: the gold with most questions left is served first."""
    pool = list(members)
    rng.shuffle(pool)
    left: dict[str, list[Draft]] = defaultdict(list)
    for draft in pool:
        left[draft.key].append(draft)
    misses: Counter[str] = Counter()
    found: list[Dealt] = []
    over: list[Draft] = []
    while sum(bool(drafts) for drafts in left.values()) >= OPTIONS:
        key = max(left, key=lambda gold: len(left[gold]))
        seed = left[key].pop()
        ring = _ring(seed, left, known, telling, rng)
        if ring is not None:
            for draft in ring[1:]:
                left[draft.key].remove(draft)
            found.append(Dealt(tuple(ring), tuple(draft.gold for draft in ring)))
            continue
        misses[seed.question] += 1
        if misses[seed.question] < MISSES:
            left[key].insert(0, seed)
        else:
            over.append(seed)
    return found, over + [draft for drafts in left.values() for draft in drafts]


def _ring(
    seed: Draft, left: dict[str, list[Draft]], known: Association, telling: float, rng: random.Random
) -> list[Draft] | None:
    """The seed with the three nearest partners that fit and tell nothing of each other, or None."""
    near = sorted(_candidates(seed, left, rng), key=lambda other: -affinity(seed, other))
    ring = [seed]
    for other in near:
        if fits([*ring, other]) and all(known.telling(one, other) <= telling for one in ring):
            ring.append(other)
            if len(ring) == OPTIONS:
                return ring
    return None


def _candidates(seed: Draft, left: dict[str, list[Draft]], rng: random.Random) -> list[Draft]:
    every = [draft for key, drafts in left.items() if key != seed.key for draft in drafts]
    kin = [draft for draft in every if draft.attribute == seed.attribute]
    home = [draft for draft in every if draft.modules == seed.modules or draft.group == seed.group]
    picked: dict[int, Draft] = {}
    for pool in (kin, home, every):
        for draft in rng.sample(pool, min(TRIED, len(pool))):
            picked[id(draft)] = draft
    return list(picked.values())


def silent(square: Sequence[Draft], known: Association) -> bool:
    """Whether the questions of a square, taken together, do not speak for their own golds."""
    pairs = [(one, two) for i, one in enumerate(square) for two in square[:i]]
    return sum(known.telling(one, two) for one, two in pairs) <= TELLING[-1]


def affinity(one: Draft, two: Draft) -> float:
    """How hard two golds are to tell apart without reading; higher is harder."""
    score = 4.0 * (one.attribute == two.attribute) + 2.0 * (one.modules == two.modules) + 1.0 * (one.group == two.group)
    score += 1.0 * (one.provenance[-1:] == two.provenance[-1:])
    score -= 0.15 * abs(len(one.gold) - len(two.gold)) + 0.5 * abs(one.gold.count(" ") - two.gold.count(" "))
    score -= 0.7 * abs(magnitude(one.gold) - magnitude(two.gold))
    return score


def fits(ring: Sequence[Draft]) -> bool:
    """Whether the golds differ, and none of them is told in one of the questions."""
    golds = {_form(draft.gold) for draft in ring}
    if len(golds) < len(ring):
        return False
    stated = {_form(value) for draft in ring for value in draft.stated}
    return not stated & golds


_form = lru_cache(maxsize=100_000)(canonical)
