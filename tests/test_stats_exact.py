"""Statistics by hand: what each number must be on data small enough to work out on paper."""

from __future__ import annotations

import math

import pytest

from evals.stats import Discordant, clustered, exact_binomial, holm, newcombe, pairs, wilson


def wilson_by_formula(right: int, n: int, z: float) -> tuple[float, float]:
    """Wilson's score interval from its textbook formula, for a normal quantile z."""
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half


@pytest.mark.parametrize(("confidence", "z"), [(0.95, 1.959964), (0.80, 1.281552), (0.99, 2.575829)])
def test_wilson_follows_the_confidence_asked_for(confidence: float, z: float) -> None:
    found = wilson(7, 20, confidence)
    assert (found.low, found.high) == pytest.approx(wilson_by_formula(7, 20, z), abs=1e-6)


def test_wilson_stays_within_0_and_1_even_where_rounding_would_leave_it() -> None:
    for n in range(1, 200):
        assert wilson(0, n).low == 0.0
        assert wilson(n, n).high == 1.0


def test_a_chance_of_being_right_is_tested_on_both_sides() -> None:
    # 0 of 4 at chance 1/2: both tails, 1/16 each
    assert exact_binomial(0, 4, 0.5) == pytest.approx(2 / 16)
    # 2 of 2 at chance 1/4: 1/16, and no outcome of the other side is as unlikely
    assert exact_binomial(2, 2, 0.25) == pytest.approx(1 / 16)


def test_every_cell_of_the_two_by_two_table_is_counted_apart() -> None:
    cells = [(True, True)] * 1 + [(True, False)] * 2 + [(False, True)] * 3 + [(False, False)] * 5
    table = pairs([a for a, _ in cells], [b for _, b in cells])
    assert (table.both, table.first, table.second, table.neither) == (1, 2, 3, 5)
    assert table.n == 11
    assert table.difference == pytest.approx(-1 / 11)


@pytest.mark.parametrize(
    ("table", "phi"),
    [
        ((20, 5, 5, 20), (20 * 20 - 5 * 5 - 25) / (25 * 25)),  # positive: half of n is taken off
        ((5, 20, 20, 5), (5 * 5 - 20 * 20) / (25 * 25)),  # negative: as it is
        ((6, 6, 5, 6), 0.0),  # positive, but less than half of n: none
        ((4, 4, 4, 4), 0.0),  # independent
        ((0, 0, 3, 7), 0.0),  # one player was never right: no correlation to speak of
    ],
)
def test_newcombe_uses_the_corrected_correlation(table: tuple[int, int, int, int], phi: float) -> None:
    """Method 10 written out for a known phi: the interval tells which correlation went into it."""
    both, first, second, neither = table
    n = sum(table)
    one, two = (both + first) / n, (both + second) / n
    low1, high1 = wilson_by_formula(both + first, n, 1.959964)
    low2, high2 = wilson_by_formula(both + second, n, 1.959964)
    below = (one - low1) ** 2 - 2 * phi * (one - low1) * (high2 - two) + (high2 - two) ** 2
    above = (high1 - one) ** 2 - 2 * phi * (high1 - one) * (two - low2) + (two - low2) ** 2
    found = newcombe(Discordant(both=both, first=first, second=second, neither=neither))
    assert found.low == pytest.approx(one - two - math.sqrt(below), abs=1e-5)
    assert found.high == pytest.approx(one - two + math.sqrt(above), abs=1e-5)


def test_the_interval_of_a_difference_stays_within_minus_1_and_1() -> None:
    for n in (1, 2, 3, 10, 100):
        assert newcombe(Discordant(both=0, first=n, second=0, neither=0)).low >= -1.0
        assert newcombe(Discordant(both=0, first=n, second=0, neither=0)).high == 1.0
        assert newcombe(Discordant(both=0, first=0, second=n, neither=0)).low == -1.0
    assert (newcombe(pairs([], [])).low, newcombe(pairs([], [])).high) == (-1.0, 1.0)


def test_resampling_one_group_gives_the_difference_itself() -> None:
    found = clustered([True, True, False, False], [False, True, True, False], ["a"] * 4)
    assert found.low == found.high == 0.0
    found = clustered([True, True, True, False], [False, True, False, False], ["a"] * 4)
    assert found.low == found.high == pytest.approx(0.5)


def test_resampling_draws_every_group_and_both_players() -> None:
    """Two groups, one won and one lost whole: one in four draws takes the same group twice."""
    found = clustered([True, False], [False, True], ["won", "lost"])
    assert (found.low, found.high) == (-1.0, 1.0)


def test_the_resampled_interval_is_as_wide_as_the_normal_one() -> None:
    """1000 groups of one task, 60 % won and the rest even: the mean is 0.6, its standard error sqrt(0.24 / 1000)."""
    first = [i % 5 < 3 for i in range(1000)]
    found = clustered(first, [False] * 1000, list(range(1000)))
    half = 1.959964 * math.sqrt(0.24 / 1000)
    assert (found.low, found.high) == pytest.approx((0.6 - half, 0.6 + half), abs=0.0013)


def test_the_seed_decides_the_draws() -> None:
    first = [i % 3 == 0 for i in range(200)]
    groups = [math.isqrt(i) for i in range(200)]  # of unlike size, so that the draws give many different shares

    def interval(seed: int) -> tuple[float, float]:
        found = clustered(first, [not right for right in first], groups, seed)
        return found.low, found.high

    assert len({interval(seed) for seed in range(8)}) > 1
    assert interval(3) == interval(3)
    unnamed = clustered(first, [not right for right in first], groups)
    assert (unnamed.low, unnamed.high) == interval(0)


def test_lists_of_unlike_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        clustered([True, False], [True], ["a", "b"])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        clustered([True, False], [True, False], ["a"])


@pytest.mark.parametrize(
    ("values", "adjusted"),
    [
        ([0.01], [0.01]),
        ([0.01, 0.02], [0.02, 0.02]),
        ([0.02, 0.01], [0.02, 0.02]),
        ([0.001, 0.01, 0.04], [0.003, 0.02, 0.04]),
        ([0.04, 0.03, 0.02], [0.06, 0.06, 0.06]),  # never below one that was smaller before
        ([0.5, 0.001, 0.9], [1.0, 0.003, 1.0]),
    ],
)
def test_holm_multiplies_the_smallest_by_all_and_the_next_by_one_less(
    values: list[float], adjusted: list[float]
) -> None:
    assert holm(values) == pytest.approx(adjusted)
