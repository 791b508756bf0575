"""What can be guessed without the manual is left out: the frequent value, the neighbour's value, the value told."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from exam_parts import draft

from distill.drafts import Draft
from distill.guessable import among, folds, guessed, hard, neighbours

CELLS = ("test", "dev", "train0", "train1", "train2", "train3")
ALLOWED = 0.08


def many(golds: Sequence[str], names: Sequence[str] | None = None, seed: int = 0) -> list[Draft]:
    """One draft a gold in random order over six cells, with random letters for names where none are given."""
    rng = random.Random(seed)
    names = names or ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in golds]
    rows = list(zip(golds, names, strict=True))
    rng.shuffle(rows)
    return [draft(n, gold, entities=(name,), cell=CELLS[n % 6]) for n, (gold, name) in enumerate(rows)]


def rates(drafts: Sequence[Draft]) -> dict[str, float]:
    """Rule -> share of the drafts that it gets right."""
    return {
        rule: float(hits.mean())
        for rule, hits in guessed(drafts, among(neighbours(drafts), np.arange(len(drafts)))).items()
    }


def kept(drafts: Sequence[Draft], allowed: float = ALLOWED) -> list[Draft]:
    return hard(drafts, allowed, random.Random(7))


def test_the_frequent_value_comes_down_to_the_allowed_rate() -> None:
    drafts = many(["off"] * 90 + [str(n) for n in range(210)])
    assert rates(drafts)["majority"] == pytest.approx(0.3)
    left = kept(drafts)
    assert rates(left)["majority"] <= ALLOWED
    golds = Counter(item.gold for item in left)
    assert golds["off"] >= 5, "it still may be asked"
    assert sum(golds.values()) - golds["off"] >= 200, "what cannot be guessed stays"


def test_the_neighbours_value_comes_down_to_the_allowed_rate() -> None:
    """Settings of one name in several cells have one value, and no value is frequent."""
    rng = random.Random(3)
    stems = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=9)) for _ in range(40)]
    golds = [str(1000 + n // 6) for n in range(240)]
    drafts = many(golds, [f"{stems[n // 6]}_{n % 6}" for n in range(240)])
    assert rates(drafts)["nearest"] > 0.7
    left = kept(drafts)
    assert rates(left)["nearest"] <= ALLOWED
    assert len(left) >= 25, "about one of each name"


def test_the_value_told_comes_down_to_the_allowed_rate() -> None:
    drafts = many([str(n) for n in range(200)])
    drafts = [draft(n, str(n), told=(str(n),) if n % 4 == 0 else ("x",), cell=CELLS[n % 5]) for n in range(200)]
    assert rates(drafts)["told"] == pytest.approx(0.25)
    left = kept(drafts)
    assert rates(left)["told"] <= ALLOWED
    assert sum(not item.answered for item in left) == 150


def test_the_frequent_value_is_that_of_the_attribute() -> None:
    """A value that is frequent of one attribute alone is left out there."""
    drafts = many(["60s"] * 60 + [f"{n}k" for n in range(140)])
    drafts = [
        draft(n, item.gold, attribute="timeout" if item.gold == "60s" else "size", entities=item.entities,
              cell=item.cell)
        for n, item in enumerate(drafts)
    ]  # fmt: skip
    assert rates(drafts)["majority"] >= 0.3
    assert rates(kept(drafts))["majority"] <= ALLOWED


def test_a_binary_attribute_nearly_vanishes() -> None:
    """By the opposite of the majority nothing of it may be told either."""
    assert len(kept(many(["on", "off"] * 100))) < 10
    assert len(kept(many(["on"] * 150 + ["off"] * 50))) < 10
    assert len(kept(many(["on", "off", "auto"] * 80))) < 10


def test_where_nothing_can_be_guessed_everything_stays() -> None:
    drafts = many([str(n) for n in range(120)])
    assert kept(drafts) == drafts


def test_the_order_stays() -> None:
    drafts = many(["off"] * 90 + [str(n) for n in range(110)])
    left = kept(drafts)
    assert len(left) < len(drafts)
    places = [drafts.index(item) for item in left]
    assert places == sorted(places)


def test_a_rule_may_be_right_as_often_as_allowed() -> None:
    drafts = many(["off"] * 90 + [str(n) for n in range(110)])
    assert kept(drafts, allowed=1.0) == drafts
    assert len(kept(drafts, allowed=0.3)) > len(kept(drafts, allowed=0.05))
    assert kept(drafts, allowed=0.0)


def test_same_random_numbers_same_drafts() -> None:
    drafts = many(["off"] * 90 + [str(n) for n in range(110)])
    assert kept(drafts) == kept(drafts)


@pytest.mark.parametrize("count", [0, 1, 9])
def test_of_few_drafts_nothing_can_be_said(count: int) -> None:
    drafts = many(["off"] * count)
    assert kept(drafts) == drafts


def test_rules_see_the_other_cells_alone() -> None:
    """A value that is frequent in one cell is no guess there; one cell alone is guessed from nothing."""
    drafts = [draft(n, "off", cell="test") for n in range(5)] + [draft(9 + n, str(n), cell="dev") for n in range(5)]
    hits = guessed(drafts, among(neighbours(drafts), np.arange(len(drafts))))
    assert not hits["majority"].any()
    assert not hits["nearest"].any()
    alone = [draft(n, "off", cell="test") for n in range(5)]
    assert not any(found.any() for found in guessed(alone, among(neighbours(alone), np.arange(len(alone)))).values())


def test_ties_share_the_chance() -> None:
    drafts = [draft(0, "a", cell="test"), *(draft(1 + n, gold, cell="dev") for n, gold in enumerate("aabb"))]
    assert guessed(drafts, among(neighbours(drafts), np.arange(len(drafts))))["majority"][0] == 0.5


def test_cells_are_numbered_as_they_come() -> None:
    assert folds(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
    assert isinstance(folds([]), np.ndarray)
