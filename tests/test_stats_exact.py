"""Statistics by hand: what each number must be on data small enough to work out on paper."""

from __future__ import annotations

import math

import pytest

from evals.stats import (
    FLIPS,
    Discordant,
    against_chances,
    clustered,
    exchanged,
    holm,
    newcombe,
    pairs,
    sign_flip,
    wilson,
)


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


def test_wilson_takes_parts_of_tasks() -> None:
    found = wilson(2.5, 7.25)
    assert (found.low, found.high) == pytest.approx(wilson_by_formula(2.5, 7.25, 1.959964), abs=1e-6)
    assert (wilson(0.0, 0.5).low, wilson(0.5, 0.5).high) == (0.0, 1.0)


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


def test_chances_make_a_table_of_expected_counts() -> None:
    table = pairs([1.0, 0.0, 1.0], [0.25, 0.5, 1.0])
    assert (table.both, table.first, table.second, table.neither) == pytest.approx((1.25, 0.75, 0.5, 0.5))
    assert table.n == pytest.approx(3) and table.difference == pytest.approx(0.25 / 3)


def test_a_table_of_other_size_keeps_its_shares() -> None:
    table = Discordant(both=1, first=2, second=3, neither=4).scaled(0.5)
    assert (table.both, table.first, table.second, table.neither) == (0.5, 1.0, 1.5, 2.0)


def worth(first: list[bool], groups: list[tuple[str, ...]], tasks: float) -> None:
    """Claim that the interval is Newcombe's of so many independent tasks; the other player is always wrong."""
    table = pairs(first, [False] * len(first))
    expected = newcombe(table.scaled(tasks / len(first)))
    found = clustered(first, [False] * len(first), groups)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-4)


Z, T1, T2, T3 = 1.959964, 12.706205, 4.302653, 3.182446
"""The 97.5 % quantiles of the normal distribution, and of t with 1, 2 and 3 degrees of freedom."""


def test_tasks_of_a_group_that_win_and_lose_together_are_worth_fewer() -> None:
    """Differences less their mean: 1/2 each in a, -1/2 each in b.

    Their squares sum to 1, those of the groups' sums to 2, times 2 / (2 - 1) groups: a design effect of 4.
    """
    worth([True, True, False, False], [("a",), ("a",), ("b",), ("b",)], 4 / 4 * (Z / T1) ** 2)


def test_tasks_of_their_own_are_worth_themselves_but_for_the_degrees_of_freedom() -> None:
    """Four groups of one: 1, times 4 / 3 groups: a design effect of 4 / 3."""
    worth([True, True, False, False], [("a",), ("b",), ("c",), ("d",)], 4 / (4 / 3) * (Z / T3) ** 2)


def test_a_design_effect_is_never_below_one() -> None:
    """Each group wins one and loses one: its sum is 0."""
    worth([True, False] * 2, [("a",), ("a",), ("b",), ("b",)], 4 * (Z / T1) ** 2)


def test_a_task_of_two_groups_is_correlated_with_both() -> None:
    """Of 1/2, 1/2, -1/2, -1/2 the second is with the first in a and with the third in b, the fourth alone in c.

    Sum of all products of tasks that share a group: 4 squares of 1/4, 2 of the first pair, -2 of the second: 1; times
    3 / 2 groups.
    """
    worth([True, True, False, False], [("a",), ("a", "b"), ("b",), ("c",)], 4 / 1.5 * (Z / T2) ** 2)


def test_where_all_differences_are_the_same_tasks_of_a_group_are_taken_as_one() -> None:
    """Three tasks in a share it with 3 each, the one in b with itself: 10 / 4 on the average."""
    worth([True] * 4, [("a",), ("a",), ("a",), ("b",)], 4 / 2.5 * (Z / T1) ** 2)


def test_of_one_group_nothing_is_known() -> None:
    found = clustered([True, False], [False, False], [("a",), ("a",)])
    assert (found.low, found.high) == (-1.0, 1.0)


def test_lists_of_unlike_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        clustered([True, False], [True], [("a",), ("b",)])
    with pytest.raises(ValueError, match="shorter"):
        against_chances([1.0, 0.0], [0.5])
    with pytest.raises(ValueError, match="shorter"):
        exchanged([1.0, 0.0], [0.5])


def test_exchanged_players_by_hand() -> None:
    """One task that only the player gets right, one at a chance of 1/4 that is right too: 1 + 3/4 = 7/4.

    The first goes either way, the second is 3/4 with probability 1/4, else -1/4: as far out are 7/4 (1/8) and no other;
    -5/4 (3/8) is not.
    """
    assert exchanged([1.0, 1.0], [0.0, 0.25]) == pytest.approx(1 / 8)
    # wrong at 1/4 beside it: 3/4; as far out are 3/4 (3/8), 7/4 (1/8) and -5/4 (3/8)
    assert exchanged([1.0, 0.0], [0.0, 0.25]) == pytest.approx(7 / 8)
    # only the other one gets the first right: -1 - 1/4
    assert exchanged([0.0, 0.0], [1.0, 0.25]) == pytest.approx(1 / 2)
    assert exchanged([1.0], [1.0]) == exchanged([0.0], [0.0]) == 1.0


def test_a_player_is_tested_by_the_more_careful_of_two_tests() -> None:
    for right, chances in (([1.0] * 6, [0.25] * 6), ([0.0] * 40, [0.01] * 40)):
        differences = [a - b for a, b in zip(right, chances, strict=True)]
        both = exchanged(right, chances), sign_flip(differences)
        assert against_chances(right, chances) == max(both) and both[0] != pytest.approx(both[1])


def test_flipping_signs_by_hand() -> None:
    # sums of |1|, |1|, |1/2|: 2.5 2.5-1=1.5 0.5 ...; as far out as 1.5 are +-2.5 and +-1.5 of the eight
    assert sign_flip([1.0, 1.0, -0.5]) == pytest.approx(4 / 8)
    assert sign_flip([1.0, -1.0]) == 1.0
    assert sign_flip([0.25]) == 1.0
    assert sign_flip([1 / 3, 1 / 3, 1 / 3]) == pytest.approx(2 / 8)


def test_drawn_signs_count_the_observed_ones_and_follow_the_seed() -> None:
    """25 sizes that are no multiples of one another: nothing drawn comes near to all of one sign."""
    sizes = [math.sqrt(at + 2) for at in range(25)]
    assert sign_flip(sizes) == pytest.approx(1 / (FLIPS + 1))
    mixed = [size if at % 3 else -size for at, size in enumerate(sizes)]
    first = sign_flip(mixed)
    assert first == sign_flip(mixed, seed=0) != sign_flip(mixed, seed=1)
    assert 0.05 < first < 0.3


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
