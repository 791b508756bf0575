"""The leak report word by word: which runs of words tell of a question or a page, how they are counted and shown."""

from __future__ import annotations

import pytest

from agents.corpus.documents import Document
from agents.corpus.library import Library
from agents.errors import ProofError
from agents.task import Task
from distill.exam.split import HeldOut
from distill.leaks import RUN, SHOWN, LeakReport, grams, leaks, page_grams, question_grams

EIGHT = "one two three four five six seven eight"
NINE = f"{EIGHT} nine"


def task(name: str, question: str, *entities: str) -> Task:
    """A held-out question about entities."""
    return Task(
        id=name, question=question, gold="1", level="engineer", kind="lookup", entities=entities, group=name,
        split="test",
    )  # fmt: skip


def held(*entities: str, chunks: tuple[str, ...] = ()) -> HeldOut:
    """A held-out list."""
    return HeldOut(entities=entities, groups=entities, modules=(), chunks=chunks)


def library(**pages: str) -> Library:
    """A page a name; its title is the name."""
    return Library.build([Document(id=n, title=n, text=text, source=f"{n}.md") for n, text in pages.items()])


NONE = held()


def test_runs_of_words_stay_within_a_line() -> None:
    assert list(grams("a b c", 2)) == [("a", "b"), ("b", "c")]
    assert list(grams("a b\nc d", 2)) == [("a", "b"), ("c", "d")]
    assert list(grams("a b", 2)) == [("a", "b")]
    assert list(grams("a", 2)) == [] == list(grams("", 2))
    assert list(grams("Kept, as-it.is `written`!", 3)) == [("Kept", "as-it.is", "written")]


def test_a_short_line_gives_itself_where_short_runs_are_asked_for() -> None:
    assert list(grams("a b c", 5, short=3)) == [("a", "b", "c")]
    assert list(grams("a b", 5, short=3)) == []
    assert list(grams("a b c d e", 5, short=3)) == [("a", "b", "c", "d", "e")]
    assert list(grams("a b c", 5)) == []


def test_runs_of_a_question_tell_only_with_an_entity_in_them() -> None:
    question = f"{EIGHT} pump_rate"
    telling, every = question_grams([task("t1", question, "pump_rate")], RUN)
    assert every == {tuple(EIGHT.split()), (*EIGHT.split()[1:], "pump_rate")}
    assert telling == {(*EIGHT.split()[1:], "pump_rate"): "t1"}


def test_a_short_question_is_a_run_of_its_own_from_five_words_on() -> None:
    five = "What is the `lid` for"
    telling, every = question_grams([task("t", five, "lid"), task("u", "Is the lid on", "lid")], RUN)
    assert telling == {("What", "is", "the", "lid", "for"): "t"} and set(telling) == every


def test_the_first_question_with_a_run_is_named_and_every_entity_counts() -> None:
    asked = [task("one", f"{EIGHT} x.y", "other", "x.y"), task("two", f"{EIGHT} x.y", "x.y")]
    telling, _ = question_grams(asked, RUN)
    assert set(telling.values()) == {"one"}
    labelled, _ = question_grams([task("t", f"{EIGHT} lid", "lid (mod_one)")], RUN)
    assert set(labelled.values()) == {"t"}, "a word of an entity's label counts as well"


def test_a_run_of_a_barred_page_that_an_allowed_page_has_too_tells_nothing() -> None:
    made = library(first=NINE, second=f"Said before: {EIGHT}, too", third=NINE)
    pages = page_grams(made, ["first#0"], RUN)
    assert pages == {}, "the third page says the same"
    pages = page_grams(made, ["first#0", "third#0"], RUN)
    assert pages == {tuple(NINE.split()[1:]): "first#0"}, "the second page has the other run"
    assert page_grams(made, [], RUN) == {}


def test_a_title_is_a_line_of_its_page() -> None:
    page = Document(id="p", title=EIGHT, text="Short.", source="p.md")
    made = Library.build([page])
    assert page_grams(made, ["p#0"], RUN) == {tuple(EIGHT.split()): "p#0"}


def test_each_kind_of_leak_is_counted_by_texts() -> None:
    made = library(barred=f"The page says {NINE}.", open="Something else altogether.")
    asked = [task("t1", "Which of the values has the setting `x_y` by default?", "x_y")]
    texts = [
        ("clean", "nothing here"),
        ("name", "set a_b and a_b again, then c_d"),
        ("question", "It has the setting `x_y` by default? I ask of the values has the setting x_y by default"),
        ("page", f"so {NINE}"),
        ("all", f"a_b\nof the values has the setting x_y by default\n{EIGHT}"),
    ]
    report = leaks(texts, held("c_d", "a_b", "plain", chunks=("barred#0",)), asked, made)
    assert (report.texts, report.name_hits, report.question_hits, report.chunk_hits) == (5, 2, 2, 2)
    assert report.examples == (
        "name: name 'a_b'",
        "question: question t1: 'of the values has the setting x_y by'",
        "page: chunk barred#0: 'one two three four five six seven eight'",
        "all: name 'a_b'",
    )
    assert not report.passed


def test_the_overlap_counts_runs_of_questions_template_words_included() -> None:
    asked = [task("t", f"{NINE} x_y", "x_y")]  # three runs, of which the last holds the entity
    report = leaks([("a", EIGHT), ("b", EIGHT)], NONE, asked)
    assert report.passed and report.overlap == pytest.approx(1 / 3, abs=1e-4)
    assert leaks([("a", EIGHT)], NONE, []).overlap == 0.0
    assert leaks([], NONE, asked).model_dump() == {
        "texts": 0,
        "name_hits": 0,
        "question_hits": 0,
        "chunk_hits": 0,
        "overlap": 0.0,
        "pages": 0,
        "examples": (),
    }


def test_only_so_many_examples_are_kept_and_all_are_counted() -> None:
    texts = [(f"t{n}", "see a_b") for n in range(SHOWN + 5)]
    report = leaks(texts, held("a_b"), [])
    assert (report.name_hits, len(report.examples), report.examples[-1]) == (25, 20, "t19: name 'a_b'")


def test_runs_may_be_shorter_and_short_questions_are_still_found() -> None:
    asked = [task("t", "What is the `lid` for, then?", "lid")]
    text = [("a", "I ask: what for? What is the lid for, then? Well")]
    assert leaks(text, NONE, asked).question_hits == 1
    assert leaks([("a", "is the lid for")], NONE, asked, run=4).question_hits == 1
    assert leaks([("a", "is the lid for")], NONE, asked).question_hits == 0


def report(names: int = 0, questions: int = 0, pages: int = 0) -> LeakReport:
    """A report of so many texts with leaks."""
    return LeakReport(
        texts=9, name_hits=names, question_hits=questions, chunk_hits=pages, overlap=0.5, examples=("a: it",)
    )


def test_one_leak_of_any_kind_fails_the_proof_and_is_told() -> None:
    assert report().passed
    report().check()
    for found in (report(names=1), report(questions=1), report(pages=1)):
        assert not found.passed
    with pytest.raises(ProofError) as caught:
        report(1, 2, 3).check()
    assert str(caught.value) == (
        "held-out exam in training text: 1 texts with names, 2 with questions, 3 with pages, e.g. 'a: it'; "
        "`retort show RUN KEY` opens the episode by the start of its key; where a prompt or tool of yours brings the "
        "words in, take them out; where the teacher does, hold out others: give [exam] another seed. Run again"
    )
