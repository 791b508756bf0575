"""Invented names and values: what the reading drills of the tiny base are written with.

Names are put together from pieces of the tokenizer's own vocabulary, so that every piece has been read and copied by
the time a real manual arrives, and from nothing else: no manual, no module, no option name is listed here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

ENTITIES = ("dotted", "method", "snake", "camel", "dashed", "word", "dunder")
VALUES = (
    "plain",
    "plain",
    "small",
    "number",
    "unit",
    "version",
    "quoted",
    "angle",
    "list",
    "name",
    "words",
    "bracket",
    "path",
    "float",
)
"""Kinds of value; `plain` (None, False, 0 ...) stands twice because signatures are full of it."""


class Words:
    """Draws names and values, put together from `pieces`, the letters-only tokens of the vocabulary."""

    def __init__(self, rng: random.Random, pieces: Sequence[str]) -> None:
        self.rng = rng
        self.pieces = tuple(pieces)
        self.common = tuple(piece for piece in pieces if len(piece) > 2 and piece.islower())

    def word(self) -> str:
        """One lower-case word: a whole token, two or three pieces in a row, or syllables."""
        draw = self.rng.random()
        if draw < 0.45:
            return self.rng.choice(self.common)
        if draw < 0.85:
            return "".join(self.rng.choices(self.pieces, k=self.rng.choice((2, 2, 3)))).lower()[:14]
        return "".join(
            self.rng.choice("bcdfghjklmnprstvwxz") + self.rng.choice("aeiouy") for _ in range(self.rng.randint(1, 4))
        )

    def phrase(self, low: int, high: int) -> str:
        """`low` to `high` words with single spaces; mostly whole tokens, as prose is."""
        count = self.rng.randint(low, high)
        return " ".join(self.rng.choice(self.common) if self.rng.random() < 0.85 else self.word() for _ in range(count))

    def name(self) -> str:
        """A parameter's or part's name: a word, or a few in snake case, dashes or with a number."""
        draw = self.rng.random()
        if draw < 0.6:
            return self.word()
        if draw < 0.85:
            return f"{self.word()}_{self.word()}"
        if draw < 0.92:
            return f"{self.word()}{self.rng.randint(0, 99)}"
        return f"{self.word()}-{self.word()}"

    def entity(self, kind: str, stem: str) -> str:
        """The name of a thing that has a page; things of one family share the `stem`."""
        word = self.word
        if kind == "dotted":
            return f"{stem}.{self.name()}"
        if kind == "method":
            return f"{stem}.{word().capitalize()}.{self.name()}"
        if kind == "snake":
            return "_".join(
                (stem if self.rng.random() < 0.7 else word(), *(word() for _ in range(self.rng.randint(1, 2))))
            )
        if kind == "camel":
            return "".join(part.capitalize() for part in (stem, word(), *([word()] if self.rng.random() < 0.3 else [])))
        if kind == "dashed":
            parts = [word() for _ in range(self.rng.randint(1, 2))]
            return "--" + "-".join([stem, *parts] if self.rng.random() < 0.5 else parts)
        if kind == "dunder":
            return f"{stem}.__{word()}__"
        return self.name()

    def value(self, kind: str) -> str:
        """A value of a kind of `VALUES`."""
        rng = self.rng
        if kind == "plain":
            return rng.choice(
                ("None", "None", "False", "True", "0", "1", "-1", "''", "()", "on", "off", "none", "no", "yes")
            )
        if kind == "small":
            return str(rng.randint(-3, 16))
        if kind == "number":
            return str(
                rng.choice(
                    (rng.randint(0, 99), rng.randint(100, 999), rng.randint(1000, 99999), 2 ** rng.randint(3, 20))
                )
            )
        if kind == "unit":
            return f"{rng.randint(1, 600)}{rng.choice(('s', 'ms', 'm', 'k', 'h', 'K', 'M', '%', 'd'))}"
        if kind == "version":
            return ".".join(str(rng.randint(0, rng.choice((3, 9, 30, 99)))) for _ in range(rng.randint(2, 3)))
        if kind == "quoted":
            mark = rng.choice("''\"")
            return f"{mark}{rng.choice((self.word(), self.name(), self.phrase(1, 2), rng.choice('rwxb,;: /|')))}{mark}"
        if kind == "angle":
            return f"<{rng.choice((self.word(), self.phrase(1, 3), self.name()))}>"
        if kind == "list":
            return ", ".join(self.name() for _ in range(rng.randint(2, 5)))
        if kind == "name":
            return rng.choice(
                (
                    self.name(),
                    self.entity(rng.choice(ENTITIES), self.word()),
                    f"-{rng.choice('abcdefghkmnrstuvxyzABEFGHIKLOPQTUX')}",
                )
            )
        if kind == "words":
            return self.phrase(1, 4)
        if kind == "bracket":
            inner = ", ".join(
                str(rng.randint(0, 9)) if rng.random() < 0.5 else f"'{self.word()}'" for _ in range(rng.randint(0, 2))
            )
            return rng.choice(("({})", "[{}]", "{{{}}}", "<{}>")).format(inner)
        if kind == "path":
            return rng.choice(("/{}/{}", "{}/{}", "{}:{}", "{}={}", "{} {}", "{}.{}")).format(self.name(), self.name())
        return f"{rng.randint(0, 20)}.{rng.randint(0, 99)}"
