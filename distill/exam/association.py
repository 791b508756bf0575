"""How far the words of a question tell its answer, learnt from other questions: the cue that lists of options avoid.

Names carry values: everything called `..._timeout` defaults to 60s, everything of one module came in one release. The
pointwise mutual information of question words and answers, counted over the questions of other cells, says how much.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache

from .cues import overlap, word_set
from .drafts import Draft

SMOOTHING = 1.0
"""Questions' worth of doubt added to each word's counts."""
PART_WEIGHT = 0.5
"""What a part of a value (`27` of `1.27.4`) counts beside the whole."""
LOOKS_WEIGHT = 4.0
"""What a whole shared word counts beside a nat of association, where an option looks like its question."""


@lru_cache(maxsize=100_000)
def marks(key: str) -> tuple[str, ...]:
    """A value and its parts, as they are counted."""
    parts = word_set(key) - {key.lower()}
    return (f"={key}", *sorted(parts))


class Association:
    """Counts of question words and answers by cell."""

    def __init__(self, drafts: Iterable[Draft]) -> None:
        self._both: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        self._words: dict[str, Counter[str]] = defaultdict(Counter)
        self._marks: dict[str, Counter[str]] = defaultdict(Counter)
        self._size: Counter[str] = Counter()
        self._logs: dict[tuple[str, str, str], float] = {}
        self._scores: dict[tuple[str, str], float] = {}
        self._pairs: dict[tuple[str, str], float] = {}
        for draft in drafts:
            for cell in ("", draft.cell):
                self._size[cell] += 1
                for mark in marks(draft.key):
                    self._marks[cell][mark] += 1
                for word in word_set(draft.question):
                    self._words[cell][word] += 1
                    for mark in marks(draft.key):
                        self._both[cell][word, mark] += 1

    def score(self, draft: Draft, key: str) -> float:
        """How much the words of a question speak for an answer, in nats; its own cell is not counted."""
        known = self._scores.get((draft.question, key))
        if known is None:
            asked = sorted(word_set(draft.question))  # sums of floats depend on the order, and a set has none
            known = sum(
                (1.0 if mark.startswith("=") else PART_WEIGHT) * self._nats(draft.cell, word, mark)
                for mark in marks(key)
                for word in asked
            )
            self._scores[draft.question, key] = known
        return known

    def _nats(self, cell: str, word: str, mark: str) -> float:
        """The logarithm of how much more often a mark comes with a word than without, outside of a cell."""
        known = self._logs.get((cell, word, mark))
        if known is None:
            size = self._size[""] - self._size[cell]
            prior = (self._marks[""][mark] - self._marks[cell][mark] + SMOOTHING) / (size + 2 * SMOOTHING)
            seen = self._words[""][word] - self._words[cell][word]
            both = self._both[""][word, mark] - self._both[cell][word, mark]
            known = math.log((both + SMOOTHING * prior) / ((seen + SMOOTHING) * prior))
            self._logs[cell, word, mark] = known
        return known

    def telling(self, one: Draft, two: Draft) -> float:
        """How much more the two questions speak for their own golds than for each other's; 0 or less tells nothing."""
        known = self._pairs.get((one.question, two.question))
        if known is not None:
            return known
        own = self.score(one, one.key) + self.score(two, two.key)
        other = self.score(one, two.key) + self.score(two, one.key)
        looks = overlap(one.question, one.gold) + overlap(two.question, two.gold)
        looks -= overlap(one.question, two.gold) + overlap(two.question, one.gold)
        known = self._pairs[one.question, two.question] = own - other + LOOKS_WEIGHT * looks
        return known
