"""Finds, for every fact, the line of the manual that says it: no question is asked whose answer stands nowhere."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agents.answers import fold, holds, normalise
from agents.errors import ExamError
from agents.library.chunks import Chunk
from agents.library.facts import Fact
from agents.library.index import Library, words
from agents.task import Hop

LONG_LINE = 200
"""Characters above which only the sentence that holds the value is quoted."""


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
    attribute's words that it holds (twice) and of the entity's name.
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
    wanted = set(words(fact.attribute))
    shared = len(wanted & set(words(plain))) / max(1, len(wanted))
    if not shared and len(value) < 4:
        return 0.0
    return score + 2 * shared + (0.5 if holds(plain, fact.entity) else 0.0)


def best_line(chunks: Sequence[Chunk], fact: Fact) -> tuple[Chunk, str] | None:
    """The line that supports a fact best, and its chunk; the first of equals."""
    value = normalise(fact.value)
    best: tuple[float, Chunk, str] | None = None
    for chunk in chunks:
        for line in chunk.text.splitlines():
            score = support(line, fact, value)
            if score > (best[0] if best else 0.0):
                best = (score, chunk, line.strip())
    if best is None:
        return None
    _, chunk, line = best
    if len(line) > LONG_LINE:
        sentences = [part for part in re.split(r"(?<=[.;])\s+", line) if holds(part.replace("`", ""), value)]
        line = sentences[0] if sentences else line
    return chunk, line


class _Pages:
    """Chunks by document and by the source that facts name."""

    def __init__(self, library: Library) -> None:
        self.by_document: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in library.chunks:
            self.by_document[chunk.document].append(chunk)

    def of(self, fact: Fact) -> list[Chunk]:
        """The chunks that may speak of a fact: its section's, else its page's, else none."""
        if fact.entity in self.by_document and fact.source.startswith("python:"):
            return self.by_document[fact.entity]
        source = fact.source
        stem = re.sub(r"\.(md|txt|rst|html?)$", "", source)
        tails = ["/".join(stem.split("/")[start:]) for start in range(stem.count("/") + 1)]
        page = next((self.by_document[tail] for tail in (source, *tails) if tail in self.by_document), [])
        if fact.section is None:
            return page
        section = normalise(fact.section)
        return [chunk for chunk in page if section in (chunk.title, chunk.title.split(" > ")[-1])] or page


def speaks_of(chunks: Sequence[Chunk], entity: str) -> bool:
    """Whether an entity's name stands in one of the chunks."""
    return any(holds(f"{chunk.title}\n{chunk.text}".replace("`", ""), entity) for chunk in chunks)


def find_evidence(facts: Sequence[Fact], library: Library) -> tuple[list[Known], Counter[str], str | None]:
    """The facts that the manual bears out, counts of the others by reason, and the first entity that stands nowhere.

    Raises:
        ExamError: more than half of the facts are about entities that stand in no document.
    """
    pages = _Pages(library)
    names = labels(facts)
    found: list[Known] = []
    dropped: Counter[str] = Counter()
    lost: Fact | None = None
    for fact in facts:
        chunks = pages.of(fact)
        if not chunks or not (fact.quote or speaks_of(chunks, fact.entity)):
            dropped["entity in no document"] += 1
            lost = lost or fact
            continue
        if fact.quote:
            chunk = next((c for c in chunks if any(fact.quote in line for line in c.text.splitlines())), None)
            place = (chunk, fact.quote) if chunk else None
        else:
            place = best_line(chunks, fact)
        if place is None:
            dropped["value on no line"] += 1
            continue
        label = names[fact.entity, fact.module]
        chunk, quote = place[0], place[1]
        hop = Hop(
            entity=label,
            attribute=fact.attribute,
            value=fact.value,
            quote=quote,
            chunk=chunk.id,
            title=chunk.title,
        )
        found.append(Known(fact=fact, label=label, hop=hop))
    if lost is not None and dropped["entity in no document"] * 2 > len(facts):
        raise ExamError(
            f"entity {lost.entity!r} (source {lost.source!r}) stands in no document, and so do those of "
            f"{dropped['entity in no document']} of {len(facts)} facts: are facts and corpus of the same manual?"
        )
    return found, dropped, lost.entity if lost else None
