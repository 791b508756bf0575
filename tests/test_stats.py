"""Intervals and tests against published or worked-out values, and what must hold for all data."""

from __future__ import annotations

import itertools
import random

import pytest

from evals.stats import Discordant, clustered, exact_binomial, holm, mcnemar, newcombe, pairs, wilson


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_known_values(right: int, n: int, low: float, high: float) -> None:
    found = wilson(right, n)
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-4)


def test_wilson_of_nothing_and_width() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    for n in (1, 5, 50, 500):
        for right in range(0, n + 1, max(1, n // 5)):
            found = wilson(right, n)
            assert 0.0 <= found.low <= right / n <= found.high <= 1.0
    assert wilson(80, 100).high - wilson(80, 100).low < wilson(8, 10).high - wilson(8, 10).low


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(1, 9, 0.0215), (9, 1, 0.0215), (0, 0, 1.0), (3, 3, 1.0), (0, 5, 0.0625), (6, 0, 0.03125)],
)
def test_mcnemar_known_values(first: int, second: int, p: float) -> None:
    assert mcnemar(Discordant(both=40, first=first, second=second, neither=7)) == pytest.approx(p, abs=5e-5)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),  # Newcombe 1998, method 10
        ((1, 1, 7, 12), -0.507, -0.026),  # Fagerland, Lydersen and Laake 2014 on Bentur 2009: correlation folded to 0
        ((30, 0, 0, 0), -0.1135, 0.1135),  # no spread: one Wilson half on either side
    ],
)
def test_newcombe_known_values(table: tuple[int, int, int, int], low: float, high: float) -> None:
    both, first, second, neither = table
    found = newcombe(Discordant(both=both, first=first, second=second, neither=neither))
    assert [found.low, found.high] == pytest.approx([low, high], abs=5e-4)


def test_newcombe_holds_the_difference_and_turns_round() -> None:
    for a, b, c, d in itertools.product((0, 1, 7, 40), repeat=4):
        table = Discordant(both=a, first=b, second=c, neither=d)
        found = newcombe(table)
        assert -1.0 <= found.low <= table.difference + 1e-12 and table.difference - 1e-12 <= found.high <= 1.0
        other = newcombe(Discordant(both=a, first=c, second=b, neither=d))
        assert [found.low, found.high] == pytest.approx([-other.high, -other.low])


def test_pairs_counts() -> None:
    table = pairs([True, True, False, False, True], [True, False, True, False, False])
    assert (table.both, table.first, table.second, table.neither) == (1, 2, 1, 1)
    assert table.n == 5 and table.difference == pytest.approx(0.2)
    with pytest.raises(ValueError, match="shorter"):
        pairs([True], [])
    assert pairs([], []).difference == 0.0


def test_clusters_widen_the_interval() -> None:
    chance = random.Random(1)
    blocks = [chance.random() < 0.6 for _ in range(20)]
    first = [right for right in blocks for _ in range(10)]
    second = [False] * len(first)
    alone = clustered(first, second, list(range(len(first))))
    together = clustered(first, second, [i // 10 for i in range(len(first))])
    assert together.high - together.low > 2 * (alone.high - alone.low)
    difference = sum(first) / len(first)
    assert together.low < difference < together.high
    assert clustered(first, second, [i // 10 for i in range(len(first))]) == together
    assert (clustered([], [], []).low, clustered([], [], []).high) == (-1.0, 1.0)


def test_holm_known_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0] and holm([]) == []
    values = [0.001, 0.2, 0.03, 0.04, 0.5]
    assert all(p <= adjusted <= 1.0 for p, adjusted in zip(values, holm(values), strict=True))


def test_exact_binomial() -> None:
    assert exact_binomial(9, 10, 0.5) == pytest.approx(0.02148, abs=1e-5)
    assert exact_binomial(0, 0, 0.25) == 1.0
    assert exact_binomial(25, 100, 0.25) == pytest.approx(1.0)
