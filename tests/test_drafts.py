"""Drafts of questions: the form of a value, what a draft takes from its facts, and whether it tells its answer."""

from __future__ import annotations

from typing import Any

import pytest

from agents.corpus.facts import Fact
from agents.task import Hop
from distill.exam.drafts import Draft, draft, value_type
from distill.exam.evidence import Known


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("version", ["1.2.3", "v1.20.4", "7.64.1b2", "1.2.3a"]),
        ("flag", ["true", "OFF", "yes", "Enabled", "disable"]),
        ("none", ["None", "null", "unset", "()", "{}", "[]", "''", '""', "EMPTY"]),
        ("integer", ["0", "-1", "+5", "100"]),
        ("decimal", ["0.5", ".5", "-1.25", "1e9", "1.5e-3", "1.2"]),
        ("duration", ["60s", "5 ms", "1.5h", "2 weeks", "10minutes", "-1d", "3us", "1y"]),
        ("size", ["8k", "1MB", "2 GiB", "512B", "3 bytes", "1 bit"]),
        ("quantity", ["50%", "3 apples", "8 parsecs", "2.5x"]),
        ("option", ["-a", "--alt-svc", "--no.x"]),
        ("quoted", ["'x'", '"a b"', "b'raw'"]),
        ("argument", ["<file>", "<a b>"]),
        ("reference", ["$host", "$a b"]),
        ("word", ["gzip", "Größe"]),
        ("name", ["gzip_types", "http2"]),
        ("dotted", ["a.b", "ast.Expr.x"]),
        ("path", ["/etc/x", "a/b.c", "http://x/y"]),
        ("symbol", ["!x", "a:b", "="]),
        ("list", ["a, b", "a,b,c d"]),
        ("text", ["two words", "a  b"]),
    ],
)
def test_the_form_of_a_value(form: str, values: list[str]) -> None:
    assert {value: value_type(value) for value in values} == dict.fromkeys(values, form)


def known(entity: str, value: str, **more: Any) -> Known:
    """A fact with its evidence."""
    fields = {"entity": entity, "attribute": f"size of {entity}", "value": value, "source": f"{entity}.md"}
    fact = Fact.model_validate(fields | more)
    hop = Hop(entity=f"{entity}!", attribute=fact.attribute, value=value, quote=value, chunk=f"{entity}#0", title="t")
    return Known(fact=fact, label=f"{entity}!", hop=hop)


def module(item: Known) -> str | None:
    """The module of a fact."""
    return item.fact.module


def test_a_draft_is_about_its_facts_in_reading_order() -> None:
    one, two = known("a", "1", module="m", group="g", family="f"), known("b", "2", group="g")
    made = draft(
        "pair", "professional", "Q?", "1 and 2", [one, two, one], module,
        stated=["x"], parts=["1", "2"], square=["1 and 2", "2 and 1"], block="a|b",
    )  # fmt: skip
    assert made == Draft(
        kind="pair",
        level="professional",
        question="Q?",
        gold="1 and 2",
        attribute="size of a",
        hops=(one.hop, two.hop, one.hop),
        entities=("a", "b"),
        group="g",
        groups=("g",),
        modules=("m", None, "m"),
        stated=("x",),
        parts=("1", "2"),
        square=("1 and 2", "2 and 1"),
        block="a|b",
        cell="",
        provenance=(("attribute", "size of a"), ("family", "f"), ("source", "a.md")),
    )


def test_the_attribute_and_the_family_are_of_the_last_fact_group_and_source_of_the_first() -> None:
    made = draft("bridge", "professional", "Q?", "2", [known("a", "b"), known("b", "2")], module)
    assert (made.group, made.groups, made.attribute) == ("a", ("a", "b"), "size of b")
    assert dict(made.provenance) == {"attribute": "size of b", "family": "size of b", "source": "a.md"}
    assert (made.stated, made.parts, made.square, made.block) == ((), (), (), "")


def test_a_draft_is_answered_where_its_gold_is_told_in_any_notation() -> None:
    def told(gold: str, *values: str) -> bool:
        return draft("call", "consultant", "Q?", gold, [known("a", "1")], module, stated=values).answered

    assert told("5", "5") and told("'x'", "x") and told("5", "7", "`5`")
    assert not told("5") and not told("5", "7") and not told("x", "X")
    assert draft("call", "consultant", "Q?", "b, a", [known("a", "1")], module).key == "a, b"
