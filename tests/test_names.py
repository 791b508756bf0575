"""Names in texts: the same ones as one large pattern finds, the longest at a place, and soon found."""

from __future__ import annotations

import random
import re
import time
from itertools import pairwise

from distill.exam.names import Names

WORDS = ("north", "south", "isle", "of", "man", "new", "San", "x=", "[a]", "/b", "c++", "-d", "e.f", "é", "g-h")
SIGNS = (" ", " ", " ", ", ", "-", ".", "=", "\n", "_", "")


def made(rng: random.Random, most: int) -> str:
    """Words in a row."""
    return "".join(rng.choice(WORDS) + rng.choice(SIGNS) for _ in range(rng.randint(1, most))).strip(" ,\n=")


def by_pattern(names: list[str], text: str) -> list[tuple[int, int, str]]:
    """What one alternation over all names finds, the longest ones first."""
    longest = sorted(names, key=lambda name: (-len(name), name))
    pattern = "|".join(re.escape(name) + (r"(?![\w\-])" if re.search(r"[\w\-]$", name) else "") for name in longest)
    return [(*match.span(), match.group()) for match in re.finditer(rf"(?<![\w.\-])(?:{pattern})", text)]


def test_names_are_those_that_one_large_pattern_finds() -> None:
    rng = random.Random(0)
    met = 0
    for _ in range(2000):
        names = sorted({name for _ in range(8) if (name := made(rng, 3)) and not re.fullmatch(r"[\w$.\-]+", name)})
        text = made(rng, 40)
        if names:
            found = list(Names(names).spans(text))
            assert found == by_pattern(names, text), (names, text)
            met += len(found)
    assert met > 500


def test_the_longest_name_counts_alone() -> None:
    names = Names(["North Isle", "North Isle of Fog", "Isle", "Fog", "Isle-Fog"])
    assert names.within("the North Isle of Fog") == {"North Isle of Fog"}
    assert names.within("the North Isle of Fogs, an Isle") == {"North Isle", "Isle"}
    assert names.within("Fog on Isle-Fog.") == {"Fog", "Isle-Fog"}


def test_a_name_in_a_name_that_is_not_looked_for_is_no_mention() -> None:
    names = Names(["North Isle", "Isle"], beside=["North Isle of Fog", "Old Isle"])
    assert names.within("North Isle of Fog and the Old Isle") == set()
    assert names.within("North Isle, not North Isle of Fog") == {"North Isle"}


def test_what_follows_a_name_that_ends_in_a_sign_is_its_value() -> None:
    names = Names(["Where=", "Where", "g++"])
    assert names.within("Set Where=/home, or") == names.within("Where=home") == names.within("`Where=`") == {"Where="}
    assert names.within("Where g++11 is, NoWhere=1 is not") == {"Where", "g++"}


def test_thousands_of_names_cost_no_more_than_a_few() -> None:
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(2000)]
    text = " ".join(rng.choices(words, k=20_000))

    def seconds(count: int) -> float:
        names = Names(f"{one} {two}=" for one, two in pairwise(words[: count + 1]))
        start = time.process_time()
        names.within(text)
        return time.process_time() - start

    seconds(2)
    assert min(seconds(1999) for _ in range(3)) < 10 * min(seconds(2) for _ in range(3))
