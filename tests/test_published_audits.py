"""The exams of two published manuals: what holds of every exam, and what guessing gets on them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from exam_parts import check, with_options

from agents.corpus.documents import read_corpus
from agents.corpus.facts import Fact, read_facts
from agents.corpus.library import Library
from distill.exam.build import Exam, ExamConfig, build_exam
from distill.exam.evidence import module_label

MANUALS = [("nginx", 0), ("curl", 0)]
OTHER_SEEDS = [pytest.param(name, 1, marks=pytest.mark.slow) for name, _ in MANUALS]


@cache
def manual(folder: Path) -> tuple[list[Fact], Library]:
    found, remarks = read_facts(folder / "facts.jsonl")
    assert not remarks
    return found, Library.build(read_corpus(folder / "corpus"))


@cache
def built(folder: Path, seed: int) -> Exam:
    return build_exam(*manual(folder), ExamConfig(seed=seed))


@pytest.fixture
def folder(shared_data: Path, name: str) -> Path:
    found = shared_data / "microdomains" / name
    if not found.is_dir():
        pytest.skip(f"{found} is not there")
    return found


@pytest.mark.parametrize(("name", "seed"), [*MANUALS, *OTHER_SEEDS])
def test_guessing_gets_nowhere(folder: Path, seed: int) -> None:
    exam = built(folder, seed)
    assert len(with_options(exam)) >= 250
    assert max(exam.audit.values()) <= 0.30
    assert max(exam.baselines["free"]["overall"].values()) <= 0.15
    assert exam.baselines["choice"]["overall"]["random"] == 0.25


@pytest.mark.parametrize(("name", "seed"), MANUALS)
def test_what_holds_of_every_exam(folder: Path, seed: int) -> None:
    found, library = manual(folder)
    exam = built(folder, seed)
    check(found, library, exam, ExamConfig(seed=seed))
    assert exam.counts["facts"] == {"given": len(found), "usable": len(found)}
    assert sum(task.split == "test" for task in exam.tasks) == 240
    assert sum(task.split == "train" for task in exam.tasks) >= 800
    assert len(exam.held_out.chunks) <= 0.35 * len(library.chunks)


@pytest.mark.parametrize(("name", "seed"), MANUALS)
def test_a_search_for_entity_and_attribute_finds_the_line(folder: Path, seed: int) -> None:
    library = manual(folder)[1]
    hops = {(hop.entity, hop.attribute): hop for task in built(folder, seed).tasks for hop in task.hops}
    first = sum(library.search(f"{e} {a}", 1)[0][0].id == hop.chunk for (e, a), hop in hops.items())
    assert first >= 0.97 * len(hops)


@pytest.mark.parametrize(("name", "seed"), MANUALS[:1])
def test_held_out_modules_are_barred_whole(folder: Path, seed: int) -> None:
    """Of a manual whose pages are modules, no section of a held-out one is trained, those without facts included."""
    found, library = manual(folder)
    exam = built(folder, seed)
    pages = {fact.source for fact in found if module_label(fact.module or "") in exam.held_out.modules}
    documents = {Path(page).name.removesuffix(".md") for page in pages}
    assert len(exam.held_out.modules) >= 5
    mine = {chunk.id for chunk in library.chunks if chunk.document.split("/")[-1] in documents}
    assert len(mine) >= len(documents) >= 5
    assert mine <= set(exam.held_out.chunks)
    assert any(task.unseen_module for task in exam.tasks)
