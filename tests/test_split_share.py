"""The share of barred chunks is never exceeded, and names that look like words are barred where they are none."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from agents.corpus.documents import Document
from agents.corpus.facts import Fact
from agents.corpus.library import Library
from agents.errors import ExamError
from distill.exam.build import ExamConfig, build_exam
from distill.exam.evidence import Known, find_evidence
from distill.exam.split import Division, HeldOut, divide, told_apart

LANDS = [
    f"{first}{last}" for first in ("Fog", "Rain", "Mist", "Dew", "Hail") for last in ("land", "ia", "mark", "ania")
]


def table(rows: int) -> tuple[Library, list[Fact]]:
    """Pages with tables of `rows` lands each, which share a chunk."""
    pages, facts = [], []
    for at in range(0, len(LANDS), rows):
        lines = ["| land | code |", "| --- | --- |"]
        for number, land in enumerate(LANDS[at : at + rows], at):
            lines.append(f"| {land} | +{300 + number} |")
            row = {"entity": land, "attribute": "code", "value": f"+{300 + number}", "source": f"p{at}.md"}
            facts.append(Fact.model_validate({**row, "section": "Lands", "quote": lines[-1]}))
        text = f"# Page {at}\n\n## Lands\n\n" + "\n".join(lines) + "\n\n## Words\n\nNothing is said here.\n"
        pages.append(Document(id=f"p{at}", title=f"Page {at}", text=text, source=f"p{at}.md"))
    return Library.build(pages), facts


def known(library: Library, facts: Sequence[Fact]) -> list[Known]:
    """All of them."""
    found = find_evidence(facts, library)
    assert not found.dropped
    return found.known


def divided(
    library: Library, facts: Sequence[Fact], seed: int = 0, most: float = 0.35, share: float = 0.25
) -> Division:
    """A division without whole modules."""
    return divide(known(library, facts), library, random.Random(seed), share, 0.0, 0.0, most)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("modules", [0.0, 0.5])
def test_no_more_chunks_are_barred_than_may_be(seed: int, modules: float) -> None:
    """Four rows share one of ten chunks: any five rows held out bar up to half of them."""
    library, facts = table(4)
    made = divide(known(library, facts), library, random.Random(seed), 0.4, modules, 0.0, 0.2)
    assert 0 < len(made.held_out.chunks) <= 0.2 * len(library.chunks)
    assert len(made.held_out.groups) == 8 or made.fewer() == {
        "fewer groups": f"{len(made.held_out.groups)} of {made.wanted}, so as not to bar more chunks"
    }
    barred = {item.group for item in known(library, facts) if item.hop.chunk in made.held_out.chunks}
    assert set(made.held_out.groups) <= barred


def test_fewer_groups_are_said_in_the_counts() -> None:
    library, facts = table(4)
    made = divided(library, facts, most=0.1)
    assert made.fewer() == {"fewer groups": "4 of 5, so as not to bar more chunks"}
    assert divided(library, facts, most=1.0).fewer() == {}


def test_where_nothing_can_be_held_out_the_error_says_what_can_be_done() -> None:
    library, facts = table(20)
    with pytest.raises(
        ExamError,
        match=r"lose 0 of 2 passages \(\[exam\] barred = 0.35\).*bars 1 or more; raise barred to 0.51 or more, or give "
        "each entity a heading of its own",
    ):
        build_exam(facts, library, ExamConfig(train=10, test=5))
    assert divided(library, facts, most=0.51).held_out.groups


def document(name: str, *sections: str) -> Document:
    """A page."""
    return Document(id=name, title=name, text="\n\n".join(sections), source=f"{name}.md")


def pages(**sections: int) -> Library:
    """So many sections with each text; `_` in a text's name is a blank."""
    texts = [
        f"## S{at}{n}\n\n{text.replace('_', ' ')}\n" for at, text in enumerate(sections) for n in range(sections[text])
    ]
    return Library.build([document("p", *texts)])


@pytest.mark.parametrize(
    ("names", "library", "apart"),
    [
        ({"Fogland"}, pages(in_Fogland_it_is_wet=5), {"Fogland"}),
        ({"Group"}, pages(a_group_of_it=30, the_Group_says=5), set()),
        ({"Group"}, pages(a_group_of_it=3, the_Group_says=1), {"Group"}),
        ({"Group"}, pages(a_group_of_it=4, the_Group_says=1), set()),
        ({"Group"}, pages(a_group_of_it=4, the_Group_says=16), {"Group"}),
        ({"rest"}, pages(nothing_of_it=3), set()),
        (
            {"Where=", "where="},
            Library.build([document("p", *9 * ["## x\n\nset where=1 or Where=2\n"])]),
            {"Where=", "where="},
        ),
    ],
)
def test_a_name_is_a_plain_word_where_its_lower_case_form_is_common(
    names: set[str], library: Library, apart: set[str]
) -> None:
    assert told_apart(names, {}, library) == apart


def test_the_lower_case_form_in_the_names_own_chunks_does_not_count() -> None:
    library = pages(a_group_of_it=4, the_Group_says=1)
    own = {"Group": {chunk.id for chunk in library.chunks}}
    assert told_apart({"Group"}, own, library) == {"Group"}


def lands(extra: str = "") -> tuple[Library, list[Fact]]:
    """A section a land, and a page of other text."""
    names = [*LANDS, "North Fogland", "biff"]
    text = "".join(f"## {land}\n\nCode: +{300 + at}\n\n" for at, land in enumerate(names))
    facts = [
        Fact(entity=land, attribute="code", value=f"+{300 + at}", source="p.md", section=land)
        for at, land in enumerate(names)
    ]
    return Library.build([document("p", text), document("x", extra)]), facts


def test_a_page_that_names_a_held_out_land_is_barred() -> None:
    library, facts = lands(
        "## One\n\nFogland is wet.\n\n## Two\n\nNorth Fogland is dry.\n\n## Three\n\nThe biff is set.\n"
    )
    held = set()
    for seed in range(12):
        out = divided(library, facts, seed, most=0.6, share=0.4).held_out
        assert set(out.entities) - {"biff"} <= out.names
        for name, chunk in (("Fogland", "x#0"), ("North Fogland", "x#1"), ("biff", "x#2")):
            assert (chunk in out.chunks) == (name in out.entities), "a longer name is no mention of a shorter one"
        assert ("North Fogland" in out.longer) == ("Fogland" in out.entities and "North Fogland" not in out.entities)
        held |= set(out.entities)
    assert {"Fogland", "North Fogland", "biff"} <= held


def test_old_files_of_held_out_names_are_read() -> None:
    old = {"entities": ["a_b", "plain"], "groups": [], "modules": [], "chunks": []}
    read = HeldOut.model_validate(old)
    assert read.names == {"a_b"} and read.matcher().within("plain a_b") == {"a_b"}
