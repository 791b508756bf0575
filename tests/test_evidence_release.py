"""Releases without a dot: whole numbers are versions where the attribute and all its values say so."""

from __future__ import annotations

import random

import pytest

from agents.corpus.documents import Document
from agents.corpus.facts import Fact
from agents.corpus.library import Library
from distill.exam.evidence import find_evidence
from distill.exam.scenarios import is_release, releases, version


def facts(attribute: str, *values: str) -> list[Fact]:
    """One setting a value."""
    return [
        Fact(entity=f"pump_{at}", attribute=attribute, value=value, source="p.md", section=f"pump_{at}")
        for at, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("attribute", "values", "release"),
    [
        ("added in version", ("257", "9", "31"), True),
        ("first Release", ("257", "9.1", "v31"), True),
        ("added in version", ("257", "9", "unknown"), False),
        ("weight", ("257", "9", "31"), False),
        ("weight", ("2.57", "9.1.3", "3.1"), True),
        ("added in version", (), False),
    ],
)
def test_whole_numbers_are_releases_where_the_attribute_and_all_values_say_so(
    attribute: str, values: tuple[str, ...], release: bool
) -> None:
    assert is_release(facts(attribute, *values)) is release


def test_a_whole_number_alone_is_no_version() -> None:
    assert version("257") is None and version("257", whole=True) == (257,)
    assert version("2.5", whole=True) == version("2.5") == (2, 5)


@pytest.mark.parametrize(("attribute", "asked"), [("added in version", True), ("weight", False)])
def test_of_two_whole_releases_the_later_one_is_asked_for(attribute: str, asked: bool) -> None:
    rows = facts(attribute, *(str(9 + 13 * at) for at in range(12)))
    page = "".join(f"## {row.entity}\n\n{attribute.capitalize()}: {row.value}\n\n" for row in rows)
    library = Library.build([Document(id="p", title="P", text=page, source="p.md")])
    known = find_evidence(rows, library).known
    assert len(known) == 12
    drafts = releases(known, random.Random(0), lambda item: None, 20)
    assert bool(drafts) is asked
    for draft in drafts:
        assert int(draft.gold) == max(int(hop.value) for hop in draft.hops)
