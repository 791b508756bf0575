"""Deals the wrong options so that guessing by value is no better than chance.

A value that is the gold of c questions stands as a wrong option in 3c others of the same family and type: whoever picks
a value because it is frequent is right once in four. That can be done as long as no value is the gold of more than a
quarter of its questions, which `balanced` sees to.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agents.answers import normalise
from agents.task import Hop, Level

WRONG = 3
"""Wrong options a question."""

_TYPES = (
    ("version", re.compile(r"v?\d+(\.\d+)+[a-z]?\d*")),
    ("constant", re.compile(r"None|True|False|0|1|-1")),
    ("number", re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")),
    ("duration", re.compile(r"\d+\s?(ms|us|s|m|h|d|w|y|seconds?|minutes?|hours?|days?)")),
    ("size", re.compile(r"\d+\s?([kKmMgG][bB]?|bytes)")),
    ("option", re.compile(r"-{1,2}\w[\w.\-]*")),
    ("quoted", re.compile(r"b?(['\"]).*\1")),
    ("argument", re.compile(r"<.*>")),
    ("word", re.compile(r"\w+")),
    ("dotted", re.compile(r"\w+(\.\w+)+")),
)


@dataclass(frozen=True)
class Draft:
    """A question whose wrong options are not dealt yet, or which brings them along."""

    kind: str
    level: Level
    question: str
    gold: str
    family: str
    hops: tuple[Hop, ...]
    entities: tuple[str, ...]
    group: str
    groups: tuple[str, ...]
    """Groups of everything that the question is about; all on one side of the split."""
    modules: tuple[str | None, ...]
    options: tuple[str, ...] = ()
    """All options, gold among them, where they follow from the question itself."""
    must: tuple[str, ...] = ()
    """Wrong options that the question calls for, e.g. the value that was set on something else."""
    provenance: tuple[tuple[str, str], ...] = field(default=())


def value_type(value: str) -> str:
    """The type of a value: version, constant, number, duration, size ..., or list, or text."""
    for name, pattern in _TYPES:
        if pattern.fullmatch(value):
            return name
    return "list" if "," in value or " " in value else "text"


def buckets(drafts: Sequence[Draft], spread: int = 6) -> dict[tuple[str, str], list[Draft]]:
    """Drafts by (family, type); types with fewer than `spread` different golds share one bucket of their family."""
    typed: dict[tuple[str, str], list[Draft]] = defaultdict(list)
    for draft in drafts:
        typed[draft.family, value_type(draft.gold)].append(draft)
    result: dict[tuple[str, str], list[Draft]] = defaultdict(list)
    for (family, name), members in typed.items():
        few = len({normalise(draft.gold) for draft in members}) < spread and name != "constant"
        result[family, "mixed" if few else name].extend(members)
    small = [key for key, members in result.items() if len({normalise(d.gold) for d in members}) <= WRONG]
    for key in small:
        others = [other for other in result if other[0] == key[0] and other != key and other not in small]
        if others:
            result[max(others, key=lambda other: len(result[other]))].extend(result.pop(key))
    return dict(result)


def balanced(drafts: Sequence[Draft], count: int, cap: int) -> list[Draft]:
    """At most `count` of `drafts`, in their order, no gold more than `cap` times nor more than a quarter of them.

    Returns [] where fewer than four golds differ: there would be no wrong options.
    """
    if len({normalise(draft.gold) for draft in drafts}) <= WRONG:
        return []
    wanted = min(count, len(drafts))
    while wanted > 0:
        limit = max(1, min(cap, wanted // (WRONG + 1)))
        seen: Counter[str] = Counter()
        taken: list[Draft] = []
        for draft in drafts:
            key = normalise(draft.gold)
            if len(taken) < wanted and seen[key] < limit:
                seen[key] += 1
                taken.append(draft)
        if len(taken) == wanted:
            return taken
        wanted = len(taken) if len(taken) < wanted else wanted - 1
    return []


def deal(drafts: Sequence[Draft], rng: random.Random, spare: Iterable[str] = ()) -> list[tuple[Draft, tuple[str, ...]]]:
    """Each draft with its wrong options (three, distinct under normalisation, never the gold); others are left out.

    `spare` are values of the same kind to fall back on where the dealt ones do not suffice.
    """
    text = {normalise(value): value for value in spare}
    text.update({normalise(draft.gold): draft.gold for draft in drafts})
    hands: list[dict[str, str]] = []
    quota = Counter({normalise(draft.gold): 0 for draft in drafts})
    for draft in drafts:
        quota[normalise(draft.gold)] += WRONG
        hand = {normalise(value): value for value in draft.must if normalise(value) != normalise(draft.gold)}
        hands.append(dict(list(hand.items())[:WRONG]))
    for hand in hands:
        quota.subtract(hand.keys())
    golds = [normalise(draft.gold) for draft in drafts]
    for key, copies in sorted(quota.items(), key=lambda item: (-item[1], item[0])):
        open_hands = [i for i, hand in enumerate(hands) if len(hand) < WRONG and golds[i] != key and key not in hand]
        rng.shuffle(open_hands)
        open_hands.sort(key=lambda i: len(hands[i]))
        for i in open_hands[: max(0, copies)]:
            hands[i][key] = text[key]
    fill = sorted(text)
    for i, hand in enumerate(hands):
        free = [key for key in fill if key != golds[i] and key not in hand]
        rng.shuffle(free)
        for key in free[: WRONG - len(hand)]:
            hand[key] = text[key]
    dealt = zip(drafts, hands, strict=True)
    return [(draft, tuple(hand.values())) for draft, hand in dealt if len(hand) == WRONG]
