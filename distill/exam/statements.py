"""Says whom a line of a manual speaks of: by its own words, the term above it, or the heading of its section.

A manual may give many settings under one heading: as bold lead-ins, `term` lines, list items, labels or rows of a
table. A line belongs to the term above it until the next term of the same kind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from agents.answers import fold, holds, normalise
from agents.corpus.chunks import Chunk
from agents.corpus.tokens import words

from .names import Names, distinctive

Belongs = Literal["own", "other", "none"]
"""Whom a statement is about: the entity asked for, another one, or it cannot be told."""

BARE = 80
"""Characters of a line that may be a term on its own."""
TERM_WORDS = 6
"""Words of a line, or of a label in front of a colon, that may be a term."""

_FENCE = re.compile(r"^\s*(```|~~~)")
_ITEM = re.compile(r"^(\s*)([-*+•]|\d+[.)])\s+(.*)$")
_BOLD = re.compile(r"^(?:\*\*(?P<a>.+?)\*\*|__(?P<b>.+?)__)(?P<rest>.*)$")
_CODE = re.compile(r"^(`[^`]+`(?:\s*(?:,|/|\||or|and)\s*`[^`]+`)*)(.*)$")
_DIRECTIVE = re.compile(r"^\s*\.\.\s+[\w:.\-]+::\s+(.+)$")
_LABEL = re.compile(r"^([^:|]+?)\s*:(?:\s+(.*))?$")
_AFTER_TERM = re.compile(r"^\s*(?:$|[:(=\[<–—]|-\s|,)")
SENTENCE = re.compile(r"(?<=[.;])\s+")
_JOINED = re.compile(r"\s*(?:,|/|\||&|\bor\b|\band\b)\s*")
_ARGUMENTS = re.compile(r"[ =]?(?:$|[<\[({=|]|--|[\w$]+[\[:=|]|[\w$]+$)")
_SPAN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Term:
    """What a line introduces."""

    kind: str
    """bold, code, bare, label, item, row, directive: terms of one kind follow each other."""
    indent: int
    text: str
    """The words that name what is introduced, without marks."""
    alone: bool
    """Whether the line holds nothing else."""


@lru_cache(maxsize=100_000)
def heading_key(text: str) -> str:
    """The form in which headings and names are compared: without marks, anchors and a full stop, white space folded.

    A comma list stays as it is written: `Saint Helena, Ascension and Tristan da Cunha` is one name.
    """
    plain = re.sub(r"\s*\{#[^}]*\}$", "", text.strip())
    return fold(re.sub(r"\*\*|__(?=\S)|(?<=\S)__|`", "", plain)).rstrip(":").removesuffix(".").strip()


def term_of(line: str, before: str, after: str, known: Collection[str]) -> Term | None:
    """What a line introduces; None for prose.

    Args:
        before: the line before; '' where there is none.
        after: the line after.
        known: names that are terms wherever they stand alone on a line.
    """
    if not line.strip():
        return None
    item = _ITEM.match(line)
    if item:
        inner = _marked(item.group(3), len(item.group(1)))
        text, alone = (inner.text, inner.alone) if inner else (item.group(3), False)
        return Term("item", len(item.group(1)), text, alone or heading_key(item.group(3)) in known)
    indent, text = len(line) - len(line.lstrip()), line.strip()
    if text.startswith("|"):
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        return Term("row", indent, _plain(cells[0]), False) if len(cells) > 1 and cells[0].strip("-: ") else None
    directive = _DIRECTIVE.match(line)
    if directive:
        return Term("directive", indent, _plain(directive.group(1)), True)
    found = _marked(text, indent)
    if found:
        return found
    apart = not before.strip() and (not after.strip() or after[:1].isspace() or after.startswith(":"))
    short = len(text) <= BARE and len(text.split()) <= TERM_WORDS and text[-1] not in ".:;!?,"
    if heading_key(text) in known or (short and (apart or " " not in text) and re.search(r"\w", text)):
        return Term("bare", indent, _plain(text), True)
    return None


def _marked(text: str, indent: int) -> Term | None:
    """A term that opens a text in bold, in backticks or in front of a colon."""
    bold = _BOLD.match(text)
    if bold:
        inside, rest = bold.group("a") or bold.group("b"), bold.group("rest")
        return Term("bold", indent, _plain(inside), not rest.strip(" :.-–—"))
    code = _CODE.match(text)
    if code and _AFTER_TERM.match(code.group(2)):
        return Term("code", indent, _plain(code.group(1)), not code.group(2).strip(" :"))
    label = _LABEL.match(text)
    if label and len(label.group(1).split()) <= TERM_WORDS:
        return Term("label", indent, _plain(label.group(1)), not label.group(2))
    return None


def _plain(text: str) -> str:
    return fold(text.replace("`", "").replace("**", "").strip("_")).rstrip(":").strip()


def sections(chunks: Iterable[Chunk]) -> list[list[Chunk]]:
    """The chunks of one document by section, in order."""
    found: list[list[Chunk]] = []
    for chunk in chunks:
        if chunk.part == 0 or not found or found[-1][-1].title != chunk.title:
            found.append([])
        found[-1].append(chunk)
    return found


class Speakers:
    """The entities of a facts file, and the words of its attributes."""

    def __init__(self, entities: Iterable[str], attributes: Iterable[str]) -> None:
        self.entities = frozenset(entities)
        self.keys = frozenset(heading_key(entity) for entity in self.entities)
        self.attribute_words = frozenset(word for attribute in set(attributes) for word in words(attribute))
        self._names = Names(self.entities)

    def named(self, text: str) -> set[str]:
        """Every entity whose name stands in a text."""
        return self._names.within(text)

    def spoken_of(self, statement: str, without: Sequence[str] = ()) -> set[str]:
        """The entities that a statement speaks of, but for those in the texts `without`.

        A name that could be a plain word counts where it is marked as a name by backticks, or written with a capital
        within the statement.
        """
        plain = statement.replace("`", "")
        for text in sorted(without, key=len, reverse=True):
            plain = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", " ; ", plain) if text.strip() else plain
        spans = (span for span in _SPAN.findall(statement) if not any(holds(text, span) for text in without))
        marked = {name for span in spans for name in self.named(span)}
        return {
            name
            for name in self.named(plain)
            if telling(name) or name in marked or (name[:1].isupper() and not plain.lstrip().startswith(name))
        }

    def attribute_like(self, term: Term) -> bool:
        """Whether a term reads like an attribute (`Default:`), not like a thing that has attributes."""
        term_words = [word for word in words(term.text) if len(word) > 1]
        return bool(term_words) and 2 * sum(word in self.attribute_words for word in term_words) >= len(term_words)


def telling(name: str) -> bool:
    """Whether a name cannot be a plain word: by its form, or since it ends in a sign (`Where=`)."""
    return distinctive(name) or not (name[-1:].isalnum() or name[-1:] == "_")


class Section:
    """The lines of one section, and whom each belongs to."""

    def __init__(self, chunks: Sequence[Chunk], speakers: Speakers) -> None:
        self._speakers = speakers
        self._title = chunks[0].title
        self._starts: dict[str, int] = {}
        self.lines: list[str] = []
        for chunk in chunks:
            if self.lines:
                self.lines.append("")  # a chunk ends at a blank line or within a long block
            self._starts[chunk.id] = len(self.lines)
            self.lines += chunk.text.splitlines()
        self._code: list[bool] = []
        fence = False
        for line in self.lines:
            mark = _FENCE.match(line) is not None
            self._code.append(fence or mark)
            fence ^= mark
        around = ["", *self.lines, ""]
        self._terms = [
            None if self._code[at] else term_of(line, around[at], around[at + 2], speakers.keys)
            for at, line in enumerate(self.lines)
        ]
        self._owners = [self._introduced(term) if term else set() for term in self._terms]
        self._labels: set[int] = set()
        repeated = Counter(term.text for term in self._terms if term)
        for at, term in enumerate(self._terms):
            if term is None or term.kind == "row" or self._owners[at] or len(term.text.split()) > TERM_WORDS:
                continue
            if (term.kind != "item" and repeated[term.text] > 1) or speakers.attribute_like(term):
                self._terms[at] = None  # `Default:` under each of them: what is said, not whom it is said of
                self._labels.add(at)

    def _introduced(self, term: Term) -> set[str]:
        """The entities that a term names: it is one, lists several, begins with one, or holds one unlike a word."""
        if term.text in self._speakers.entities:
            return {term.text}
        found = self._speakers.named(term.text)
        if lists_only(term.text, found):
            return found
        sure = {name for name in found if telling(name) or name[:1].isupper()}
        opens = {name for name in found for part in _JOINED.split(term.text) if _opens(part, name)}
        if term.kind in ("label", "item", "bare"):
            return opens & sure
        return sure | (opens if term.kind in ("bold", "code") else set())

    def number(self, chunk: Chunk, line: int) -> int:
        """The number in this section of a chunk's line."""
        return self._starts[chunk.id] + line

    def belongs(self, at: int, quote: str, entity: str, value: str, beside: Sequence[str] = ()) -> Belongs:
        """Whom the words `quote` on line `at` are said of.

        Args:
            value: what is said; names in it are not spoken of.
            beside: other texts in which names are not spoken of, such as the attribute.
        """
        if self._row(at) and (owners := self._owners[at]):
            return "own" if entity in owners else "other"
        parts = [normalise(value), fold(value), *(text.replace("`", "") for text in beside)]
        parts += [part.strip() for part in value.split(",")] if "," in value else []
        statement, before = self._statement(at, quote)
        others = self._speakers.spoken_of(statement, parts) - {entity}
        here = entity in self._speakers.named(statement.replace("`", ""))
        structure = self._structure(at, entity)
        if structure == "own":
            return "other" if others and not here else "own"
        if here and (structure == "none" or entity in self._speakers.spoken_of(statement)):
            return "none" if others else "own"
        if others or structure == "other":
            return "other"
        for sentence in reversed(before):
            named = self._speakers.spoken_of(sentence) | {entity} & self._speakers.named(sentence.replace("`", ""))
            if named:
                return "own" if named == {entity} else "none"
        return "none"

    def _row(self, at: int) -> bool:
        term = self._terms[at]
        return term is not None and term.kind == "row"

    def _statement(self, at: int, quote: str) -> tuple[str, list[str]]:
        """The sentence or row that holds a quote, and the sentences before it in its paragraph."""
        line = self.lines[at]
        if self._code[at] or self._row(at):
            return line, []
        first = last = at
        while first and self._terms[first] is None and first not in self._labels and self._prose(first - 1):
            first -= 1
        while last not in self._labels and last + 1 < len(self.lines) and self._prose(last + 1):
            if self._terms[last + 1] is not None:
                break
            last += 1
        lines = self.lines[first : last + 1]
        start = sum(len(one) + 1 for one in lines[: at - first]) + max(0, line.find(quote))
        text, stop = "\n".join(lines), start + len(quote)
        begin = 0
        before: list[str] = []
        inside: list[str] = []
        for sentence in _split(text):
            end = begin + len(sentence)
            if begin < stop and end > start:
                inside.append(sentence)
            elif end <= start:
                before.append(sentence)
            begin = end
        return fold(" ".join(inside)), before

    def _prose(self, at: int) -> bool:
        return bool(self.lines[at].strip()) and not (self._code[at] or self._row(at) or at in self._labels)

    def _structure(self, at: int, entity: str) -> Belongs:
        """Whom a line belongs to by the terms above it, else by the heading."""
        passed: list[Term] = []
        outside = False
        for number in range(at, -1, -1):
            term = self._terms[number]
            if term is None:
                line, after_blank = self.lines[number], not number or not self.lines[number - 1].strip()
                outside = outside or bool(after_blank and line.strip() and not line[0].isspace())
                continue
            if (term.kind == "row" and number < at) or (term.kind == "item" and outside and not term.alone):
                continue  # a row speaks for itself; a paragraph after a list is none of its items
            owners = self._owners[number]
            if owners:
                ended = any(one.kind == term.kind and one.indent <= term.indent for one in passed)
                if entity not in owners:
                    return "other"
                return "own" if not ended or heading_of(self._title, entity, self._speakers) == "own" else "other"
            passed.append(term)
        return heading_of(self._title, entity, self._speakers)


def _opens(part: str, name: str) -> bool:
    """Whether a part of a term is a name with at most its arguments: `--key <key>`, `listen address[:port]`."""
    return part.startswith(name) and _ARGUMENTS.match(part[len(name) :]) is not None


def lists_only(text: str, names: Collection[str]) -> bool:
    """Whether a text is a list of names and nothing else: `A=, B=`."""
    return all(part in names for part in _JOINED.split(text) if part) and bool(names)


def _split(text: str) -> Iterable[str]:
    """The sentences of a text; together they are the text."""
    begin = 0
    for match in SENTENCE.finditer(text):
        yield text[begin : match.end()]
        begin = match.end()
    yield text[begin:]


def heading_of(title: str, entity: str, speakers: Speakers) -> Belongs:
    """Whether a section's heading, or else its page's title, names the entity, another one, or none."""
    page, _, section = title.partition(" > ")
    for heading in (section, page):
        if heading_key(heading) == heading_key(entity):
            return "own"
        found = speakers.named(heading)
        if entity in found:
            return "own" if found == {entity} or lists_only(heading, found) else "none"
        if heading in speakers.entities or any(telling(name) for name in found):
            return "other"
    return "none"
