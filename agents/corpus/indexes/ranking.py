"""Puts chunks in order by their scores: the best of one index, and the fused order of several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def best(scores: NDArray[np.float32], k: int, least: float = -np.inf) -> list[int]:
    """Positions of the best `k` scores, best first; ties in the order of the positions, and none below `least`."""
    count = min(k, len(scores))
    if count < 1:
        return []
    floor = np.partition(scores, len(scores) - count)[len(scores) - count]
    near = np.flatnonzero(scores >= max(float(floor), least))
    return [int(i) for i in near[np.lexsort((near, -scores[near]))][:count]]


def fused(rankings: Iterable[Sequence[int]], k: float) -> list[tuple[int, float]]:
    """Positions with their reciprocal rank scores, best first; ties in the order of the positions.

    The score of a position is the sum of 1 / (k + rank) over the rankings that hold it, ranks counted from 1 (Cormack,
    Clarke and Buettcher 2009, who found k = 60 good over all their collections).

    >>> [position for position, _ in fused([[7, 1], [1, 2]], k=60)]
    [1, 7, 2]
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, position in enumerate(ranking, 1):
            scores[position] = scores.get(position, 0.0) + 1.0 / (k + rank)
    return sorted(scores.items(), key=lambda each: (-each[1], each[0]))
