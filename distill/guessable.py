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
FEWEST = 10
"""Drafts below which nothing can be said."""
STEP = 0.5
"""Share of the surplus that one round leaves out: what is frequent changes with it."""


def hard(drafts: Sequence[Draft], allowed: float, rng: random.Random) -> list[Draft]:
    """`drafts` without some of those that a rule answers, so that no rule is right of more than a share of `allowed`.

    The order is kept. Drafts are compared within themselves: give those of one kind.
    """
    kept = list(drafts)
    near = _similarities(kept)
    alive = np.arange(len(kept))
    for _ in range(ROUNDS):
        if len(alive) < FEWEST:
            break
        now = [kept[i] for i in alive]
        rules = guessed(now, near[np.ix_(alive, alive)])
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
    """Rule -> for each draft the chance (0 to 1) that the rule is right, learnt from drafts of other folds."""
    fold = folds([draft.cell for draft in drafts])
    golds = [draft.key for draft in drafts]
    attributes = [draft.attribute for draft in drafts]
    return {
        "majority": _counted(golds, attributes, fold, max),
        "rarest": _counted(golds, attributes, fold, min),
        "nearest": _nearest(golds, fold, near),
        "told": np.array([float(draft.answered) for draft in drafts]),
    }


def folds(cells: Sequence[str]) -> Any:
    """The number of each cell, in order of first appearance."""
    numbers = {cell: i for i, cell in enumerate(dict.fromkeys(cells))}
    return np.array([numbers[cell] for cell in cells])


def _counted(golds: Sequence[str], attributes: Sequence[str], fold: Any, end: Callable[[Iterable[int]], int]) -> Any:
    """The gold of the attribute that is counted most (or least) in other folds, of all where it is new; ties share.

    What is left of a yes-no attribute by the rule of the majority alone is all answered by the opposite of it.
    """
    counts: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    numbers = sorted(set(fold.tolist()))
    for gold, attribute, own in zip(golds, attributes, fold.tolist(), strict=True):
        for out in numbers:
            if out != own:
                counts[out, attribute][gold] += 1
                counts[out, ""][gold] += 1
    best = {}
    for place, found in counts.items():
        top = end(found.values())
        best[place] = [value for value, n in found.items() if n == top]
    chances = []
    for gold, attribute, own in zip(golds, attributes, fold.tolist(), strict=True):
        said = best.get((own, attribute)) or best.get((own, "")) or [""]
        chances.append((gold in said) / len(said))
    return np.array(chances)


def _nearest(golds: Sequence[str], fold: Any, near: Any) -> Any:
    """The gold of the most similar question in another fold."""
    other = np.where(fold[:, None] == fold[None, :], -1.0, near)
    best = other.argmax(axis=1)
    return np.array([float(golds[i] == golds[j] and other[i, j] >= 0) for i, j in enumerate(best)])


def _similarities(drafts: Sequence[Draft]) -> Any:
    """Cosine of the questions' character n-grams (2 to 4), those of one attribute before others; (n, n) float32."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not drafts:
        return np.zeros((0, 0), dtype=np.float32)
    rows = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32).fit_transform(
        [" ".join(draft.entities) for draft in drafts]
    )
    near = (rows @ rows.T).toarray()
    numbers = {name: i for i, name in enumerate(dict.fromkeys(draft.attribute for draft in drafts))}
    attribute = np.array([numbers[draft.attribute] for draft in drafts])
    return near + (attribute[:, None] == attribute[None, :])
