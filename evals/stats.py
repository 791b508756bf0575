"""Statistics of paired right-or-wrong data: intervals, exact tests, differences, corrections.

Every arm answers the same tasks, so arms are compared task by task. Questions of one group (a class with its methods)
are not independent; the interval of a difference is therefore also given by resampling whole groups, and where the two
intervals differ much the wider one is to be believed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from agents.errors import need

CONFIDENCE = 0.95
RESAMPLES = 4000


class Interval(BaseModel):
    """A confidence interval."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float


class Discordant(BaseModel):
    """How often one of two players alone was right."""

    model_config = ConfigDict(frozen=True)

    both: int
    first: int
    """Tasks that only the first player got right."""
    second: int
    neither: int

    @property
    def n(self) -> int:
        """All tasks."""
        return self.both + self.first + self.second + self.neither

    @property
    def difference(self) -> float:
        """Accuracy of the first player minus that of the second."""
        return (self.first - self.second) / self.n if self.n else 0.0


def _binomtest(right: int, n: int, p: float) -> Any:
    return need("scipy.stats", "report").binomtest(right, n, p)


def wilson(right: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a share (E. B. Wilson 1927, JASA 22:209-212); nothing asked = nothing known."""
    if n == 0:
        return Interval(low=0.0, high=1.0)
    found = _binomtest(right, n, 0.5).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(low=max(0.0, float(found.low)), high=min(1.0, float(found.high)))


def exact_binomial(right: int, n: int, chance: float) -> float:
    """Two-sided exact binomial p of `right` of `n` against a player who is right with probability `chance`."""
    return float(_binomtest(right, n, chance).pvalue) if n else 1.0


def pairs(first: Sequence[bool], second: Sequence[bool]) -> Discordant:
    """The two-by-two table of two players on the same tasks in the same order."""
    both = list(zip(first, second, strict=True))
    return Discordant(
        both=sum(a and b for a, b in both),
        first=sum(a and not b for a, b in both),
        second=sum(b and not a for a, b in both),
        neither=sum(not a and not b for a, b in both),
    )


def mcnemar(table: Discordant) -> float:
    """Exact McNemar p (Q. McNemar 1947, Psychometrika 12:153-157): a binomial test of the pairs that differ."""
    discordant = table.first + table.second
    return float(_binomtest(table.first, discordant, 0.5).pvalue) if discordant else 1.0


def newcombe(table: Discordant) -> Interval:
    """95 % interval of a paired difference: method 10 of R. G. Newcombe 1998, Statistics in Medicine 17:2635-2650.

    Built of two Wilson intervals and the correlation of the two players, so it has a width even where all pairs agree.
    """
    n = table.n
    if n == 0:
        return Interval(low=-1.0, high=1.0)
    one, two = table.both + table.first, table.both + table.second
    p1, p2 = one / n, two / n
    w1, w2 = wilson(one, n), wilson(two, n)
    phi = _phi(table)
    down1, up1, down2, up2 = p1 - w1.low, w1.high - p1, p2 - w2.low, w2.high - p2
    low = p1 - p2 - math.sqrt(max(0.0, down1**2 - 2 * phi * down1 * up2 + up2**2))
    high = p1 - p2 + math.sqrt(max(0.0, up1**2 - 2 * phi * up1 * down2 + down2**2))
    return Interval(low=max(-1.0, low), high=min(1.0, high))


def _phi(table: Discordant) -> float:
    """Correlation of the pairs with Newcombe's continuity correction; 0 where a margin is empty."""
    a, b, c, d = table.both, table.first, table.second, table.neither
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    cross = a * d - b * c
    if cross > 0:
        return max(cross - table.n / 2, 0.0) / math.sqrt(margins)
    return cross / math.sqrt(margins)


def clustered(first: Sequence[bool], second: Sequence[bool], groups: Sequence[Hashable], seed: int = 0) -> Interval:
    """95 % percentile interval of a paired difference, whole groups drawn with replacement, the same for one seed.

    The cluster bootstrap of A. C. Davison and D. V. Hinkley 1997, Bootstrap Methods and their Application, 3.8.
    """
    order: dict[Hashable, int] = {}
    index = [order.setdefault(group, len(order)) for group in groups]
    if not index:
        return Interval(low=-1.0, high=1.0)
    gain, size = np.zeros(len(order)), np.zeros(len(order))
    for where, a, b in zip(index, first, second, strict=True):
        gain[where] += float(a) - float(b)
        size[where] += 1
    drawn = np.random.default_rng(seed).integers(0, len(order), (RESAMPLES, len(order)))
    shares = gain[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(shares, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the given order (S. Holm 1979, Scandinavian J. of Statistics 6:65-70)."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted = [0.0] * len(values)
    reached = 0.0
    for rank, i in enumerate(order):
        reached = max(reached, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = reached
    return adjusted
