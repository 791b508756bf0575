"""Leaks of names of several words: a name that begins as a held-out one does is none of its mentions."""

from __future__ import annotations

import pytest

from agents.corpus.documents import Document
from agents.corpus.library import Library
from agents.errors import ProofError
from agents.task import Task
from distill.exam.names import Names
from distill.exam.split import HeldOut
from distill.leaks import grams, leaks, split_words

LONG, SHORT, OTHER = "North Isle of Fog and Mist", "North Isle", "Old North Isle"


def asked(entity: str) -> str:
    """A look-up of nine words with a name of one."""
    return f"Tell me what the dialling code of `{entity}` is, please."


def task(entity: str) -> Task:
    """A held-out look-up."""
    return Task(
        id=f"t-{entity}", question=asked(entity), gold="1", level="engineer", kind="lookup", entities=(entity,),
        group=entity, split="test",
    )  # fmt: skip


def held(*entities: str, longer: tuple[str, ...] = (), chunks: tuple[str, ...] = ()) -> HeldOut:
    """A held-out list."""
    return HeldOut(entities=entities, groups=entities, modules=(), chunks=chunks, longer=longer)


def test_a_name_of_several_words_is_one_word() -> None:
    whole = Names([LONG, SHORT, "Where="])
    assert split_words(f"the {LONG}, {SHORT}: Where=on.", whole) == ["the", LONG, SHORT, "Where=", "on"]
    assert split_words(f"the {SHORT}", None) == ["the", "North", "Isle"]
    assert list(grams(f"a {SHORT} b", 2, whole=whole)) == [("a", SHORT), (SHORT, "b")]


def test_a_question_about_a_name_that_begins_as_a_held_out_one_does_is_no_leak() -> None:
    """`... code of North Isle` are the first eight words of the held-out question, cut within the name."""
    report = leaks([("q", asked(SHORT)), ("w", f"the dialling code of `{SHORT}`")], held(LONG), [task(LONG)])
    assert report.passed and report.question_hits == report.name_hits == 0
    assert leaks([("q", asked(LONG))], held(LONG), [task(LONG)]).question_hits == 1


@pytest.mark.parametrize("other", [LONG, OTHER])
def test_a_longer_name_is_no_mention_of_the_held_out_one_within_it(other: str) -> None:
    out = held(SHORT, longer=(LONG, OTHER))
    text = f"{asked(other)}\nThe {other} is wet."
    assert leaks([("q", text)], out, [task(SHORT)]).passed
    found = leaks([("q", asked(SHORT)), ("p", f"The {SHORT} is wet.")], out, [task(SHORT)])
    assert (found.question_hits, found.name_hits) == (1, 2)


def test_names_that_begin_alike_are_told_apart_in_pages_too() -> None:
    said = "is the wettest of all the isles that are there"
    pages = {"short": f"The {SHORT} {said}.", "long": f"The {LONG} {said}."}
    library = Library.build([Document(id=n, title=n, text=text, source=n) for n, text in pages.items()])
    out = held(LONG, chunks=("long#0",))
    assert leaks([("short", pages["short"])], out, [], library).passed
    assert leaks([("long", pages["long"])], out, [], library).chunk_hits == 1


def test_the_message_names_a_step_that_helps() -> None:
    text = "Set pump_rate high."
    library = Library.build([Document(id="p", title="p", text=text, source="p")])
    with pytest.raises(ProofError, match=r"retort show RUN KEY.* give \[exam\] another seed"):
        leaks([("0123abc", text)], held("pump_rate"), [], library).check()
    report = leaks([("0123abc", text), ("p#0", text), ("q#0", text)], held("pump_rate"), [], library)
    assert (report.pages, report.name_hits) == (1, 3)
    with pytest.raises(ProofError, match=r"1 of them are pages.*remove exam.jsonl from the run folder and run again"):
        report.check()
