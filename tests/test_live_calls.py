"""Scenarios on the live Python library: calls are really bound, examples really run, and only what holds is asked."""

from __future__ import annotations

import inspect
import json
import random
import statistics
from collections.abc import Callable
from typing import Any

import pytest

from agents.corpus.facts import Fact
from agents.task import Hop
from distill.exam.drafts import Draft
from distill.exam.evidence import Known
from distill.exam.live import (
    LONG_CALL,
    bound,
    calls,
    evaluate,
    examples,
    other_value,
    required,
    resolve,
    runnable,
    settable,
)


def known(entity: str, attribute: str, value: str, module: str | None = None, **more: Any) -> Known:
    """A fact of the standard library with its evidence."""
    fact = Fact.model_validate(
        {"entity": entity, "attribute": attribute, "value": value, "source": "python:x", "module": module} | more
    )
    hop = Hop(entity=entity, attribute=attribute, value=value, quote=value, chunk=f"{entity}#0", title=entity)
    return Known(fact=fact, label=entity, hop=hop)


def default(entity: str, name: str, value: str, module: str | None = None) -> Known:
    """The default of a parameter."""
    return known(entity, f"default of `{name}`", value, module, family="default")


def asked(rows: list[Known], seed: int = 0) -> list[Draft]:
    """Questions about calls."""
    return calls(rows, random.Random(seed), lambda item: item.fact.module)


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """Of a function made up here."""
    return inspect.signature(function)


def test_an_entity_is_found_by_its_name_in_its_module() -> None:
    assert resolve("statistics.mean", "statistics") is statistics.mean
    assert resolve("json.JSONDecoder.decode", "json") is json.JSONDecoder.decode
    assert resolve("str.split", None) is resolve("str.split", "builtins") is str.split
    assert resolve("len", None) is len
    assert resolve("statistics.nothing", "statistics") is None
    assert resolve("statistics.nothing.more", "statistics") is None
    assert resolve("x", "no_such_module") is None


def sample(a: int, b: int = 2, *rest: int, c: int = 3, _d: int = 4, e: object = object(), **more: int) -> None:
    """A function with every kind of parameter."""


def test_a_call_is_bound_as_python_binds_it() -> None:
    found = signature(sample)
    assert bound("f(1)", found, "b") == "2" and bound("f(1)", found, "c") == "3"
    assert bound("f(1, 7)", found, "b") == "7" and bound("f(1, c='x')", found, "c") == "'x'"
    assert bound("f(a=-5)", found, "a") == "-5" and bound("f([1, 2])", found, "a") is None
    assert bound("f(1, 2, 3, 4)", found, "rest") == "(3, 4)"


def test_a_call_that_does_not_bind_or_leaves_the_value_open_has_none() -> None:
    found = signature(sample)
    assert bound("f()", found, "b") is None
    assert bound("f(1, a=2)", found, "a") is None
    assert bound("f(obj)", found, "a") is None, "the argument is not given"
    assert bound("f(obj)", found, "b") == "2", "but the others are"
    assert bound("f(1)", found, "e") is None, "an object has no stable text"
    assert bound("f(1 + n)", found, "a") is None
    assert bound("f(1)", found, "no_such") is None, "there is no such parameter, so it is not None"


def test_parameters_that_a_caller_can_set_and_must_give() -> None:
    def keywords(x: int, /, y: int, *, z: int, w: int = 1, lone: object = object(), _hidden: int = 2) -> None:
        """One keyword can be set."""

    def positional(x: int = 1, /, y: int = 2) -> None:
        """The first can only be given by place."""

    assert settable(signature(keywords)) == ["w"]
    assert settable(signature(positional)) == ["y"]
    assert settable(signature(sample)) == ["b", "c"]
    assert required(signature(keywords)) == (["x", "y"], ["z"])
    assert required(signature(sample))[0][0] == "a"
    assert required(signature(positional)) == ([], [])


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, bool), (False, bool), (5, int), (0, int), (2.0, float), (0.25, float), ("x", str), ("utf-8", str)],
)
def test_another_value_is_of_the_same_type_and_really_another(value: object, kind: type) -> None:
    rng = random.Random(0)
    found = {other_value(value, rng) for _ in range(200)}
    assert repr(value) not in found
    assert all(type(eval_literal(text)) is kind for text in found)
    assert len(found) == (1 if kind is bool else len(found)) and (kind is bool or len(found) > 3)


def eval_literal(text: str) -> object:
    """The value that a literal stands for."""
    import ast

    return ast.literal_eval(text)


def test_where_the_default_is_none_any_plain_value_is_set() -> None:
    rng = random.Random(0)
    found = {type(eval_literal(other_value(None, rng))) for _ in range(200)}
    assert found == {int, bool, str}
    assert "None" not in {other_value(None, rng) for _ in range(200)}


SPLIT = [default("str.split", "sep", "None"), default("str.split", "maxsplit", "-1")]


def test_a_question_about_a_call_is_answered_by_binding_it() -> None:
    rows = [*SPLIT, default("statistics.quantiles", "n", "4", "statistics")]
    questions = [draft for seed in range(20) for draft in asked(rows, seed)]
    assert {draft.entities[0] for draft in questions} == {"str.split", "statistics.quantiles"}
    for draft in questions:
        source, parameter = draft.question.split("`")[1], draft.question.split("`")[3]
        entity, module = draft.entities[0], draft.modules[0]
        assert source.startswith(f"{entity}(")
        assert draft.gold == bound(source, inspect.signature(resolve(entity, module)), parameter)
        assert draft.attribute == f"default of `{parameter}`"
        assert (draft.kind, draft.level) == ("call", "consultant")
    said = {draft.question.split("`")[2] + draft.question.split("`")[4] for draft in questions}
    assert said == {
        ". Which value does its parameter  have inside the call?",
        ". What is  inside the call?",
    }


def test_most_questions_leave_the_parameter_alone_and_the_others_tell_the_answer() -> None:
    questions = [draft for seed in range(150) for draft in asked(SPLIT, seed)]
    told = [draft for draft in questions if draft.answered]
    assert 0.04 < len(told) / len(questions) < 0.22
    for draft in questions:
        parameter = draft.question.split("`")[3]
        source = draft.question.split("`")[1]
        assert draft.answered == (f"{parameter}=" in source)
        assert draft.stated and source.endswith(f"={draft.stated[0]})")
        if not draft.answered:
            assert draft.gold == draft.hops[0].value


def test_required_arguments_are_named_and_a_call_may_set_nothing() -> None:
    quantiles = [default("statistics.quantiles", "n", "4", "statistics")]
    sources = {draft.question.split("`")[1] for seed in range(9) for draft in asked(quantiles, seed)}
    assert all(source.startswith("statistics.quantiles(data, ") for source in sources)
    (only,) = asked([default("sum", "start", "0")], 1)
    assert only.question.split("`")[1] == "sum(iterable)" and only.stated == () and only.gold == "0"


def test_keyword_only_arguments_are_passed_by_name() -> None:
    rows = [default("shutil.make_archive", "verbose", "0", "shutil")]
    for seed in range(6):
        for draft in asked(rows, seed):
            assert draft.question.split("`")[1].startswith("shutil.make_archive(base_name, format")


def test_what_the_manual_says_otherwise_than_python_binds_is_not_asked() -> None:
    wrong = [default("sum", "start", "7")]
    assert all(draft.answered for seed in range(40) for draft in asked(wrong, seed))


def test_what_is_set_is_of_the_parameters_own_type() -> None:
    rows = [default("statistics.quantiles", "n", "4", "statistics"), *SPLIT]
    types = {"n": int, "method": str, "maxsplit": int}
    set_to: dict[str, set[type]] = {}
    for seed in range(40):
        for draft in asked(rows, seed):
            name = draft.question.split("`")[1].rpartition(", ")[2].partition("=")[0]
            set_to.setdefault(name, set()).add(type(eval_literal(draft.stated[0])))
    assert {name: set_to[name] for name in types} == {name: {kind} for name, kind in types.items()}


def test_what_cannot_be_resolved_or_is_no_parameter_is_left_out() -> None:
    nothing = default("statistics.nothing", "n", "4", "statistics")
    assert asked([nothing]) == [] and len(asked([nothing, *SPLIT])) == 2
    assert asked([known("str.split", "module", "builtins")]) == []
    assert asked([default("str.split", "no_such", "None")]) == []


def test_a_long_call_is_left_out() -> None:
    rows = [default("subprocess.Popen", "bufsize", "-1", "subprocess"), *SPLIT]
    for seed in range(10):
        for draft in asked(rows, seed):
            assert len(draft.question.split("`")[1]) <= LONG_CALL


def test_an_answer_never_stands_in_the_question_by_accident() -> None:
    rows = [default("statistics.quantiles", "n", "4", "statistics"), default("sum", "start", "0"), *SPLIT]
    for seed in range(60):
        for draft in asked(rows, seed):
            parameter = draft.question.split("`")[3]
            assert not draft.answered or f"{parameter}={draft.gold}" in draft.question


def test_the_same_seed_asks_the_same() -> None:
    rows = [*SPLIT, default("sum", "start", "0")]
    assert asked(rows, 3) == asked(rows, 3)
    assert len({tuple(draft.question for draft in asked(rows, seed)) for seed in range(6)}) > 1


def test_expressions_are_evaluated_together_and_what_fails_is_none() -> None:
    rows: list[tuple[list[str], str]] = [
        ([], "1 + 1"),
        (["statistics"], "statistics.mean([1, 3])"),
        (["os.path"], "os.path.basename('a/b')"),
        ([], "1 / 0"),
        (["no_such_module"], "1"),
        ([], "'é'"),
        ([], "statistics.mean([1])"),
    ]
    assert evaluate(rows) == ["2", "2", "'b'", None, None, "'é'", None]
    assert evaluate([]) == []


def test_a_runaway_or_printing_example_ends() -> None:
    assert evaluate([([], "1"), ([], "sum(iter(int, 1))")], seconds=0.5) == [None, None]
    assert evaluate([([], "print('[]')"), ([], "3")]) == ["None", "3"]
    assert evaluate([([], "__import__('os')._exit(3)")]) == [None]


MEAN = known("statistics.mean", "result of `mean([1, 2, 3])`", "2", "statistics", family="example")


def test_an_example_is_asked_as_a_program_would_write_it() -> None:
    assert runnable(MEAN) == "statistics.mean([1, 2, 3])"
    assert runnable(known("statistics.mean", "result of `mean([1])`", "1", "statistics")) is None
    assert runnable(known("statistics.mean", "default of `x`", "1", "statistics", family="example")) is None
    assert runnable(known("statistics.mean", "the result of `mean([1])`", "1", family="example")) is None


def test_only_examples_that_give_what_the_manual_says_are_asked() -> None:
    rows = [
        MEAN,
        known("statistics.mean", "result of `mean([1, 2])`", "1", "statistics", family="example"),  # it is 1.5
        known("statistics.mean", "result of `mean([])`", "0", "statistics", family="example"),  # it raises
        known("len", "result of `len('abc')`", "3", family="example"),
        known("len", "module", "builtins"),
    ]
    found = examples(rows, random.Random(0), lambda item: item.fact.module)
    assert {(draft.question, draft.gold) for draft in found} == {
        ("What does `statistics.mean([1, 2, 3])` return?", "2"),
        ("What does `len('abc')` return?", "3"),
    }
    assert all((draft.kind, draft.level) == ("example", "consultant") for draft in found)
    assert {draft.modules for draft in found} == {("statistics",), (None,)}
