"""Made-up manual pages: a heading, a signature, labelled lines and filler, all about things that do not exist."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from .words import ENTITIES, VALUES, Words


@dataclass(frozen=True)
class Fact:
    """One thing a page says."""

    name: str
    """As a request names it."""
    value: str
    quote: str
    """The words of the page that say it."""
    line: str
    """The whole line in which the quote stands."""


@dataclass
class Page:
    """One made-up page."""

    entity: str
    lines: list[str] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    call: tuple[str, ...] = ()
    """Names of the signature's parameters that have a default; empty for a page of labelled lines."""


@dataclass(frozen=True)
class Style:
    """How the pages of one shelf look; drawn once a document, so that a reader can get used to it."""

    kind: str
    heading: str
    colon: str
    value: str
    gap: bool
    filler: float
    capital: bool
    annotated: bool

    @classmethod
    def draw(cls, rng: random.Random, kind: str) -> Style:
        """A random look."""
        headings = (
            "{}",
            "{}",
            "# {}",
            "`{}`",
            "## `{}`",
            "== {} ==",
            "{}:",
            "[{n}] {}",
            "({n}) {}",
            "* {}",
            "{n}. {}",
            "{w} {}",
            "[{n}] {w} > `{}`",
        )
        return cls(
            kind=kind,
            heading=rng.choice(headings),
            colon=rng.choice((": ", ": ", ": ", " = ", "=", " - ", " -> ", " ")),
            value=rng.choice(("{v}", "{v}", "{v}", "`{v}`", "`{e} {v}`", "{v};", "{e} {v};")),
            gap=rng.random() < 0.3,
            filler=rng.choice((0.0, 0.3, 0.6, 0.9)),
            capital=rng.random() < 0.6,
            annotated=rng.random() < 0.15,
        )


class Shelf:
    """Pages that share their parameter names or labels, so that only the right page has the right value."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.rng = rng = words.rng
        self.style = Style.draw(rng, rng.choice(("call", "call", "record", "record", "mixed")))
        self.family = rng.choice(ENTITIES)
        self.stem = words.word() if rng.random() < 0.7 else f"{words.word()}.{words.word()}"
        self.names = self._names()
        self.values = tuple(kind for kind in VALUES if kind != "list") if self.style.kind == "call" else VALUES
        self.kinds = {name: rng.choice(self.values) for name in self.names}
        self.pages: list[Page] = []

    def _names(self) -> list[str]:
        count = self.rng.randint(3, 7)
        if self.style.kind == "call":
            return list(dict.fromkeys(self.words.name().replace("-", "_") for _ in range(count)))
        return list(dict.fromkeys(self.words.phrase(1, self.rng.choice((1, 2, 3))) for _ in range(count)))

    def page(self, number: int, pointer: str | None = None) -> Page:
        """A new page; with `pointer`, one of its facts has that name (of another page) as its value."""
        stem = self.stem if self.rng.random() < 0.8 else self.words.word()
        page = Page(self.words.entity(self.family, stem))
        style, rng = self.style, self.rng
        page.lines.append(
            style.heading.replace("{n}", str(number))
            .replace("{w}", self.words.phrase(1, 3).capitalize())
            .replace("{}", page.entity)
        )
        names = rng.sample(self.names, rng.randint(min(2, len(self.names)), len(self.names)))
        if style.kind == "call":
            self._signature(page, names, pointer)
        else:
            if style.kind == "mixed" or rng.random() < 0.2:
                page.lines.append(
                    f"{page.entity} {self.words.phrase(1, 4)}" if rng.random() < 0.5 else self.sentence(page)
                )
            self._labels(page, names, pointer)
        self.pages.append(page)
        return page

    def _value(self, name: str) -> str:
        return self.words.value(self.kinds[name] if self.rng.random() < 0.8 else self.rng.choice(self.values))

    def _signature(self, page: Page, names: list[str], pointer: str | None) -> None:
        rng = self.rng
        parts = [rng.choice(("self", "self", "cls"))] if rng.random() < 0.4 else []
        parts += [self.words.word() for _ in range(rng.choice((0, 1, 1, 2)))]
        if parts and rng.random() < 0.25:
            parts.append("/")
        if rng.random() < 0.3:
            parts.append("*")
        chosen = names[: rng.randint(1, 5)]
        for place, name in enumerate(chosen):
            value = pointer if pointer is not None and place == 0 else self._value(name)
            hint = (
                f": {rng.choice(('int', 'str', 'bool', 'float', self.words.word()))} = "
                if self.style.annotated
                else "="
            )
            parts.append(f"{name}{hint}{value}")
            page.facts.append(Fact(name, value, parts[-1], ""))
        if rng.random() < 0.15:
            parts.append(f"**{self.words.word()}")
        tail = rng.choice(("", "", "", f" -> {self.words.word()}"))
        head = page.entity if rng.random() < 0.8 else page.entity.rpartition(".")[2]
        line = f"{head}({', '.join(parts)}){tail}"
        page.lines.append(line)
        page.facts = [Fact(fact.name, fact.value, fact.quote, line) for fact in page.facts]
        page.call = tuple(fact.name for fact in page.facts)
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            if rng.random() < self.style.filler:
                page.lines.append(self.sentence(page))

    def _labels(self, page: Page, names: list[str], pointer: str | None) -> None:
        style, rng = self.style, self.rng
        for place, name in enumerate(names):
            value = pointer if pointer is not None and place == 0 else self._value(name)
            label = name[0].upper() + name[1:] if style.capital else name
            shown = style.value.replace("{v}", value).replace("{e}", page.entity)
            if shown == f"`{value}`" and ", " in value:
                shown = ", ".join(f"`{part}`" for part in value.split(", "))
            line = f"{label}{style.colon}{shown}"
            page.facts.append(Fact(label if rng.random() < 0.7 else name, value, line, line))
            page.lines.append(line)
            if style.gap:
                page.lines.append("")
            if rng.random() < 0.25 * style.filler:
                page.lines.append(self.sentence(page))

    def sentence(self, page: Page) -> str:
        """Filler, with a name of the shelf in it now and then."""
        text = self.words.phrase(3, 12).capitalize()
        if self.rng.random() < 0.3:
            name = self.rng.choice((page.entity, f"`{page.entity}`", self.rng.choice(self.names)))
            text += f" {name} {self.words.phrase(1, 5)}"
        if self.rng.random() < 0.2:
            text += f", {self.words.phrase(1, 4)}"
        return text + "."
