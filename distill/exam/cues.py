"""What can be seen of a question and its options without the manual: the features of the options-only probe."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache

from agents.corpus.tokens import words

from .drafts import value_type

_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_FORMS = (
    "version", "flag", "none", "integer", "decimal", "duration", "size", "quantity", "option", "quoted", "argument",
    "reference", "word", "name", "dotted", "path", "symbol", "list", "text",
)  # fmt: skip


@lru_cache(maxsize=100_000)
def word_set(text: str) -> frozenset[str]:
    """The search words of a text, those of two characters and more."""
    return frozenset(word for word in words(text) if len(word) > 1)


@lru_cache(maxsize=100_000)
def grams(text: str) -> frozenset[str]:
    """Runs of three characters, in lower case."""
    low = f" {text.lower()} "
    return frozenset(low[i : i + 3] for i in range(len(low) - 2))


def overlap(question: str, option: str) -> float:
    """Share of an option's words, and of its runs of characters, that stand in the question; 0 to 2."""
    shared = word_set(option) & word_set(question)
    runs = grams(option)
    return len(shared) / max(1, len(word_set(option))) + len(runs & grams(question)) / max(1, len(runs))


def likeness(one: str, two: str) -> float:
    """Jaccard similarity of two texts' runs of three characters."""
    a, b = grams(one), grams(two)
    return len(a & b) / max(1, len(a | b))


def magnitude(value: str) -> float:
    """The order of magnitude of the first number in a value, 0 where there is none."""
    found = _DIGITS.search(value)
    return math.log10(1 + float(found.group())) if found else 0.0


def roundness(value: str) -> int:
    """Zeros at the end of the first number in a value."""
    found = _DIGITS.search(value)
    return len(found.group()) - len(found.group().rstrip("0")) if found else 0


def rank(values: Sequence[float], at: int) -> float:
    """Where a value stands among all, 0 for the smallest to 1 for the largest; ties in the middle."""
    below = sum(value < values[at] for value in values)
    equal = sum(value == values[at] for value in values) - 1
    return (below + equal / 2) / max(1, len(values) - 1)


@lru_cache(maxsize=200_000)
def surface(question: str, options: tuple[str, ...], at: int) -> list[float]:
    """Features of option number `at`, of itself, beside the question, and beside the other options."""
    option, others = options[at], [one for i, one in enumerate(options) if i != at]
    lengths = [float(len(one)) for one in options]
    overlaps = [overlap(question, one) for one in options]
    company = [sum(likeness(one, two) for j, two in enumerate(options) if j != i) for i, one in enumerate(options)]
    sizes = [magnitude(one) for one in options]
    doubled = [_shared_parts(one, [two for j, two in enumerate(options) if j != i]) for i, one in enumerate(options)]
    form = value_type(option)
    halves = option.split(" and ")
    return [
        lengths[at], rank(lengths, at), lengths[at] - sum(lengths) / len(lengths),
        overlaps[at], rank(overlaps, at), float(option.lower() in question.lower()),
        company[at], rank(company, at), sizes[at], rank(sizes, at), float(roundness(option)),
        rank([float(roundness(one)) for one in options], at),
        doubled[at], rank(doubled, at), float(len(halves) == 2 and halves[0] == halves[1]),
        float(sum(value_type(one) == form for one in others)), float(_FORMS.index(form)),
        float(option.count(" ")), float(option.count(",")), float(option.count(".")), float(option.count("_")),
        float(sum(c.isdigit() for c in option)), float(sum(c.isupper() for c in option)),
        float(option[:1].isupper()), float(option.startswith("-")), float(at),
        float(len(question)), float(len(word_set(question))),
    ]  # fmt: skip


def _shared_parts(option: str, others: Sequence[str]) -> float:
    """How often the parts of an option (`a and b`, `a, b`) stand in the other options."""
    parts = [part for part in re.split(r" and |, ", option) if part]
    return float(sum(part in re.split(r" and |, ", other) for part in parts for other in others))


def crossed(question: str, option: str) -> list[str]:
    """Every word of the question beside the option, its words and its form: what an association can be learnt from."""
    asked = sorted(word_set(question))
    features = [f"={option.lower()}", f"~{value_type(option)}", *sorted(word_set(option))]
    return [*features, *(f"{a}|{b}" for a in asked for b in features)]
