"""Scenarios from facts alone: what a configuration leaves in force, and the first release that has two things."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from agents.answers import normalise
from agents.corpus.facts import Fact
from agents.task import Hop
from distill.exam.drafts import Draft
from distill.exam.evidence import Known
from distill.exam.scenarios import effective, in_force, is_release, releases, settable, version


def known(entity: str, value: str, attribute: str = "default", **more: Any) -> Known:
    """A fact with its evidence."""
    fact = Fact.model_validate({"entity": entity, "attribute": attribute, "value": value, "source": "p.md"} | more)
    hop = Hop(entity=entity, attribute=attribute, value=value, quote=value, chunk=f"{entity}#0", title=entity)
    return Known(fact=fact, label=entity, hop=hop)


def home(item: Known) -> str | None:
    """The module of a fact."""
    return item.fact.module


def drafts(rows: list[Known], seed: int = 0) -> list[Draft]:
    """Questions about what is in force."""
    return effective(rows, random.Random(seed), home)


def later(rows: list[Known], count: int = 10, seed: int = 0) -> list[Draft]:
    """Questions about two releases."""
    return releases(rows, random.Random(seed), home, count)


def test_the_last_setting_wins_and_what_is_not_set_keeps_its_default() -> None:
    defaults = {"a": "1", "b": "2"}
    assert in_force(defaults, [("a", "3"), ("a", "4")]) == {"a": "4", "b": "2"}
    assert in_force(defaults, []) == {"a": "1", "b": "2"} == defaults
    with pytest.raises(KeyError, match="c"):
        in_force(defaults, [("c", "3")])


def test_only_a_plain_short_value_can_be_set() -> None:
    def fits(value: str, attribute: str = "default") -> bool:
        return settable(known("a", value, attribute).fact)

    assert fits("60s") and fits("x" * 32)
    assert not fits("x" * 33) and not fits("two words") and not fits("60s", "default of `n`")


SETTINGS = [known(f"s{n}", f"{n + 5}") for n in range(40)]


def test_each_default_is_asked_for_once() -> None:
    found = drafts(SETTINGS)
    assert sorted(draft.hops[0].entity for draft in found) == sorted(item.fact.entity for item in SETTINGS)
    assert all((draft.kind, draft.level, draft.attribute) == ("effective", "consultant", "default") for draft in found)
    assert [draft.hops[0].entity for draft in found] != [item.fact.entity for item in SETTINGS]


def test_what_another_setting_leaves_alone_keeps_the_manuals_value() -> None:
    values = {item.fact.entity: item.fact.value for item in SETTINGS}
    alone = [draft for draft in drafts(SETTINGS) if "leaves" in draft.question]
    assert len(alone) > 30
    for draft in alone:
        asked, other = draft.entities
        assert draft.gold == values[asked] == draft.hops[0].value
        (told,) = draft.stated
        assert draft.question == (
            f"A configuration sets `{other}` to {told} and leaves `{asked}` unset. "
            f"Which value of `{asked}` is in force?"
        )
        assert told in values.values() and told != draft.gold
        assert asked != other and len(draft.hops) == 1
        assert draft.groups == (asked, other), "the other one must stand on the same side of the split"


def test_a_few_questions_ask_for_what_was_set_and_tell_it() -> None:
    many = [draft for seed in range(12) for draft in drafts(SETTINGS, seed)]
    told = [draft for draft in many if "leaves" not in draft.question]
    assert 0.08 < len(told) / len(many) < 0.22
    values = {item.fact.entity: item.fact.value for item in SETTINGS}
    for draft in told:
        (asked,) = draft.entities
        assert draft.gold == draft.stated[0] != values[asked] and draft.answered
        assert draft.question == (
            f"A configuration sets `{asked}` to {draft.gold}. Which value of `{asked}` is in force?"
        )


def test_values_stay_among_their_type() -> None:
    mixed = [known(f"n{n}", f"{n + 5}") for n in range(6)] + [known(f"d{n}", f"{n + 5}ms") for n in range(6)]
    for draft in drafts(mixed):
        assert all(told.endswith("ms") == draft.hops[0].entity.startswith("d") for told in draft.stated)
        assert len({name[0] for name in draft.entities}) == 1


def test_a_default_without_another_value_of_its_type_is_not_asked_for() -> None:
    assert drafts([known("a", "5"), known("b", "5")]) == []
    assert drafts([known("a", "5"), known("b", "'5'")]) == [], "one answer in two spellings is one value"
    assert drafts([known("a", "5", "kind"), known("b", "6", "kind")]) == [], "other attributes are not set"
    assert len(drafts([known("a", "5", "limit", family="default"), known("b", "6", "wait", family="default")])) == 2
    assert drafts([known("a", "5 apples"), known("b", "6 apples")]) == []


def test_the_same_seed_makes_the_same_scenarios() -> None:
    assert drafts(SETTINGS, 4) == drafts(SETTINGS, 4) != drafts(SETTINGS, 5)
    rows = [known(f"r{n}", f"1.{n}.0", "release") for n in range(12)]
    assert later(rows, seed=4) == later(rows, seed=4) != later(rows, seed=5)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("7.64.1", (7, 64, 1)),
        ("v1.20", (1, 20)),
        (" 1.2 ", (1, 2)),
        ("7", None),
        ("1.2b", None),
        ("1.2.", None),
        ("off", None),
        ("1.2 or later", None),
    ],
)
def test_a_version_is_numbers_with_dots(text: str, numbers: tuple[int, ...] | None) -> None:
    assert version(text) == numbers


def test_an_attribute_is_a_release_where_nineteen_of_twenty_values_are_versions() -> None:
    def facts(versions: int, others: int) -> list[Fact]:
        return [known("a", value).fact for value in ["1.2"] * versions + ["soon"] * others]

    assert is_release(facts(19, 1)) and is_release(facts(1, 0))
    assert not is_release(facts(18, 1)) and not is_release(facts(0, 1)) and not is_release([])


RELEASES = [known(f"r{n}", f"1.{n}.0", "added in version") for n in range(20)]


def test_the_release_that_has_both_is_the_later_one() -> None:
    found = later(RELEASES)
    assert len(found) == 10
    for draft in found:
        one, two = (version(hop.value) for hop in draft.hops)
        assert one is not None and two is not None and one != two
        assert version(draft.gold) == max(one, two)
        first, second = draft.entities
        assert draft.question == f"A setup uses `{first}` and `{second}`. Which is the lowest release that has both?"
        assert (draft.kind, draft.level, draft.groups) == ("release", "consultant", (first, second))
    later_first = Counter(version(d.hops[0].value) == version(d.gold) for d in later(RELEASES, 60))
    assert min(later_first[True], later_first[False]) > 15, "the later one stands first as often as second"


def test_versions_are_compared_as_numbers() -> None:
    rows = [known("old", "1.9.0", "release"), known("new", "1.10.0", "release")]
    assert {draft.gold for draft in later(rows)} == {"1.10.0"}


def test_as_many_release_questions_as_asked_for_and_no_more() -> None:
    assert len(later(RELEASES, 3)) == 3
    assert later(RELEASES, 0) == []


def test_questions_about_one_group_or_one_version_are_not_asked() -> None:
    same = [known(f"r{n}", "1.2.0", "release") for n in range(6)]
    assert later(same) == []
    family = [known(f"r{n}", f"1.{n}.0", "release", group="one") for n in range(6)]
    assert later(family) == []
    assert later([known(f"r{n}", f"word{n}", "release") for n in range(6)]) == []


def test_two_modules_releases_are_never_compared() -> None:
    rows = [known(f"{module}{n}", f"{n}.0", "release", module=module) for module in ("a", "b") for n in range(8)]
    found = later(rows, 30)
    assert len(found) == 30
    assert all(draft.modules in (("a", "a"), ("b", "b")) for draft in found)
    alone = [known("a", "1.2", "release", module="a"), known("b", "1.3", "release", module="b")]
    assert later(alone) == []


def test_a_value_that_is_no_version_among_versions_is_left_out() -> None:
    rows = [*(known(f"r{n}", f"1.{n}.0", "release") for n in range(20)), known("odd", "unreleased", "release")]
    found = later(rows, 60)
    assert found and not any("odd" in draft.entities for draft in found)


def test_attributes_are_asked_for_apart() -> None:
    rows = RELEASES[:6] + [known(f"x{n}", f"2.{n}.0", "removed in version") for n in range(6)]
    for draft in later(rows, 40):
        assert len({hop.attribute for hop in draft.hops}) == 1


def test_a_frequent_version_is_not_always_the_answer() -> None:
    """Of 40 things 32 came with one release: it stands in five of the pool at the most."""
    rows = [known(f"r{n}", "9.9" if n < 32 else f"1.{n}", "release") for n in range(40)]
    golds = Counter(draft.gold for draft in later(rows, 60))
    used = {name for draft in later(rows, 60) for name in draft.entities if normalise(draft.gold) == "9.9"}
    assert golds and len({name for name in used if int(name[1:]) < 32}) <= 5
