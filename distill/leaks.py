"""Looks for the held-out exam in training text: held-out names, and runs of words of its questions and pages.

What any text of the manual shares does not count: a run of words that also stands in an allowed chunk is boilerplate,
and a run of a question's words counts only with an entity in it, since the rest is the question's template. A name of
several words counts as one word: a run never ends within it, and `North Isle` does not stand in `North Isle of Fog`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from agents.answers import fold
from agents.corpus.library import Library
from agents.corpus.tokens import names
from agents.errors import ProofError
from agents.task import Task

from .exam.names import Names
from .exam.split import HeldOut, chunk_text

RUN = 8
"""Words of a run, as decontamination commonly has it (8 to 13)."""
SHOWN = 20
"""Examples that a report keeps."""

Gram = tuple[str, ...]


class LeakReport(BaseModel):
    """What was found of the held-out exam in training text."""

    model_config = ConfigDict(frozen=True)

    texts: int
    """Training texts that were read."""
    name_hits: int
    """Texts with a held-out distinctive entity name in them."""
    question_hits: int
    """Texts with a run of words, an entity among them, of a held-out question."""
    chunk_hits: int
    """Texts with a run of words of a barred chunk that no allowed chunk holds."""
    overlap: float
    """Share of all runs of held-out questions, template words included, that stand anywhere in the training text."""
    pages: int = 0
    """Texts with something found that are pages of the library, not episodes."""
    examples: tuple[str, ...] = ()
    """`text id: what was found`, the first 20."""

    @property
    def passed(self) -> bool:
        """Nothing was found."""
        return not (self.name_hits or self.question_hits or self.chunk_hits)

    def check(self) -> None:
        """Raise ProofError where something was found."""
        if not self.passed:
            raise ProofError(
                f"held-out exam in training text: {self.name_hits} texts with names, {self.question_hits} with "
                f"questions, {self.chunk_hits} with pages, e.g. {self.examples[0]!r}; {self._step()}"
            )

    def _step(self) -> str:
        """What helps: a page is allowed or barred by the exam; an episode's words are the teacher's."""
        if self.pages:
            return (
                f"{self.pages} of them are pages, which the exam bars: exam and library do not belong together, so "
                "remove exam.jsonl from the run folder and run again"
            )
        return (
            "`retort show RUN KEY` opens the episode by the start of its key; where a prompt or tool of yours brings "
            "the words in, take them out; where the teacher does, hold out others: give [exam] another seed. Run again"
        )


def split_words(line: str, whole: Names | None) -> list[str]:
    """The words of a line, each name of several words as one.

    Case is kept: `ast.UnaryOp` and `ast.unaryop` are two classes.
    """
    if whole is None:
        return names(line)
    found: list[str] = []
    at = 0
    for start, stop, name in whole.spans(line):
        found += [*names(line[at:start]), name]
        at = stop
    return found + names(line[at:])


def grams(text: str, run: int, short: int = 0, whole: Names | None = None) -> Iterator[Gram]:
    """Runs of `run` words within each line; a line of `short` to `run` words gives itself where `short` is not 0."""
    for line in text.splitlines():
        found = split_words(line, whole)
        if short and short <= len(found) < run:
            yield tuple(found)
        yield from _runs(found, run)


def _runs(found: Sequence[str], run: int) -> Iterator[Gram]:
    for start in range(len(found) - run + 1):
        yield tuple(found[start : start + run])


def question_grams(tasks: Sequence[Task], run: int, whole: Names | None = None) -> tuple[dict[Gram, str], set[Gram]]:
    """(run of words with an entity in it -> task id, all runs) of the questions."""
    telling: dict[Gram, str] = {}
    every: set[Gram] = set()
    for task in tasks:
        entities = {name for entity in task.entities for name in split_words(entity, whole)}
        for gram in grams(fold(task.question), run, short=5, whole=whole):
            every.add(gram)
            if entities & set(gram):
                telling.setdefault(gram, task.id)
    return telling, every


def page_grams(library: Library, barred: Iterable[str], run: int, whole: Names | None = None) -> dict[Gram, str]:
    """Run of words -> chunk id, for the runs that only barred chunks hold."""
    out = frozenset(barred)
    found: dict[Gram, str] = {}
    for chunk in library.chunks:
        if chunk.id in out:
            for gram in grams(chunk_text(chunk), run, whole=whole):
                found.setdefault(gram, chunk.id)
    for chunk in library.chunks:
        if chunk.id not in out:
            for gram in grams(chunk_text(chunk), run, whole=whole):
                found.pop(gram, None)
    return found


def leaks(
    texts: Iterable[tuple[str, str]],
    held_out: HeldOut,
    test_tasks: Sequence[Task],
    library: Library | None = None,
    run: int = RUN,
) -> LeakReport:
    """Search training texts, given as (id, text), for the held-out exam.

    Without a `library` barred chunks are not searched for, only names and questions.
    """
    barred = held_out.matcher()
    whole = Names((*held_out.entities, *held_out.longer, *(name for task in test_tasks for name in task.entities)))
    telling, every = question_grams(test_tasks, run, whole)
    pages = page_grams(library, held_out.chunks, run, whole) if library is not None else {}
    lengths = sorted({len(gram) for gram in every if len(gram) < run} | {run})
    count = name_hits = question_hits = chunk_hits = found_in_pages = 0
    met: set[Gram] = set()
    examples: list[str] = []
    for name, text in texts:
        count += 1
        lines = [split_words(line, whole) for line in text.splitlines()]
        runs = {gram for line in lines for length in lengths for gram in _runs(line, length)}
        met |= runs & every
        found_names = sorted(barred.within(text))
        found_questions = sorted(runs & telling.keys())
        found_pages = sorted(runs & pages.keys())
        name_hits += bool(found_names)
        question_hits += bool(found_questions)
        chunk_hits += bool(found_pages)
        leaky = bool(found_names or found_questions or found_pages)
        found_in_pages += leaky and library is not None and name in library
        if found_names:
            examples.append(f"{name}: name {found_names[0]!r}")
        elif found_questions:
            examples.append(f"{name}: question {telling[found_questions[0]]}: {' '.join(found_questions[0])!r}")
        elif found_pages:
            examples.append(f"{name}: chunk {pages[found_pages[0]]}: {' '.join(found_pages[0])!r}")
    return LeakReport(
        texts=count,
        name_hits=name_hits,
        question_hits=question_hits,
        chunk_hits=chunk_hits,
        pages=found_in_pages,
        overlap=round(len(met) / len(every), 4) if every else 0.0,
        examples=tuple(examples[:SHOWN]),
    )
