"""Statistics of paired right-or-wrong data: intervals, exact tests, differences, corrections.

Every arm answers the same tasks, so arms are compared task by task. Questions of one group (a class with its methods)
are not independent; the interval of a difference is therefore also given for as many tasks as they are worth, and where
the two intervals differ much the wider one is to be believed. A player may be right with a chance (a baseline whose
options tie): tables of pairs then hold expected counts, which need not be whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from fractions import Fraction
from statistics import NormalDist

import numpy as np
from pydantic import BaseModel, ConfigDict

from agents.errors import need

CONFIDENCE = 0.95
FLIPS = 100_000
"""Draws of the sign-flip test where its exact distribution has too many values."""
MAX_VALUES = 500_000


class Interval(BaseModel):
    """A confidence interval."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float


class Discordant(BaseModel):
    """How often one of two players alone was right."""

    model_config = ConfigDict(frozen=True)

    both: float
    first: float
    """Tasks that only the first player got right."""
    second: float
    neither: float

    @property
    def n(self) -> float:
        """All tasks."""
        return self.both + self.first + self.second + self.neither

    @property
    def difference(self) -> float:
        """Accuracy of the first player minus that of the second."""
        return (self.first - self.second) / self.n if self.n else 0.0

    def scaled(self, share: float) -> Discordant:
        """The same shares of `share` times as many tasks."""
        parts = (self.both, self.first, self.second, self.neither)
        both, first, second, neither = (share * part for part in parts)
        return Discordant(both=both, first=first, second=second, neither=neither)


def wilson(right: float, n: float, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a share (E. B. Wilson 1927, JASA 22:209-212); nothing asked = nothing known.

    Args:
        right: may be no whole number, as may `n`: of a sample that is worth so many independent tasks.
    """
    if n <= 0:
        return Interval(low=0.0, high=1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (right + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(max(0.0, right * (n - right) / n) + z * z / 4)
    low = 0.0 if right <= 0 else max(0.0, middle - half)
    return Interval(low=low, high=1.0 if right >= n else min(1.0, middle + half))


def pairs(first: Sequence[float], second: Sequence[float]) -> Discordant:
    """The two-by-two table of two players on the same tasks in the same order.

    Args:
        first: right or wrong, or the chance of being right; chances give the expected table.
    """
    both = [(float(a), float(b)) for a, b in zip(first, second, strict=True)]
    return Discordant(
        both=sum(a * b for a, b in both),
        first=sum(a * (1 - b) for a, b in both),
        second=sum((1 - a) * b for a, b in both),
        neither=sum((1 - a) * (1 - b) for a, b in both),
    )


def mcnemar(table: Discordant) -> float:
    """Exact McNemar p (Q. McNemar 1947, Psychometrika 12:153-157): a binomial test of the pairs that differ."""
    discordant = round(table.first + table.second)
    test = need("scipy.stats", "report").binomtest
    return float(test(round(table.first), discordant, 0.5).pvalue) if discordant else 1.0


def against_chances(right: Sequence[float], chances: Sequence[float]) -> float:
    """Two-sided p of a player against one who is right with a known chance on each task (a baseline whose guesses tie).

    Which of its tied guesses the other happens to draw must not decide the result, so none is drawn. The statistic is
    the sum of `right - chance`, and p the larger one of two tests, each of which is the exact McNemar test where all
    chances are 0 or 1:

    * `exchanged`: the two can be exchanged on every task. It is too sure where the player is right more evenly than
      the chances are: its sum then varies more than theirs.
    * `sign_flip`: the mean difference is 0. It is too sure where the differences have no spread: 0 of 40 right against
      a chance of 1 % would be a sure difference.

    Args:
        right: 1 or 0 a task.
        chances: of the other player to be right, a task.
    """
    differences = [got - chance for got, chance in zip(right, chances, strict=True)]
    return max(exchanged(right, chances), sign_flip(differences))


def exchanged(right: Sequence[float], chances: Sequence[float]) -> float:
    """Two-sided p of the number of right answers, were the two players interchangeable on every task.

    Where the other's chance lies between 0 and 1, the player is then right with that chance (a binomial test with a
    chance for each trial); where it is 0 or 1, a task on which they differ goes either way (McNemar's).
    """
    values, observed = np.zeros(1), 0.0
    weights: np.ndarray = np.ones(1)
    differing = 0
    for got, chance in zip(right, chances, strict=True):
        observed += got - chance
        if 0 < chance < 1:
            weights = np.convolve(weights, [1 - chance, chance])
            values = np.append(values, values[-1] + 1) - chance
        else:
            differing += got != chance
    steps = 2.0 * np.arange(differing + 1) - differing
    either = np.array([math.comb(differing, k) / 2**differing for k in range(differing + 1)])
    beyond = np.abs(np.add.outer(values, steps)) >= abs(observed) - 1e-9
    return min(1.0, float(np.multiply.outer(weights, either)[beyond].sum()))


def sign_flip(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of a mean difference of 0, by giving every task's difference either sign with the same probability.

    R. A. Fisher's randomisation test of paired data (The Design of Experiments, 1935, section 21). Differences from
    chances are not symmetric about 0; the test keeps its level for their mean nevertheless as tasks become many, since
    the flipped sum has the variance of the sum (J. P. Romano 1990, JASA 85:686-692).

    The distribution is worked out exactly where it has at most MAX_VALUES values; else FLIPS draws from generator
    `seed` take its place, the observed one counted among them (B. Phipson and G. K. Smyth 2010, SAGMB 9:39).
    """
    parts = [Fraction(each).limit_denominator(10_000) for each in differences]
    sizes = Counter(abs(part) for part in parts if part)
    observed = abs(sum(parts, Fraction(0)))
    unit = math.lcm(*(size.denominator for size in sizes))
    if unit * len(parts) < 2**60:
        exact = _flipped({int(size * unit): times for size, times in sizes.items()}, int(observed * unit))
        if exact is not None:
            return exact
    random = np.random.default_rng(seed)
    total = np.zeros(FLIPS)
    for size, times in sorted(sizes.items()):
        total += float(size) * (2.0 * random.binomial(times, 0.5, FLIPS) - times)
    beyond = int(np.count_nonzero(np.abs(total) >= float(observed) - 1e-9))
    return (beyond + 1) / (FLIPS + 1)


def _flipped(sizes: dict[int, int], observed: int) -> float | None:
    """P(|sum| >= observed), each of `times` numbers of a `size` with either sign; None where that takes too long."""
    values: np.ndarray = np.zeros(1, dtype=np.int64)
    weights: np.ndarray = np.ones(1)
    for size, times in sizes.items():
        if values.size * (times + 1) > MAX_VALUES:
            return None
        steps = size * (2 * np.arange(times + 1, dtype=np.int64) - times)
        chances = np.array([math.comb(times, k) / 2**times for k in range(times + 1)])
        values, where = np.unique(np.add.outer(values, steps), return_inverse=True)
        weights = np.bincount(where.ravel(), np.multiply.outer(weights, chances).ravel())
    return min(1.0, float(weights[np.abs(values) >= observed].sum()))


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


def clustered(first: Sequence[float], second: Sequence[float], groups: Sequence[Collection[Hashable]]) -> Interval:
    """95 % interval of a paired difference whose tasks are not independent: Newcombe's of as many as they are worth.

    Args:
        groups: for each task the groups that it belongs to; a question of two look-ups belongs to two.

    Two tasks that share a group may be correlated. With e the differences less their mean, the variance of the mean
    difference is the sum of e_i e_j over all i, j that share a group, by n squared (the dyadic-robust variance of
    M. Fafchamps and F. Gubert 2007, J. of Development Economics 83:326-350), times G / (G - 1) for G groups. Its ratio
    to the variance of independent tasks, 1 at least, is the design effect; n / design effect * (z / t)^2, with the t
    of G - 1 degrees of freedom, is the effective number of tasks (E. L. Korn and B. I. Graubard 1998, Survey
    Methodology 24:193-201), for which the interval is taken. Where all differences are the same (0 % or 100 %) their
    correlation cannot be seen and is taken to be 1: the design effect is the mean number of tasks that share a group.

    Whole groups are not resampled: questions of two look-ups join groups to each other, up to 193 of 200 tasks in one
    connected component on a manual of 278 entities.
    """
    n = len(groups)
    table = pairs(first, second)
    names = {name: at for at, name in enumerate(dict.fromkeys(name for each in groups for name in each))}
    if len(names) < 2:
        return Interval(low=-1.0, high=1.0)
    member = np.zeros((n, len(names)))
    for row, each in enumerate(groups):
        member[row, [names[name] for name in each]] = 1.0
    shared = (member @ member.T > 0) | np.eye(n, dtype=bool)
    differences = np.array(first, dtype=float) - np.array(second, dtype=float)
    rest = differences - differences.mean()
    alone = float(rest @ rest)
    together = float(rest @ shared @ rest) * len(names) / (len(names) - 1)
    effect = max(1.0, together / alone) if alone > 1e-9 else float(shared.sum()) / n
    t = float(need("scipy.stats", "report").t.ppf((1 + CONFIDENCE) / 2, len(names) - 1))
    worth = n / effect * (NormalDist().inv_cdf((1 + CONFIDENCE) / 2) / t) ** 2
    return newcombe(table.scaled(worth / n))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the given order (S. Holm 1979, Scandinavian J. of Statistics 6:65-70)."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted = [0.0] * len(values)
    reached = 0.0
    for rank, i in enumerate(order):
        reached = max(reached, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = reached
    return adjusted
