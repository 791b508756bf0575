"""Intervals and tests against published or worked-out values, and what must hold for all data."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from evals.stats import (
    Discordant,
    against_chances,
    clustered,
    exchanged,
    holm,
    mcnemar,
    newcombe,
    pairs,
    sign_flip,
    wilson,
)


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
    expected = pairs([True, False], [0.25, 0.25])
    assert (expected.both, expected.first, expected.second, expected.neither) == (0.25, 0.75, 0.25, 0.75)


def blocks_of(size: int, n: int) -> list[tuple[int]]:
    """Groups of `size` tasks each."""
    return [(i // size,) for i in range(n)]


def width(first: list[bool], second: list[bool], groups: list[tuple[int, ...]]) -> float:
    """Width of the interval by groups."""
    found = clustered(first, second, groups)
    return found.high - found.low


def test_clusters_widen_the_interval() -> None:
    chance = random.Random(1)
    blocks = [chance.random() < 0.6 for _ in range(20)]
    first = [right for right in blocks for _ in range(10)]
    second = [False] * len(first)
    together = clustered(first, second, blocks_of(10, 200))
    assert together.high - together.low > 2 * width(first, second, blocks_of(1, 200))
    difference = sum(first) / len(first)
    assert together.low < difference < together.high
    assert clustered(first, second, blocks_of(10, 200)) == together
    assert (clustered([], [], []).low, clustered([], [], []).high) == (-1.0, 1.0)
    assert (clustered([True], [False], [("a",)]).low, clustered([True], [False], [("a",)]).high) == (-1.0, 1.0)


def test_tasks_on_their_own_have_newcombes_interval() -> None:
    chance = random.Random(2)
    first, second = ([chance.random() < share for _ in range(300)] for share in (0.8, 0.5))
    alone, plain = clustered(first, second, blocks_of(1, 300)), newcombe(pairs(first, second))
    assert [alone.low, alone.high] == pytest.approx([plain.low, plain.high], abs=0.003)
    assert alone.low <= plain.low and plain.high <= alone.high


def test_a_task_of_two_groups_is_tied_to_both() -> None:
    first = [True] * 6 + [False] * 6 + [True, False] * 3
    second = [False] * 18
    single = blocks_of(3, 18)
    double = [(*group, group[0] // 2 + 10) for group in single]  # right ones joined to right ones, wrong to wrong
    assert width(first, second, double) > width(first, second, single)
    joined = [(0, 1), (0,), (1,)] + [(i,) for i in range(2, 17)]
    assert width(first, second, joined) != width(first, second, [(i,) for i in range(18)])


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, False), (True, True), (False, True)])
def test_the_interval_by_groups_has_a_width_at_0_and_100_percent(first: bool, second: bool) -> None:
    mine, theirs = [first] * 40, [second] * 40
    for size in (1, 4, 10):
        found, plain = clustered(mine, theirs, blocks_of(size, 40)), newcombe(pairs(mine, theirs))
        assert found.low <= plain.low + 1e-9 and plain.high - 1e-9 <= found.high
        assert found.high - found.low > 0.08
    assert width(mine, theirs, blocks_of(10, 40)) > 2 * width(mine, theirs, blocks_of(1, 40))


def test_the_interval_by_groups_covers() -> None:
    chance = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        level = np.repeat(chance.beta(2, 1, 30), 5)
        mine = chance.random(150) < level
        theirs = chance.random(150) < 0.5
        found = clustered(list(mine), list(theirs), blocks_of(5, 150))
        held += found.low <= 2 / 3 - 0.5 <= found.high
    assert held >= 184  # 95 % of 200, less two standard errors


@pytest.mark.parametrize(("first", "second"), [(1, 9), (9, 1), (0, 0), (3, 3), (0, 5), (57, 24), (123, 0), (1, 0)])
def test_without_ties_all_tests_are_mcnemars(first: int, second: int) -> None:
    table = Discordant(both=40, first=first, second=second, neither=7)
    right = [1.0] * (40 + first) + [0.0] * (second + 7)
    chances = [1.0] * 40 + [0.0] * first + [1.0] * second + [0.0] * 7
    for test in (exchanged, against_chances):
        assert test(right, chances) == pytest.approx(mcnemar(table), rel=1e-9)
    assert sign_flip([a - b for a, b in zip(right, chances, strict=True)]) == pytest.approx(mcnemar(table), rel=1e-9)


def test_exchanging_known_values() -> None:
    # 2 of 2 at a chance of 1/2 is as far from 1 as 0 of 2: p = 1/2; of two sure tasks won besides, 2 more: 4 of -2..4
    assert exchanged([1.0, 1.0], [0.5, 0.5]) == pytest.approx(0.5)
    assert exchanged([1.0] * 4, [0.5, 0.5, 0.0, 0.0]) == pytest.approx(2 / 16)
    # a chance for each trial: 0 right of 1/4 and 1/3 expects 7/12; as far away or further are 0 and 2 right
    assert exchanged([0.0, 0.0], [1 / 4, 1 / 3]) == pytest.approx(3 / 4 * 2 / 3 + 1 / 4 * 1 / 3)
    assert exchanged([1.0] * 10, [0.25] * 10) == pytest.approx(0.25**10)
    assert exchanged([], []) == 1.0 == against_chances([], [])


def test_sign_flips_known_values() -> None:
    # |0.75 0.75 0.25|: the sum is 1.25 or more either way in 4 of 8 sign patterns
    assert sign_flip([0.75, 0.75, -0.25]) == pytest.approx(0.5)
    assert sign_flip([0.5] * 10) == pytest.approx(2 / 2**10)
    assert sign_flip([2 / 3] * 3 + [-1 / 3]) == pytest.approx(0.25)
    assert sign_flip([]) == 1.0 and sign_flip([0.0, 0.0]) == 1.0


def test_sign_flips_drawn_agree_with_the_exact_ones() -> None:
    chance = random.Random(4)
    few = [chance.choice([0.75, -0.25, 0.5, -0.5]) for _ in range(60)]
    many = [each * (1 + math.sqrt(at) / 500) for at, each in enumerate(few)]  # sixty sizes: too many values
    assert sign_flip(many) == sign_flip(many) == pytest.approx(sign_flip(few), abs=0.05)
    assert sign_flip([math.sqrt(at + 1) for at in range(60)]) == pytest.approx(1e-5, rel=0.1)


def test_no_spread_is_no_evidence() -> None:
    assert sign_flip([-0.01] * 40) < 1e-9
    assert against_chances([0.0] * 40, [0.01] * 40) > 0.6
    assert against_chances([0.0] * 20, [0.05] * 20) > 0.3
    assert against_chances([1.0] * 27 + [0.0] * 27, [0.25] * 54) < 0.001


@pytest.mark.parametrize(
    ("chances", "mine"),
    [([0.25] * 40, 0.25), ([0.25] * 180, 0.25), ([0.07] * 180, 0.07), ([0.01] * 40, 0.01), ([0.9, 0.1] * 45, 0.5)],
)
def test_a_player_as_good_as_the_baseline_seldom_differs_from_it(chances: list[float], mine: float) -> None:
    draws = np.random.default_rng(5)
    low = sum(
        against_chances(list((draws.random(len(chances)) < mine).astype(float)), chances) <= 0.05 for _ in range(300)
    )
    assert low <= 26, "in 5 % of the trials, and two and a half standard errors"


def test_holm_known_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0] and holm([]) == []
    values = [0.001, 0.2, 0.03, 0.04, 0.5]
    assert all(p <= adjusted <= 1.0 for p, adjusted in zip(values, holm(values), strict=True))
