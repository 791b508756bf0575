"""Fills the splits: the same mix of kinds in each, attributes by the root of their number, no answer too often.

Splits of different mixes cannot be compared: an easy kind that is frequent in one makes it look easier. So the mix is
worked out first, from what the scarcest split has, and a split that cannot fill its size with that mix is smaller.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from agents.task import Level

from .association import Association
from .choices import Dealt, rings
from .drafts import Draft

T = TypeVar("T")
STATED = 0.1
"""Share of a kind's questions that may tell their answer."""
DOWN: tuple[Level, ...] = ("consultant", "professional", "engineer")
"""A level that cannot fill its share leaves the rest to the next one."""


def mixture(
    available: Mapping[str, Mapping[str, int]],
    sizes: Mapping[str, int],
    levels: Mapping[str, Level],
    shares: Mapping[Level, float],
    scarce: Mapping[str, float],
) -> dict[str, float]:
    """Kind -> share of every split; they sum to 1, or to 0 where nothing is there.

    Args:
        available: split -> kind -> drafts.
        sizes: split -> questions wanted; a split of size 0 has no say.
        levels: kind -> its level.
        shares: level -> share wanted.
        scarce: kind -> share of its level at the most.
    """
    most = {
        kind: min((available[split].get(kind, 0) / size for split, size in sizes.items() if size), default=0.0)
        for kind in levels
    }
    mix: dict[str, float] = {}
    missing = 0.0
    for level in DOWN:
        wanted = shares[level] + missing
        caps = {k: min(most[k], scarce.get(k, 1.0) * wanted) for k, of in levels.items() if of == level}
        mix |= poured(caps, wanted)
        missing = wanted - sum(mix.get(kind, 0.0) for kind in caps)
    total = sum(mix.values())
    return {kind: share / total for kind, share in mix.items() if share > 0} if total else {}


def poured(caps: Mapping[str, float], amount: float) -> dict[str, float]:
    """`amount` shared out evenly, none getting more than its cap; what caps leave goes to the others."""
    found = dict.fromkeys(caps, 0.0)
    free = {name for name, cap in caps.items() if cap > 0}
    left = min(amount, sum(caps.values()))
    while free and left > 1e-12:
        step = left / len(free)
        for name in sorted(free):
            given = min(step, caps[name] - found[name])
            found[name] += given
            left -= given
        free = {name for name in free if caps[name] - found[name] > 1e-12}
    return found


def size_of(available: Mapping[str, int], mix: Mapping[str, float], size: int) -> int:
    """The questions, at most `size`, that a split can fill with exactly this mix."""
    return int(min([size, *(available.get(kind, 0) / share for kind, share in mix.items())]))


@dataclass
class Filled:
    """The questions of one kind on one side of the split, seen or unseen."""

    kind: str
    dealt: list[Dealt]
    """Lists of options in use."""
    single: list[Draft]
    """Questions without options."""
    spare: list[Dealt] = field(default_factory=list)
    """Lists that are not in use, to take the place of bad ones."""
    limit: float = math.inf
    """Questions that may have the same gold; spare lists keep to it."""

    def count(self) -> int:
        """Questions."""
        return sum(len(one.drafts) for one in self.dealt) + len(self.single)

    def replace(self, bad: Sequence[Dealt]) -> int:
        """Put spare lists in the place of `bad` ones; where none fits, the questions stay and lose their options.

        Returns:
            Questions that lost their options.
        """
        lost = 0
        for one in bad:
            at = self.dealt.index(one)
            golds = Counter(draft.key for other in self.dealt if other is not one for draft in other.drafts)
            golds.update(draft.key for draft in self.single)
            good = [spare for spare in self.spare if all(golds[draft.key] < self.limit for draft in spare.drafts)]
            if good:
                self.dealt[at] = good[0]
                self.spare.remove(good[0])
            else:
                del self.dealt[at]
                self.single.extend(one.drafts)
                lost += len(one.drafts)
        return lost


def fill(kind: str, drafts: Sequence[Draft], count: int, cap: float, known: Association, rng: random.Random) -> Filled:
    """Choose `count` of the drafts of one kind, with options as far as they can be dealt.

    Args:
        cap: share of the questions that may have the same gold.
        known: what words of questions tell of answers.
    """
    limit = max(1, int(cap * count))
    dealt = in_turn(rings(drafts, known, rng), lambda one: one.drafts[0])
    golds: Counter[str] = Counter()
    filled = Filled(kind, [], [], limit=limit)
    for one in dealt:
        room = filled.count() + len(one.drafts) <= count
        if room and all(golds[draft.key] < limit for draft in one.drafts):
            filled.dealt.append(one)
            golds.update(draft.key for draft in one.drafts)
        else:
            filled.spare.append(one)
    used = {id(draft) for one in filled.dealt for draft in one.drafts}
    rest = [draft for draft in drafts if id(draft) not in used]
    rng.shuffle(rest)  # as they come: what no options could be dealt to is often the easier question
    answered = 0
    for draft in in_turn(rest, lambda draft: draft):
        if filled.count() >= count:
            break
        if golds[draft.key] < limit and not (draft.answered and answered >= STATED * count):
            filled.single.append(draft)
            golds[draft.key] += 1
            answered += draft.answered
    used = {id(draft) for draft in filled.single}
    filled.spare = [one for one in filled.spare if not any(id(draft) in used for draft in one.drafts)]
    return filled


def in_turn(items: Iterable[T], draft_of: Callable[[T], Draft]) -> list[T]:
    """Items of every family in turn, a family of n as often as the root of n: large ones do not drown the rest."""
    families: dict[str, list[T]] = defaultdict(list)
    for item in items:
        families[dict(draft_of(item).provenance).get("family", "")].append(item)
    order = [
        ((place + 0.5) / len(members) ** 0.5, name, place)
        for name, members in families.items()
        for place in range(len(members))
    ]
    return [families[name][place] for _, name, place in sorted(order)]


def unseen_first(drafts: Sequence[Draft], held: set[str]) -> tuple[list[Draft], list[Draft]]:
    """(drafts whose modules are all held out, the others)."""
    new = [draft for draft in drafts if draft.modules and all(module in held for module in draft.modules)]
    inside = {id(draft) for draft in new}
    return new, [draft for draft in drafts if id(draft) not in inside]
