"""The consultant's level: small scenarios whose key is obtained by executing them, never by filling a template.

`effective` and `release` need nothing but facts (defaults; version numbers). `call` and `example` need a live Python
library: they live in distill/live.py.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agents.answers import normalise
from agents.library.facts import Fact

from .distractors import WRONG, Draft, value_type
from .evidence import Known
from .levels import SHORT, ModuleOf, draft, thinned

TRIES = 6
"""Pairs that are tried for each question about two releases."""
SET_DRAFTS = 0.2
"""Share of the drafts that ask for what was set, the others for what was left alone and must be looked up; 0.3 of the
exam, since frequent defaults are capped."""

_VERSION = re.compile(r"v?(\d+(?:\.\d+)+)")


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
                found.append(_left_alone(item, two, rng.choice(values), module_of))
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
    made = draft("effective", "consultant", question, gold, [item], module_of, must=(value,))
    # The other one is no hop, but it must stand on the same side of the split.
    entities = (*made.entities, other.fact.entity)
    groups = tuple(dict.fromkeys((item.group, other.group)))
    return replace(made, groups=groups, entities=tuple(dict.fromkeys(entities)))


def _set(item: Known, value: str, module_of: ModuleOf) -> Draft:
    gold = in_force({item.label: item.fact.value}, [(item.label, value)])[item.label]
    question = f"A configuration sets `{item.label}` to {value}. Which value of `{item.label}` is in force?"
    return draft("effective", "consultant", question, gold, [item], module_of, must=(item.fact.value,))


def version(text: str) -> tuple[int, ...] | None:
    """`7.64.1` -> (7, 64, 1); None for anything that is no version number."""
    match = _VERSION.fullmatch(text.strip())
    return tuple(int(part) for part in match.group(1).split(".")) if match else None


def is_release(facts: Sequence[Fact]) -> bool:
    """Whether an attribute's values are version numbers (all but one in twenty)."""
    return sum(version(fact.value) is not None for fact in facts) >= 0.95 * len(facts) > 0


def releases(known: Sequence[Known], rng: random.Random, module_of: ModuleOf, count: int) -> list[Draft]:
    """Up to `count` questions for the lowest release that has two things.

    The gold is the later of the two versions; the other options are chosen so that it is the highest, the second or the
    third of the four equally often, and every version is a wrong option three times as often as it is the right one.
    """
    families: dict[str, list[Known]] = defaultdict(list)
    for item in known:
        families[item.fact.kin].append(item)
    found: list[Draft] = []
    for _, members in sorted(families.items()):
        if not is_release([item.fact for item in members]):
            continue
        pool = thinned([item for item in members if version(item.fact.value)], rng)
        debts = {item.fact.value: 0 for item in pool}
        homes: dict[str | None, list[Known]] = defaultdict(list)
        for item in pool:
            homes[item.fact.module].append(item)
        # Modules of one manual may count their releases apart: both things come from one.
        pool = [item for item in pool if len(homes[item.fact.module]) > 1]
        for number in range(count * TRIES if pool else 0):
            if len(found) >= count:
                break
            one = rng.choice(pool)
            made = _release(one, rng.choice(homes[one.fact.module]), debts, number % 3, rng, module_of)
            if made is not None:
                found.append(made)
    rng.shuffle(found)
    return found


def _release(
    one: Known, two: Known, debts: dict[str, int], above: int, rng: random.Random, module_of: ModuleOf
) -> Draft | None:
    """`above` of the wrong options are later than the gold."""
    first, second = version(one.fact.value), version(two.fact.value)
    if one.group == two.group or first is None or second is None or first == second:
        return None
    gold, other = (one, two) if max(first, second) == first else (two, one)
    limit = max(first, second)
    # Longer version numbers are later ones as a rule: wrong options shorter than the gold would give it away.
    fair = [text for text in debts if len(text) >= len(gold.fact.value)]
    later = [text for text in fair if (version(text) or ()) > limit]
    earlier = [text for text in fair if (version(text) or ()) < limit and text != other.fact.value]
    if len(later) < above or len(earlier) < 2 - above:
        return None
    wrong = [other.fact.value, *most_owed(later, above, debts, rng), *most_owed(earlier, 2 - above, debts, rng)]
    options = (gold.fact.value, *wrong)
    if len({normalise(option) for option in options}) < 4:
        return None
    debts[gold.fact.value] += WRONG
    for text in wrong:
        debts[text] -= 1
    question = f"A setup uses `{one.label}` and `{two.label}`. Which is the lowest release that has both?"
    return draft("release", "consultant", question, gold.fact.value, [one, two], module_of, options)


def most_owed(values: Sequence[str], count: int, debts: Mapping[str, int], rng: random.Random) -> list[str]:
    """The `count` values that stood as wrong options least often for how often they were right; ties by lot."""
    mixed = list(values)
    rng.shuffle(mixed)
    return sorted(mixed, key=lambda text: -debts[text])[:count]
