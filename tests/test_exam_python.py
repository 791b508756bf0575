"""The exam of a part of the running interpreter's standard library: calls are bound, examples evaluated."""

from __future__ import annotations

import inspect
import random
from collections import Counter

import pytest
from exam_parts import check

from agents.answers import normalise
from agents.corpus.facts import Fact
from agents.corpus.library import Library
from agents.corpus.sources.stdlib import Stdlib, documents, facts
from distill.exam.build import Exam, ExamConfig, build_exam
from distill.exam.kinds import kinds_of
from distill.exam.live import bound, evaluate, other_value, required, resolve, settable
from distill.exam.paraphrase import as_asked

CONFIG = ExamConfig(train=200, dev=20, test=60, held_out=0.3)
MODULES = {
    "argparse", "ast", "asyncio", "base64", "bisect", "builtins", "calendar", "codecs", "collections", "concurrent",
    "contextlib", "csv", "dataclasses", "datetime", "decimal", "difflib", "email", "fractions", "functools", "glob",
    "gzip", "hashlib", "heapq", "html", "http", "imaplib", "inspect", "io", "itertools", "json", "logging", "math",
    "multiprocessing", "os", "pathlib", "pprint", "queue", "random", "re", "shlex", "shutil", "smtplib", "socket",
    "sqlite3", "statistics", "string", "struct", "subprocess", "tarfile", "tempfile", "textwrap", "threading", "time",
    "tokenize", "turtle", "types", "typing", "unittest", "urllib", "uuid", "xml", "zipfile",
}  # fmt: skip
"""A part that has every kind of question, examples among them; the whole takes three times as long."""
Made = tuple[list[Fact], Library, Exam]


@pytest.fixture(scope="module")
def python() -> Made:
    found = [fact for fact in facts() if (fact.module or "builtins").partition(".")[0] in MODULES]
    pages = {fact.entity for fact in found} | MODULES
    library = Library.build([page for page in documents() if page.id in pages or page.id.partition(".")[0] in MODULES])
    return found, library, build_exam(found, library, CONFIG, kinds_of((), Stdlib.kinds))


def test_what_holds_of_every_exam(python: Made) -> None:
    check(*python, CONFIG)
    exam = python[2]
    assert exam.counts["facts"] == {"given": len(python[0]), "usable": len(python[0])}
    assert {task.kind for task in exam.tasks} == {"lookup", "bridge", "pair", "call", "example"}
    sizes = Counter(task.split for task in exam.tasks)
    assert (sizes["train"], sizes["test"]) == (200, 60)
    assert 10 <= sizes["dev"] <= 20, "it has what it can"


def test_held_out_modules_are_barred_whole(python: Made) -> None:
    """The module's own page, and those of its entities without facts, too."""
    _, library, exam = python
    held = exam.held_out.modules
    assert held
    assert any(task.unseen_module for task in exam.tasks)
    pages = {page.id for page in documents()}
    for module in held:
        below = {name for name in pages if name == module or name.startswith(f"{module}.")}
        others = {fact.module for fact in python[0]} - {module}
        below = {name for name in below if not any(str(other).startswith(f"{module}.") for other in others)}
        chunks = {chunk.id for chunk in library.chunks if chunk.document in below}
        assert chunks <= set(exam.held_out.chunks), module


def test_calls_are_really_bound(python: Made) -> None:
    calls = [as_asked(task) for task in python[2].tasks if task.kind == "call"]
    unset = [task for task in calls if normalise(task.gold) == normalise(task.hops[0].value)]
    assert len(calls) >= 30
    assert len(unset) / len(calls) >= 0.8, "few are set in the call, and can be read there"
    for task in calls:
        source, asked = task.question.split("`")[1], task.question.split("`")[3]
        module = next(f.module for f in python[0] if f.entity == task.entities[0])
        signature = inspect.signature(resolve(task.entities[0], module))
        assert bound(source, signature, asked) == task.gold


def test_examples_return_what_the_manual_says(python: Made) -> None:
    shown = [as_asked(task) for task in python[2].tasks if task.kind == "example"]
    assert shown
    for task in shown:
        assert task.hops[0].quote.endswith(f"# {task.gold}")
        assert task.question.startswith("What does `")


def test_a_bridge_names_its_first_entity_alone(python: Made) -> None:
    for task in map(as_asked, python[2].tasks):
        if task.kind == "bridge":
            assert f"`{task.hops[0].entity}`" in task.question
            assert f"`{task.hops[1].entity}`" not in task.question


def called(a: int, b: str = "x", *rest: int, key: float = 0.5, _own: int = 1, need: int) -> None:
    """A function to be called."""


def test_a_call_is_bound_as_python_does() -> None:
    signature = inspect.signature(called)
    assert bound("called(a, need=need)", signature, "b") == "'x'"
    assert bound("called(a, 'y', need=need)", signature, "b") == "'y'"
    assert bound("called(a, need=need, key=2.0)", signature, "key") == "2.0"
    assert bound("called(a, need=need)", signature, "a") is None, "what the question leaves open has no value"
    assert bound("called(need=need)", signature, "b") is None, "an argument is missing"
    assert bound("called(a, need=need, other=1)", signature, "b") is None
    assert settable(signature) == ["b", "key"]
    assert required(signature) == (["a"], ["need"])


@pytest.mark.parametrize("default", [True, 3, 0.5, "x", None])
def test_what_is_set_is_not_the_default(default: object) -> None:
    rng = random.Random(0)
    assert repr(default) not in {other_value(default, rng) for _ in range(50)}


def test_a_runaway_example_ends_and_counts_as_none() -> None:
    assert evaluate([([], "1 + 1"), ([], "1 / 0"), (["no_such_module"], "1")]) == ["2", None, None]
    assert evaluate([([], "sum(iter(int, 1))")], seconds=0.5) == [None]
