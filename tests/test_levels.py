"""Questions of each kind from facts by hand: look-ups, two hops, squares, settings in force and releases."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest

from agents.answers import normalise
from agents.corpus.facts import Fact
from agents.task import Hop
from distill.exam.drafts import Draft, value_type
from distill.exam.evidence import Known
from distill.exam.levels import bridges, lookups, pair_question, pairs, thinned
from distill.exam.scenarios import effective, in_force, is_release, releases, version
from distill.exam.wording import wording


def known(entity: str, value: str, attribute: str = "default", **more: str) -> Known:
    fact = Fact(entity=entity, attribute=attribute, value=value, source="p.md", **more)  # type: ignore[arg-type]
    hop = Hop(entity=entity, attribute=attribute, value=value, quote=f"It: {value}", chunk="p#0", title="p")
    return Known(fact, entity, hop)


def no_module(item: Known) -> str | None:
    return item.fact.module


RNG = 4
FACTS = [known(f"opt_{n}", str(100 + 3 * n)) for n in range(12)]


def test_a_look_up_asks_one_fact() -> None:
    made = lookups(FACTS, random.Random(RNG), no_module)
    assert {(one.entities, one.gold) for one in made} == {((i.fact.entity,), i.fact.value) for i in FACTS}
    for one in made:
        assert f"`{one.entities[0]}`" in one.question
        assert one.question.endswith("?")
        assert (one.kind, one.level, one.group, one.attribute) == ("lookup", "engineer", one.entities[0], "default")


def test_a_look_up_with_own_words() -> None:
    made = lookups(FACTS[:1], random.Random(RNG), no_module, {"default": ["How much is {entity}?"]})
    assert [one.question for one in made] == ["How much is `opt_0`?"]


def test_a_bridge_asks_about_what_a_value_names() -> None:
    facts = [known("Child", "Base", "base class"), known("Base", "7", "default of `x`"), known("Child", "5")]
    made = bridges(facts, facts, random.Random(RNG), no_module)
    assert [(one.question, one.gold) for one in made] == [
        ("Take the base class of `Child`. What is the default value of its parameter `x`?", "7")
    ]
    assert made[0].groups == ("Child", "Base")
    assert [hop.entity for hop in made[0].hops] == ["Child", "Base"]
    assert (made[0].kind, made[0].level) == ("bridge", "professional")


def test_a_bridge_in_own_words_and_at_most_three_of_a_name() -> None:
    facts = [known("Child", "Base", "parent"), *(known("Base", str(n), f"size {n}") for n in range(5))]
    assert len(bridges(facts, facts, random.Random(RNG), no_module)) == 3
    own = {"parent": ["Whose child is {entity}?"], "size 0": ["How large is {entity}?"]}
    made = bridges(facts[:2], facts[:2], random.Random(RNG), no_module, own)
    words = wording("parent", own).clause.replace("{entity}", "`Child`"), wording("size 0", own).its
    assert [one.question for one in made] == [f"Take {words[0]}. {words[1]}"]
    plain = bridges(facts[:2], facts[:2], random.Random(RNG), no_module)
    assert made[0].question != plain[0].question


def test_there_is_no_bridge_to_a_name_of_two_or_to_oneself() -> None:
    two = [Known(known("Base", "7").fact, f"Base ({m})", known("Base", "7").hop) for m in "ab"]
    assert bridges([known("Child", "Base", "base class")], two, random.Random(RNG), no_module) == []
    assert bridges([known("Base", "Base", "base class")], two[:1], random.Random(RNG), no_module) == []


def test_pairs_come_in_squares() -> None:
    made = pairs(FACTS, random.Random(RNG), no_module, 40)
    assert len(made) >= 40
    squares: dict[str, list[Draft]] = defaultdict(list)
    for one in made:
        squares[one.block].append(one)
        assert one.gold == " and ".join(one.parts) == " and ".join(hop.value for hop in one.hops)
        assert len(one.groups) == 2
    for four in squares.values():
        golds = [one.gold for one in four]
        assert len(four) % 4 == 0
        assert set(golds) == set(four[0].square)
        left, right = Counter(one.parts[0] for one in four), Counter(one.parts[1] for one in four)
        assert len(left) == len(right) == 2
        assert set(left.values()) == set(right.values()) == {len(four) // 2}


def test_no_pairs_of_one_value_or_of_lists() -> None:
    assert pairs([known(f"o{n}", "7") for n in range(9)], random.Random(RNG), no_module, 40) == []
    assert pairs([known(f"o{n}", f"{n}, x") for n in range(9)], random.Random(RNG), no_module, 40) == []
    assert pairs([known(f"o{n}", f"{n} and x") for n in range(9)], random.Random(RNG), no_module, 40) == []
    assert pairs([known(f"o{n}", f"long{n}" * 9) for n in range(9)], random.Random(RNG), no_module, 40) == []
    assert pairs([known("one", str(n), f"a{n}") for n in range(9)], random.Random(RNG), no_module, 40) == [], (
        "one group"
    )


def test_pair_questions() -> None:
    assert pair_question(known("a", "1"), known("b", "2")) == "Compare `a` with `b`: what is the default of each?"
    one, two = known("f", "1", "default of `x`"), known("g", "2", "default of `y`")
    assert pair_question(one, two) == "Compare parameter `x` of `f` with `y` of `g`: what are the two default values?"


def test_pair_questions_in_own_words() -> None:
    one, two = known("a", "1", "size"), known("b", "2", "size")
    own = {"size": ["How large is {entity}?"]}
    assert pair_question(one, two, own) == f"Compare `a` with `b`: {wording('size', own).each}"
    assert pair_question(one, two, own) != pair_question(one, two)
    facts = [known(f"o{n}", str(n), "size") for n in range(8)]
    for words in (own, None):
        made = pairs(facts, random.Random(RNG), no_module, 8, words)
        assert {one.question.partition(": ")[2] for one in made} == {wording("size", words).each}
        assert {(one.kind, one.level) for one in made} == {("pair", "professional")}
    mixed = pair_question(known("f", "1", "default of `x`"), known("g", "2", "size"))
    assert mixed.startswith("Compare `f` with `g`: ")


def test_values_of_32_characters_and_families_of_two_values_have_pairs() -> None:
    assert pairs([known(f"o{n}", f"{n}{'x' * 31}") for n in range(8)], random.Random(RNG), no_module, 4)
    assert not pairs([known(f"o{n}", f"{n}{'x' * 32}") for n in range(8)], random.Random(RNG), no_module, 4)
    # Two values alone make squares whose four answers are all different: a a, a b, b a, b b.
    made = pairs([known(f"o{n}", str(n % 2)) for n in range(8)], random.Random(RNG), no_module, 4)
    assert {one.gold for one in made} == {"0 and 0", "0 and 1", "1 and 0", "1 and 1"} and len(made) == 4


def test_pairs_stop_at_the_count_and_go_through_all_families() -> None:
    rows = [known(f"o{n}", str(100 + n), ("depth", "size")[n % 2]) for n in range(24)]
    assert len(pairs(rows, random.Random(RNG), no_module, 8)) == 8
    every = pairs(rows, random.Random(RNG), no_module, 10_000)
    assert {one.attribute for one in every} == {"depth", "size"}
    assert len({one.block for one in every}) > len(rows), "several squares begin with each fact"


def test_a_frequent_value_is_thinned() -> None:
    rows = [known(f"o{n}", "off" if n % 2 else str(n)) for n in range(64)]
    kept = Counter(item.fact.value for item in thinned(rows, random.Random(RNG)))
    assert kept["off"] == 8
    assert kept.total() == 40
    assert len(thinned([known(f"o{n}", "off") for n in range(9)], random.Random(RNG))) == 2


def test_settings_apply_over_defaults() -> None:
    assert in_force({"a": "1", "b": "2"}, [("a", "3"), ("a", "4")]) == {"a": "4", "b": "2"}
    with pytest.raises(KeyError):
        in_force({"a": "1"}, [("c", "3")])


def test_what_is_in_force() -> None:
    facts = [known(f"opt_{n}", str(100 + n)) for n in range(100)]
    made = effective(facts, random.Random(RNG), no_module)
    assert len(made) == 100
    told = [one for one in made if one.answered]
    assert 3 <= len(told) <= 25
    values = {item.fact.entity: item.fact.value for item in facts}
    for one in made:
        name = one.entities[0]
        setting = one.question.removeprefix("A configuration sets `").partition("` to ")
        assert len(one.stated) == 1
        assert f" to {one.stated[0]}" in one.question
        if one.answered:
            assert setting[0] == name
            assert one.gold == one.stated[0] != values[name]
        else:
            assert f"leaves `{name}` unset" in one.question
            assert one.gold == values[name] != one.stated[0]
            assert set(one.groups) == {name, setting[0]}, "both are on one side of the split"
    assert effective([known("a", "1")], random.Random(RNG), no_module) == []
    assert effective([known(f"o{n}", f"{n} x") for n in range(9)], random.Random(RNG), no_module) == []


RELEASES = [
    known(f"opt_{n}", f"{1 + n % 3}.{n}.0", "added in version", module="m" if n < 10 else "n") for n in range(20)
]


def test_releases_are_the_later_one() -> None:
    made = releases(RELEASES, random.Random(RNG), no_module, 30)
    assert len(made) == 30
    for one in made:
        values = [hop.value for hop in one.hops]
        assert version(one.gold) == max(version(value) or () for value in values)
        assert len({normalise(value) for value in values}) == 2
        assert len(set(one.modules)) == 1, "modules may count their releases apart"
        assert one.question.count("`") == 4


def test_no_releases_where_values_are_no_versions() -> None:
    assert releases(FACTS, random.Random(RNG), no_module, 30) == []
    assert releases(RELEASES[:1], random.Random(RNG), no_module, 30) == []
    assert is_release([item.fact for item in RELEASES])
    assert not is_release([item.fact for item in [*RELEASES[:9], *FACTS]])
    assert not is_release([])


def test_versions() -> None:
    assert version("7.10.6") == version(" v7.10.6 ") == (7, 10, 6)
    assert version("off") is version("7") is version("7.x") is None


def test_forms_of_values() -> None:
    said = {"1.2.3": "version", "None": "none", "5s": "duration", "4k": "size", "17": "integer", "0.5": "decimal"}
    said |= {"-a": "option", "'x'": "quoted", "<file>": "argument", "off": "flag", "auto": "word", "a_b": "name"}
    said |= {"a.b": "dotted", "a, b": "list", "!x": "symbol", "/x/y": "path", "$x y": "reference", "5%": "quantity"}
    said |= {"two words here": "text", "30 seconds": "duration", "1m": "quantity", "8 MB": "size", "[]": "none"}
    assert {value: value_type(value) for value in said} == said
