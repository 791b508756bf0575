"""Finds, for every fact, the line of the manual that says it: no question is asked whose answer stands nowhere."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agents.answers import bears, canonical, fold, holds, normalise
from agents.corpus.chunks import Chunk
from agents.corpus.facts import Fact
from agents.corpus.library import Library
from agents.corpus.tokens import words
from agents.errors import ExamError
from agents.task import Hop

from .statements import SENTENCE, Section, Speakers, heading_key, sections

LONG_LINE = 200
"""Characters above which only the sentence that holds the value is quoted."""
LONG_VALUE = 200
"""Characters above which a value is no answer to a question."""


@dataclass(frozen=True)
class Known:
    """A fact with its evidence."""

    fact: Fact
    label: str
    """The entity as questions name it: with its module where one name lives in several."""
    hop: Hop

    @property
    def group(self) -> str:
        """What is never divided between splits."""
        return self.fact.group or self.fact.entity


def module_label(module: str) -> str:
    """`Module ngx_x` -> `ngx_x`: the word before a name says nothing."""
    return re.sub(r"^module\s+", "", module, flags=re.IGNORECASE)


def labels(facts: Iterable[Fact]) -> dict[tuple[str, str | None], str]:
    """(entity, module) -> how questions name it; modules are named everywhere as soon as one entity lives in two."""
    homes: dict[str, set[str | None]] = defaultdict(set)
    for fact in facts:
        homes[fact.entity].add(fact.module)
    shared = any(len(modules) > 1 for modules in homes.values())
    return {
        (entity, module): f"{entity} ({module_label(module)})" if shared and module else entity
        for entity, modules in homes.items()
        for module in modules
    }


def support(line: str, fact: Fact, value: str) -> float:
    """How well a line supports a fact; 0 where its value does not stand on it.

    3 for a line that is `label: value` and nothing else, 1 for one that holds the value, and on top the share of the
    attribute's words that it holds (twice; `defaults` is `default`) and of the entity's name.
    """
    plain = fold(line.replace("`", ""))
    rest = plain.partition(":")[2].strip() or plain
    bare = rest.removeprefix(fact.entity).strip()
    if value in (normalise(rest), normalise(bare)):
        score = 3.0
    elif holds(plain, value) or holds(plain, fold(fact.value)):
        score = 1.0
    else:
        return 0.0
    wanted, present = set(words(fact.attribute)), set(words(plain))
    shared = sum(word in present or f"{word}s" in present for word in wanted) / max(1, len(wanted))
    if not shared and len(value) < 4:
        return 0.0
    return score + 2 * shared + (0.5 if holds(plain, fact.entity) else 0.0)


Place = tuple[Chunk, int, str]
"""A chunk, the number of one of its lines, and the words of that line that are quoted."""


def best_line(
    chunks: Sequence[Chunk], fact: Fact, fits: Callable[[Place], bool] | None = None
) -> tuple[Chunk, str] | None:
    """The line that supports a fact best, and its chunk; the first of equals, of those that fit.

    One sentence is quoted of a line above `LONG_LINE` characters, and of one that does not fit as a whole, where a
    sentence holds the value.
    """
    value = normalise(fact.value)
    best: tuple[float, Chunk, str] | None = None
    for chunk in chunks:
        for number, line in enumerate(chunk.text.splitlines()):
            for quote in _quotes(line.strip(), lambda text: support(text, fact, value)):
                if support(quote, fact, value) <= (best[0] if best else 0.0):
                    continue
                if fits is None or fits((chunk, number, quote)):
                    best = (support(quote, fact, value), chunk, quote)
                    break
    return best[1:] if best else None


def _quotes(line: str, score: Callable[[str], float]) -> Iterator[str]:
    """What may be quoted of a line that supports a fact: the line, then its sentences, the best first."""
    if score(line) <= 0:
        return
    sentences = sorted((part for part in SENTENCE.split(line) if score(part) > 0), key=score, reverse=True)
    if len(line) <= LONG_LINE or not sentences:
        yield line
    yield from sentences


def page_names(source: str) -> list[str]:
    """Ids of documents that the source of a fact may mean: as written, then without suffix and leading folders.

    A suffix of any other file comes last: `net.ipv4` may be a page's whole name, and `guide.docx` the file of one.
    """
    stem = re.sub(r"\.(md|txt|rst|html?)$", "", source)
    bare = re.sub(r"\.\w{1,10}$", "", stem)
    forms = [stem, bare] if bare not in (stem, "") else [stem]
    return [source, *("/".join(form.split("/")[start:]) for form in forms for start in range(form.count("/") + 1))]


class _Pages:
    """Chunks by document and by the source that facts name, and their sections."""

    def __init__(self, library: Library, speakers: Speakers) -> None:
        self._speakers = speakers
        self._sections: dict[str, Section] = {}
        self._of: dict[str, list[Chunk]] = {}
        self.by_document: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in library.chunks:
            self.by_document[chunk.document].append(chunk)

    def of(self, fact: Fact) -> list[Chunk]:
        """The chunks that may speak of a fact: its section's, else its page's, else none."""
        if fact.entity in self.by_document and not fact.names_page:
            return self.by_document[fact.entity]
        names = page_names(fact.source)
        page = next((self.by_document[name] for name in names if name in self.by_document), [])
        if fact.section is None:
            return page
        return under(page, fact.section) or page

    def section(self, chunk: Chunk) -> Section:
        """The section that a chunk is of."""
        if chunk.id not in self._sections:
            for part in sections(self.by_document[chunk.document]):
                made = Section(part, self._speakers)
                self._sections.update((one.id, made) for one in part)
        return self._sections[chunk.id]

    def places(self, fact: Fact, chunks: Sequence[Chunk]) -> tuple[tuple[Chunk, str] | None, str]:
        """The best line that is about the fact's entity, or None and why there is none."""
        seen: set[str] = set()

        def fits(place: Place) -> bool:
            chunk, number, quote = place
            section = self.section(chunk)
            found = section.belongs(section.number(chunk, number), quote, fact.entity, fact.value, [fact.attribute])
            if found == "other":
                seen.add(OTHERS)
            elif found == "none":
                seen.add(NOBODYS)
            elif not bears(quote, fact.value):
                seen.add(BARE)
            elif not speaks_of([chunk], fact.entity):
                seen.add(UNNAMED)
            else:
                return True
            return False

        if fact.quote:
            given = ((chunk, number, fact.quote) for chunk, number in _holding(chunks, fact.quote))
            place = next(((chunk, quote) for chunk, number, quote in given if fits((chunk, number, quote))), None)
        else:
            place = best_line(chunks, fact, fits)
        return place, next((reason for reason in (UNNAMED, BARE, NOBODYS, OTHERS) if reason in seen), NOWHERE)


def _holding(chunks: Sequence[Chunk], quote: str) -> Iterator[tuple[Chunk, int]]:
    for chunk in chunks:
        for number, line in enumerate(chunk.text.splitlines()):
            if quote in line:
                yield chunk, number


def under(page: Sequence[Chunk], section: str) -> list[Chunk]:
    """The chunks of a page under a heading, given with the page's title or without; its case counts where it can."""
    wanted = heading_key(section)
    for form in (str, str.casefold):
        found = [
            chunk
            for chunk in page
            if form(wanted) in (form(heading_key(chunk.title)), form(heading_key(chunk.title.split(" > ")[-1])))
        ]
        if found:
            return found
    return []


def speaks_of(chunks: Sequence[Chunk], entity: str) -> bool:
    """Whether an entity's name stands in one of the chunks."""
    return any(holds(f"{chunk.title}\n{chunk.text}".replace("`", ""), entity) for chunk in chunks)


LOST = "entity in no document"
NOWHERE = "value on no line"
OTHERS = "the words are said of another entity"
NOBODYS = "the words cannot be tied to the entity"
BARE = "the words do not say the value"
UNNAMED = "the passage does not name the entity"
BLANK = "the value is blank"
LONG = f"the value is longer than {LONG_VALUE} characters"
CONTRADICTED = "two values of one attribute"


class Evidence(NamedTuple):
    """What a manual bears out of a facts file."""

    known: list[Known]
    dropped: Counter[str]
    """Facts that ask nothing, by reason."""
    lost: str | None
    """The first entity that stands in no document."""
    rejected: list[tuple[Fact, str]]
    """Every fact that asks nothing, with its reason."""


def find_evidence(facts: Sequence[Fact], library: Library) -> Evidence:
    """The line of the manual that says each fact, and the facts that no line says, each with one reason.

    A fact is used where a line about its entity says its value (statements.py), in a passage that names the entity.

    Raises:
        ExamError: more than half of the facts are about entities that stand in no document.
    """
    speakers = Speakers({fact.entity for fact in facts}, (fact.attribute for fact in facts))
    pages = _Pages(library, speakers)
    names = labels(facts)
    found: list[Known] = []
    rejected: list[tuple[Fact, str]] = []
    for fact in facts:
        size = len(fold(fact.value))
        if not 0 < size <= LONG_VALUE:
            rejected.append((fact, LONG if size else BLANK))
            continue
        chunks = pages.of(fact)
        if not chunks or not speaks_of(chunks, fact.entity):
            rejected.append((fact, LOST))
            continue
        place, reason = pages.places(fact, chunks)
        if place is None:
            rejected.append((fact, reason))
            continue
        label = names[fact.entity, fact.module]
        chunk, quote = place
        hop = Hop(
            entity=label,
            attribute=fact.attribute,
            value=fact.value,
            quote=quote,
            chunk=chunk.id,
            title=chunk.title,
        )
        found.append(Known(fact=fact, label=label, hop=hop))
    stated: dict[tuple[str, str | None, str], set[str]] = defaultdict(set)
    for item in found:
        stated[_asked(item.fact)].add(canonical(item.fact.value))
    rejected += [(item.fact, CONTRADICTED) for item in found if len(stated[_asked(item.fact)]) > 1]
    found = [item for item in found if len(stated[_asked(item.fact)]) == 1]
    dropped = Counter(reason for _, reason in rejected)
    lost = next((fact for fact, reason in rejected if reason == LOST), None)
    if lost is not None and dropped[LOST] * 2 > len(facts):
        raise ExamError(
            f"entity {lost.entity!r} (source {lost.source!r}) stands in no document, and so do those of "
            f"{dropped[LOST]} of {len(facts)} facts: are facts and corpus of the same manual?"
        )
    return Evidence(found, dropped, lost.entity if lost else None, rejected)


def _asked(fact: Fact) -> tuple[str, str | None, str]:
    """What a question about a fact names; `Default` and `default` ask the same."""
    return fact.entity, fact.module, fold(fact.attribute).casefold()
