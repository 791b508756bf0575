"""Looks for the held-out exam in training text: held-out names, and runs of words of its questions and pages.

What any text of the manual shares does not count: a run of words that also stands in an allowed chunk is boilerplate,
and a run of a question's words counts only with an entity in it, since the rest is the question's template.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from agents.answers import fold
from agents.errors import ProofError
from agents.library.index import Library, names
from agents.task import Task

from .names import Names
from .split import HeldOut, chunk_text

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
                f"questions, {self.chunk_hits} with pages, e.g. {self.examples[0]!r}; build dataset and exam again "
                "from one run"
            )


def grams(text: str, run: int, short: int = 0) -> Iterator[Gram]:
    """Runs of `run` words within each line; a line of `short` to `run` words gives itself where `short` is not 0.

    Case is kept: `ast.UnaryOp` and `ast.unaryop` are two classes.
    """
    for line in text.splitlines():
        found = names(line)
        if short and short <= len(found) < run:
            yield tuple(found)
        for start in range(len(found) - run + 1):
            yield tuple(found[start : start + run])


def question_grams(tasks: Sequence[Task], run: int) -> tuple[dict[Gram, str], set[Gram]]:
    """(run of words with an entity in it -> task id, all runs) of the questions."""
    telling: dict[Gram, str] = {}
    every: set[Gram] = set()
    for task in tasks:
        entities = {name for entity in task.entities for name in names(entity)}
        for gram in grams(fold(task.question), run, short=5):
            every.add(gram)
            if entities & set(gram):
                telling.setdefault(gram, task.id)
    return telling, every


def page_grams(library: Library, barred: Iterable[str], run: int) -> dict[Gram, str]:
    """Run of words -> chunk id, for the runs that only barred chunks hold."""
    out = frozenset(barred)
    found: dict[Gram, str] = {}
    for chunk in library.chunks:
        if chunk.id in out:
            for gram in grams(chunk_text(chunk), run):
                found.setdefault(gram, chunk.id)
    for chunk in library.chunks:
        if chunk.id not in out:
            for gram in grams(chunk_text(chunk), run):
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
    barred = Names(held_out.names)
    telling, every = question_grams(test_tasks, run)
    pages = page_grams(library, held_out.chunks, run) if library is not None else {}
    short = sorted({len(gram) for gram in every if len(gram) < run})
    count = name_hits = question_hits = chunk_hits = 0
    met: set[Gram] = set()
    examples: list[str] = []
    for name, text in texts:
        count += 1
        runs = {gram for length in (*short, run) for gram in grams(text, length)}
        met |= runs & every
        found_names = sorted(barred.within(text))
        found_questions = sorted(runs & telling.keys())
        found_pages = sorted(runs & pages.keys())
        name_hits += bool(found_names)
        question_hits += bool(found_questions)
        chunk_hits += bool(found_pages)
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
        overlap=round(len(met) / len(every), 4) if every else 0.0,
        examples=tuple(examples[:SHOWN]),
    )
