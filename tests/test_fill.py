"""Splits are filled with one mix of kinds, families in turn, no answer above the cap, and spare lists set aside."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from exam_parts import draft

from agents.task import Level
from distill.exam.association import Association
from distill.exam.choices import Dealt
from distill.exam.drafts import Draft
from distill.exam.fill import Filled, fill, in_turn, mixture, poured, size_of

LEVELS: dict[str, Level] = {
    "lookup": "engineer", "bridge": "professional", "pair": "professional", "example": "consultant",
    "call": "consultant",
}  # fmt: skip
SHARES: dict[Level, float] = {"engineer": 0.5, "professional": 0.3, "consultant": 0.2}
SIZES = {"train": 100, "test": 50}


def mixed(train: dict[str, int], test: dict[str, int], scarce: dict[str, float] | None = None) -> dict[str, float]:
    return mixture({"train": train, "test": test}, SIZES, LEVELS, SHARES, scarce or {})


def test_each_level_has_its_share_evenly_over_its_kinds() -> None:
    there = dict.fromkeys(LEVELS, 1000)
    assert mixed(there, there) == pytest.approx(
        {"lookup": 0.5, "bridge": 0.15, "pair": 0.15, "example": 0.1, "call": 0.1}
    )


def test_the_scarcest_split_says_how_much_of_a_kind_there_is() -> None:
    mix = mixed(dict.fromkeys(LEVELS, 1000), dict.fromkeys(LEVELS, 1000) | {"bridge": 1})
    assert mix == pytest.approx({"lookup": 0.5, "bridge": 0.02, "pair": 0.28, "example": 0.1, "call": 0.1})


def test_what_a_level_lacks_goes_to_the_next_one() -> None:
    there = {"lookup": 1000, "pair": 1000}
    assert mixed(there, there) == pytest.approx({"lookup": 0.5, "pair": 0.5})
    assert mixed({"lookup": 1000}, {"lookup": 1000}) == pytest.approx({"lookup": 1.0})


def test_what_the_last_level_lacks_is_shared_by_the_others() -> None:
    there = dict.fromkeys(LEVELS, 1000) | {"lookup": 0}
    mix = mixed(there, there)
    assert sum(mix.values()) == pytest.approx(1.0)
    assert "lookup" not in mix
    assert mix["bridge"] / mix["call"] == pytest.approx(1.5)


def test_a_scarce_kind_has_a_share_of_its_level_at_the_most() -> None:
    there = dict.fromkeys(LEVELS, 1000)
    mix = mixed(there, there, {"example": 0.1})
    assert (mix["example"], mix["call"]) == pytest.approx((0.02, 0.18))


def test_a_split_of_size_nought_has_no_say_and_nothing_gives_nothing() -> None:
    there = dict.fromkeys(LEVELS, 1000)
    full = mixture({"train": {}, "test": there}, {"train": 0, "test": 50}, LEVELS, SHARES, {})
    assert full == pytest.approx(mixed(there, there))
    assert mixed({}, {}) == {}


@pytest.mark.parametrize(
    ("caps", "amount", "found"),
    [
        ({"a": 1.0, "b": 1.0}, 1.0, {"a": 0.5, "b": 0.5}),
        ({"a": 0.1, "b": 1.0}, 1.0, {"a": 0.1, "b": 0.9}),
        ({"a": 0.1, "b": 0.2}, 1.0, {"a": 0.1, "b": 0.2}),
        ({"a": 0.0, "b": 1.0}, 0.5, {"a": 0.0, "b": 0.5}),
        ({"a": 0.1, "b": 0.3, "c": 1.0}, 0.9, {"a": 0.1, "b": 0.3, "c": 0.5}),
        ({}, 1.0, {}),
    ],
)
def test_poured(caps: dict[str, float], amount: float, found: dict[str, float]) -> None:
    assert poured(caps, amount) == pytest.approx(found)


def test_the_size_is_what_the_mix_can_fill() -> None:
    mix = {"lookup": 0.75, "pair": 0.25}
    assert size_of({"lookup": 1000, "pair": 1000}, mix, 40) == 40
    assert size_of({"lookup": 1000, "pair": 5}, mix, 40) == 20
    assert size_of({"lookup": 10}, mix, 40) == 0
    assert size_of({}, {}, 40) == 40


def of_family(name: str, count: int, first: int) -> list[Draft]:
    return [draft(first + n, f"{first + n}", provenance=(("family", name),)) for n in range(count)]


def test_families_come_in_turn_by_the_root_of_their_number() -> None:
    large, small = of_family("large", 100, 0), of_family("small", 4, 500)
    order = in_turn([*large, *small], lambda one: one)
    assert sorted(one.gold for one in order) == sorted(one.gold for one in [*large, *small])
    first = Counter(one.provenance[0][1] for one in order[:12])
    assert first == {"large": 10, "small": 2}, "10 : 2 is the root of 100 : 4"
    assert [one for one in order if one in small] == small, "within a family the order stays"
    assert in_turn([], lambda one: one) == []


def drafts_of(golds: list[str], **changes: object) -> list[Draft]:
    return [
        draft(n, gold, question=f"Question {chr(97 + n % 26)}?{' ' * n}", **changes) for n, gold in enumerate(golds)
    ]


def filled(drafts: list[Draft], count: int, cap: float = 1.0) -> Filled:
    return fill("lookup", drafts, count, cap, Association([]), random.Random(0))


def every(part: Filled) -> list[Draft]:
    return [one for ring in part.dealt for one in ring.drafts] + part.single


def test_fill_takes_so_many_each_once_and_sets_lists_aside() -> None:
    drafts = drafts_of([str(100 + n) for n in range(40)])
    part = filled(drafts, 18)
    assert part.count() == len({one.question for one in every(part)}) == 18
    assert (len(part.dealt), len(part.single)) == (4, 2)
    aside = {one.question for ring in part.spare for one in ring.drafts}
    assert not aside & {one.question for one in every(part)}
    assert len(aside) == 4 * len(part.spare) > 0


def test_fill_takes_all_where_there_are_too_few() -> None:
    drafts = drafts_of([str(100 + n) for n in range(6)])
    part = filled(drafts, 18)
    assert (len(part.dealt), len(part.single), part.spare) == (1, 2, [])
    assert filled(drafts, 0).count() == 0
    assert filled([], 5).count() == 0


def test_no_answer_is_more_often_right_than_the_cap() -> None:
    drafts = drafts_of(["7"] * 30 + [str(100 + n) for n in range(40)])
    part = filled(drafts, 40, cap=0.1)
    assert part.count() == 40
    assert Counter(one.key for one in every(part))["7"] <= 4
    assert filled(drafts_of(["7"] * 30), 20, cap=0.1).count() == 2


def test_a_tenth_may_tell_their_answer() -> None:
    telling = [draft(100 + n, str(500 + n), stated=(str(500 + n),), question=f"T{' ' * n}?") for n in range(30)]
    part = filled([*drafts_of([str(100 + n) for n in range(30)]), *telling], 40)
    assert sum(one.answered for one in every(part)) == 4
    assert all(not one.answered for ring in part.dealt for one in ring.drafts)


def ring(first: int, golds: str = "abcd") -> Dealt:
    return Dealt(tuple(draft(first + n, gold) for n, gold in enumerate(golds)), tuple(golds))


def test_a_bad_list_is_replaced_by_a_spare_one_or_loses_its_options() -> None:
    one, two, spare = ring(0), ring(10), ring(20)
    part = Filled("lookup", [one, two], [], [spare])
    assert part.replace([one]) == 0
    assert (part.dealt, part.single, part.spare) == ([spare, two], [], [])
    assert part.replace([two]) == 4
    assert (part.dealt, part.single) == ([spare], list(two.drafts))
    assert part.count() == 8


def test_a_spare_list_does_not_break_the_cap() -> None:
    drafts = drafts_of(["7"] * 10 + [str(100 + n) for n in range(60)])
    part = filled(drafts, 40, cap=0.1)
    assert any("7" in one.options for one in part.spare), "there is something to go wrong"
    part.replace([one for one in part.dealt if "7" not in one.options])
    assert part.count() == 40
    assert Counter(one.key for one in every(part))["7"] <= 4
