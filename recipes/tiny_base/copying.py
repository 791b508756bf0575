"""Random sequences with a repeated stretch: from these the tiny base learns to copy, before it reads anything.

Alphabets are small and large on purpose. A large one alone teaches to match one token and take its successor, which
fails on numbers and lists; with 8 symbols the model has to match longer contexts. Every id of the vocabulary is
drawn, so that no embedding is left as it was initialised.
"""

from __future__ import annotations

import random

Row = tuple[list[int], list[int]]
"""Token ids, and the positions among them that are predictable: a loss is taken there only."""


def copy_row(rng: random.Random, vocabulary: int, length: int) -> Row:
    """One row of `length` ids below `vocabulary`: noise, stretches, and the stretches again in any order."""
    size = rng.choice((8, 12, 16, 32, 64, 128, 200, vocabulary))
    alphabet = range(vocabulary) if size == vocabulary else rng.sample(range(vocabulary), size)
    noise = rng.choices(range(vocabulary), k=2 * length)
    stretches = [rng.choices(alphabet, k=rng.randint(6, max(8, length // 4))) for _ in range(rng.randint(1, 3))]
    ids: list[int] = noise[: rng.randint(1, 12)]
    for stretch in stretches:
        ids += stretch + noise[len(ids) : len(ids) + rng.randint(1, rng.choice((4, 30)))]
    marked: list[int] = []
    sure = 1 if size >= 64 else 3  # tokens of context before the next one is certain
    while len(ids) < length:
        stretch = rng.choice(stretches)
        start = rng.randint(0, max(0, len(stretch) - sure - 3))
        again = stretch[start : start + max(sure + 2, rng.randint(1, len(stretch)))]
        marked += range(len(ids) + sure, len(ids) + len(again))
        ids += again + rng.choices(alphabet, k=rng.randint(1, rng.choice((3, 20))))
    return ids[:length], [place for place in marked if place < length]
