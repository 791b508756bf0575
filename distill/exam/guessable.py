"""Leaves out what can be answered without the manual: the frequent value, the neighbour's value, the value told.

Each draft is guessed by rules that have seen the drafts of the other cells with their golds, and none of its own
cell. Where a rule is right more often than allowed, some of the drafts that it gets right are left out, and the rest
is guessed again, since what is frequent changes: adversarial filtering as in AFLite (Le Bras et al. 2020, arXiv
2002.04108), with rules in place of a trained model. What remains may still be guessed at the allowed rate; the audit
measures it.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .drafts import Draft

ROUNDS = 200
"""Rounds of guessing and leaving out at the most: 12 left a third of a yes-no attribute guessed, 20 are enough."""
NEAREST = 64
"""Neighbours of each draft that are remembered; whoever loses all of them is not guessed by its neighbour."""
BLOCK = 512
"""Drafts that are compared with all others at a time."""
FEWEST = 10
"""Drafts below which nothing can be said."""
STEP = 0.5
"""Share of the surplus that one round leaves out: what is frequent changes with it."""


def hard(drafts: Sequence[Draft], allowed: float, rng: random.Random) -> list[Draft]:
    """`drafts` without some of those that a rule answers, so that no rule is right of more than a share of `allowed`.

    The order is kept. Drafts are compared within themselves: give those of one kind.
    """
    kept = list(drafts)
    near = neighbours(kept)
    alive = np.arange(len(kept))
    for _ in range(ROUNDS):
        if len(alive) < FEWEST:
            break
        now = [kept[i] for i in alive]
        rules = guessed(now, among(near, alive))
        worst = max(rules.values(), key=lambda hits: float(hits.mean()))
        surplus = float(worst.sum()) - allowed * len(now)
        if surplus <= 0:
            break
        hit = [i for i in range(len(now)) if worst[i] >= 0.5]
        rng.shuffle(hit)
        out = set(hit[: max(1, round(STEP * surplus / (1 - allowed)))])
        if not hit:
            break
        alive = np.array([place for i, place in enumerate(alive) if i not in out])
    return [kept[i] for i in sorted(alive)]


def guessed(drafts: Sequence[Draft], near: Any) -> dict[str, Any]:
    """Rule -> for each draft the chance (0 to 1) that the rule is right, learnt from drafts of other cells.

    Args:
        near: for each draft the number of the most similar one of another cell, -1 where there is none.
    """
    fold = folds([draft.cell for draft in drafts])
    golds = [draft.key for draft in drafts]
    sorts = [(draft.attribute, f"family {dict(draft.provenance).get('family', '')}", "") for draft in drafts]
    return {
        "majority": _counted(golds, sorts, fold, max),
        "rarest": _counted(golds, sorts, fold, min),
        "nearest": np.array([float(j >= 0 and golds[i] == golds[j]) for i, j in enumerate(near)]),
        "told": np.array([float(draft.answered) for draft in drafts]),
    }


def folds(cells: Sequence[str]) -> Any:
    """The number of each cell, in order of first appearance."""
    numbers = {cell: i for i, cell in enumerate(dict.fromkeys(cells))}
    return np.array([numbers[cell] for cell in cells])


def _counted(
    golds: Sequence[str], sorts: Sequence[Sequence[str]], fold: Any, end: Callable[[Iterable[int]], int]
) -> Any:
    """The gold that is counted most (or least) in other folds, of the narrowest sort that stands there; ties share.

    What is left of a yes-no attribute by the rule of the majority alone is all answered by the opposite of it.

    Args:
        sorts: for each gold what it is counted under, the narrowest first: its attribute, its family, everything.
    """
    whole: dict[str, Counter[str]] = defaultdict(Counter)
    inside: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for gold, names, own in zip(golds, sorts, fold.tolist(), strict=True):
        for name in names:
            whole[name][gold] += 1
            inside[own, name][gold] += 1
    best = {}
    for own, name in inside:
        found = whole[name] - inside[own, name]  # what the other folds hold
        if found:
            top = end(found.values())
            best[own, name] = [value for value, n in found.items() if n == top]
    chances = []
    for gold, names, own in zip(golds, sorts, fold.tolist(), strict=True):
        text = next((best[own, name] for name in names if (own, name) in best), [""])
        chances.append((gold in text) / len(text))
    return np.array(chances)


def neighbours(drafts: Sequence[Draft]) -> Any:
    """For each draft the most similar ones of other cells, best first: (n, NEAREST) numbers, -1 where there is none.

    Similar is who has the same attribute, and then whose entities' names share most runs of 2 to 4 characters (cosine).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not drafts:
        return np.zeros((0, 0), dtype=np.int64)
    rows = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32).fit_transform(
        [" ".join(draft.entities) for draft in drafts]
    )
    attribute, cell = folds([draft.attribute for draft in drafts]), folds([draft.cell for draft in drafts])
    count = min(NEAREST, len(drafts))
    found = np.full((len(drafts), count), -1)
    for start in range(0, len(drafts), BLOCK):
        here = slice(start, start + BLOCK)
        near = (rows[here] @ rows.T).toarray() + (attribute[here, None] == attribute[None, :])
        near[cell[here, None] == cell[None, :]] = -1.0
        best = np.sort(np.argpartition(-near, count - 1, axis=1)[:, :count], axis=1)
        values = np.take_along_axis(near, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        best, values = np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)
        found[here] = np.where(values >= 0, best, -1)
    return found


def among(near: Any, alive: Any) -> Any:
    """The best neighbour of each draft that is still there, as its place in `alive`; -1 where none of them is."""
    place = np.full(len(near) + 1, -1)
    place[alive] = np.arange(len(alive))
    there = place[near[alive]]  # the last place, of number -1, stays -1
    first = (there >= 0).argmax(axis=1)
    return there[np.arange(len(alive)), first]
