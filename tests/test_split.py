"""Dividing an exam: groups and modules held out whole, their pages barred, names looked for as whole names."""

from __future__ import annotations

import random
from typing import Any

import pytest

from agents.corpus.documents import Document
from agents.corpus.facts import Fact
from agents.corpus.library import Library
from agents.errors import ExamError
from distill.exam.evidence import Known, find_evidence
from distill.exam.names import Names, distinctive, tokens
from distill.exam.split import (
    Division,
    HeldOut,
    choose_groups,
    choose_modules,
    chunk_text,
    divide,
    module_of,
    of_modules,
    owned,
    pages_hold_several,
)

PAGES = {
    "hot": ("kettle", "boiler", "steamer", "whistle"),
    "cold": ("fridge", "freezer", "cooler", "icebox"),
    "wet": ("pump", "valve", "drain", "tap"),
    "dry": ("towel", "fan", "heater", "dryer"),
}


def manual(pages: dict[str, tuple[str, ...]] = PAGES, extra: str = "") -> Library:
    """One page a name, one section an entity with its weight; `extra` is a page of its own."""
    documents = []
    for at, (page, entities) in enumerate(pages.items()):
        parts = [f"# {page.title()} things\n"]
        parts += [f"## {name}\n\nThe {name} is here.\n\nWeight: {at}{n}0 grams\n" for n, name in enumerate(entities, 1)]
        documents.append(Document(id=page, title=f"{page.title()} things", text="\n".join(parts), source=f"{page}.md"))
    if extra:
        documents.append(Document(id="extra", title="Extra", text=extra, source="extra.md"))
    return Library.build(documents)


def facts(pages: dict[str, tuple[str, ...]] = PAGES, **more: Any) -> list[Fact]:
    """The weight of each entity."""
    return [
        Fact.model_validate(
            {
                "entity": name,
                "attribute": "weight",
                "value": f"{at}{n}0 grams",
                "source": f"{page}.md",
                "section": name,
                **more,
            }
        )
        for at, (page, entities) in enumerate(pages.items())
        for n, name in enumerate(entities, 1)
    ]


def known(rows: list[Fact], library: Library) -> list[Known]:
    """All of them, with their evidence."""
    found, dropped, _, _ = find_evidence(rows, library)
    assert not dropped
    return found


def divided(
    rows: list[Known], library: Library, *, seed: int = 0, share: float = 0.5, modules: float = 0.25, dev: float = 0.25,
    most: float = 0.6,
) -> Division:  # fmt: skip
    """A division of them."""
    return divide(rows, library, random.Random(seed), share, modules, dev, most)


LIBRARY = manual()
KNOWN = known(facts(), LIBRARY)
HOME = {item.fact.entity: item.hop.chunk for item in KNOWN}


@pytest.mark.parametrize("seed", range(6))
def test_the_sections_of_held_out_entities_are_barred_and_those_of_the_others_are_not(seed: int) -> None:
    """The names are plain words that are looked for nowhere: only that the section is theirs bars it."""
    division = divided(KNOWN, LIBRARY, seed=seed)
    held = set(division.held_out.entities)
    assert set(division.held_out.chunks) == {HOME[name] for name in held}
    assert held == {name for name, side in division.side.items() if side == "test"}
    assert 0 < len(held) <= 8


def test_later_pieces_of_a_held_out_section_are_barred_too() -> None:
    long = "\n\n".join(f"Paragraph {n} of it, which is as long as a paragraph usually is. " * 4 for n in range(12))
    page = f"# P\n\n## kettle\n\nWeight: 10 grams\n\n{long}\n\n## fridge\n\nWeight: 20 grams\n\n{long}\n"
    library = Library.build([Document(id="p", title="P", text=page, source="p.md")])
    rows = [
        Fact(entity=name, attribute="weight", value=value, source="p.md", section=name)
        for name, value in (("kettle", "10 grams"), ("fridge", "20 grams"))
    ]
    division = divided(known(rows, library), library, modules=0.0)
    (name,) = division.held_out.entities
    sections = {chunk.id for chunk in library.chunks if chunk.title == f"P > {name}"}
    assert len(sections) > 1 and set(division.held_out.chunks) == sections


@pytest.mark.parametrize("seed", range(6))
def test_a_page_of_several_entities_is_held_out_as_a_module(seed: int) -> None:
    """Facts name no module, so pages are: one of four is held out whole, and nothing of it is trained."""
    division = divided(KNOWN, LIBRARY, seed=seed)
    (page,) = division.held_out.modules
    members = {item.group for item in KNOWN if item.fact.source == page}
    assert len(members) == 4
    assert all(division.side[name] == "test" for name in members)


def test_a_held_out_module_takes_all_its_chunks_along_those_without_facts_too() -> None:
    text = "# {0}\n\n## {0}_one\n\nWeight: 10 grams\n\n## {0}_two\n\nWeight: 20 grams\n\n## history\n\nOld.\n"
    names = ("hot", "cold", "wet", "dry")
    library = Library.build([Document(id=n, title=n, text=text.format(n), source=f"{n}.md") for n in names])
    rows = [
        Fact(entity=f"{n}_{end}", attribute="weight", value=value, source=f"{n}.md", section=f"{n}_{end}")
        for n in names
        for end, value in (("one", "10 grams"), ("two", "20 grams"))
    ]
    for seed in range(6):
        held = divided(known(rows, library), library, seed=seed, most=1.0).held_out
        (page,) = held.modules
        whole = {chunk.id for chunk in library.chunks if chunk.document == page.removesuffix(".md")}
        assert len(whole) == 3 and whole <= set(held.chunks)
        history = {chunk.id for chunk in library.chunks if chunk.title.endswith("history")}
        assert len(history & set(held.chunks)) == 1, "of the other pages only what is about held-out entities"


def test_a_page_belongs_to_the_module_of_its_facts_or_of_the_nearest_name_above_it() -> None:
    names = ("pkg.sub.Box", "pkg.sub", "pkg", "pkg.sub.deep.er", "pkg.subs", "other.x", "mixed")
    documents = [
        Document(id=n, title=n, text="Weight: 10 grams, height: 20 cm, says pkg and mixed\n", source=n) for n in names
    ]
    library = Library.build(documents)

    def row(source: str, module: str, attribute: str = "weight", value: str = "10 grams") -> Fact:
        quote = f"{attribute.title()}: {value}"
        return Fact(entity=source, attribute=attribute, value=value, source=source, module=module, quote=quote)

    rows = [row("pkg.sub.Box", "pkg.sub"), row("pkg", "pkg"), row("mixed", "pkg"), row("mixed", "pkg.sub")]
    found = of_modules(known(rows, library), library, by_page=False)
    assert found == {"pkg.sub": {"pkg.sub.Box#0", "pkg.sub#0", "pkg.sub.deep.er#0"}, "pkg": {"pkg#0", "pkg.subs#0"}}
    assert of_modules(known([row("mixed", "pkg")], library), library, by_page=False)["pkg"] >= {"mixed#0", "pkg#0"}
    assert of_modules(KNOWN, LIBRARY, by_page=False) == {}
    by_page = of_modules(KNOWN, LIBRARY, by_page=True)
    assert set(by_page) == {f"{page}.md" for page in PAGES}
    assert all({chunk.partition("#")[0] + ".md" for chunk in chunks} == {page} for page, chunks in by_page.items())


def test_pages_of_one_entity_each_are_no_modules() -> None:
    alone = {name: (name,) for names in PAGES.values() for name in names}
    library = manual(alone)
    rows = known(facts(alone), library)
    assert not pages_hold_several(rows)
    assert divided(rows, library).held_out.modules == ()


def test_modules_that_facts_name_count_before_pages() -> None:
    rows = known(facts(module="Module one"), LIBRARY)
    assert module_of(rows[0], by_page=True) == module_of(rows[0], by_page=False) == "one"
    assert module_of(KNOWN[0], by_page=True) == "hot.md"
    assert module_of(KNOWN[0], by_page=False) is None
    assert pages_hold_several(KNOWN) and not pages_hold_several([])


def test_pages_hold_several_where_there_are_more_than_one_and_a_half_entities_a_page() -> None:
    def holds(*sizes: int) -> bool:
        pages = {f"page{at}": tuple(f"e{at}x{n}" for n in range(size)) for at, size in enumerate(sizes)}
        return pages_hold_several(known(facts(pages), manual(pages)))

    assert not holds(1, 1, 1) and not holds(1, 2) and holds(2, 2) and holds(1, 1, 3)
    many = facts({"hot": ("kettle",)}) * 5
    assert not pages_hold_several(known(many, LIBRARY)), "facts of one entity are one"


def test_everything_of_a_group_is_on_one_side() -> None:
    rows = [fact.model_copy(update={"group": fact.entity[0]}) for fact in facts()]
    found = known(rows, LIBRARY)
    for seed in range(6):
        division = divided(found, LIBRARY, seed=seed, modules=0.0, share=0.4)
        assert set(division.side) == {row.group for row in rows}
        held = set(division.held_out.groups)
        assert set(division.held_out.entities) == {row.entity for row in rows if row.group in held}


def test_sides_are_as_large_as_asked_for() -> None:
    division = divided(KNOWN, LIBRARY, modules=0.0, share=0.25, dev=0.25)
    sizes = [list(division.side.values()).count(side) for side in ("test", "dev", "train")]
    assert sizes == [4, 3, 9]
    assert list(divided(KNOWN, LIBRARY, modules=0.0, share=0.0, dev=0.0).side.values()) == ["train"] * 16


def test_the_same_seed_divides_alike_and_another_one_otherwise() -> None:
    assert divided(KNOWN, LIBRARY, seed=3) == divided(KNOWN, LIBRARY, seed=3)
    assert len({divided(KNOWN, LIBRARY, seed=seed).held_out for seed in range(6)}) > 1


NAMED = {page: tuple(f"{name}_x" for name in names) for page, names in PAGES.items()}


def test_a_page_that_names_a_held_out_entity_is_barred_with_it() -> None:
    extra = "# Extra\n\n" + "\n".join(f"## About {n}\n\nSee `{n}_x` there.\n" for n in ("kettle", "fridge", "pump"))
    library = manual(NAMED, extra)
    rows = known(facts(NAMED), library)
    about = {chunk.title.split()[-1]: chunk.id for chunk in library.chunks if chunk.document == "extra"}
    for seed in range(6):
        division = divided(rows, library, seed=seed, most=1.0)
        held = {name.removesuffix("_x") for name in division.held_out.entities}
        assert {name for name, chunk in about.items() if chunk in division.held_out.chunks} == held & set(about)


def test_a_name_that_much_of_the_manual_mentions_is_not_held_out() -> None:
    extra = "# Extra\n\n" + "\n".join(f"## Part {n}\n\nIt comes with the `kettle_x`, always.\n" for n in range(45))
    library = manual(NAMED, extra)
    rows = known(facts(NAMED), library)
    for seed in range(8):
        division = divided(rows, library, seed=seed, share=0.9, modules=0.0, most=1.0)
        assert "kettle_x" not in division.held_out.entities and division.held_out.entities
        assert division.mention_cap == 40


def test_fewer_mentions_are_allowed_until_few_enough_chunks_are_barred() -> None:
    parts = []
    for at, name in enumerate(sorted(name for names in NAMED.values() for name in names)):
        parts += [f"## Part {at}.{n}\n\nIt comes with the `{name}`, always.\n" for n in range(at)]
    library = manual(NAMED, "# Extra\n\n" + "\n".join(parts))
    rows = known(facts(NAMED), library)
    loose, tight = (divided(rows, library, modules=0.0, most=most) for most in (1.0, 0.1))
    assert loose.mention_cap == 40 > tight.mention_cap
    assert len(tight.held_out.chunks) <= 0.1 * len(library.chunks) < len(loose.held_out.chunks)
    with pytest.raises(ExamError, match="nothing can be held out"):
        divided(rows, library, modules=0.0, most=0.0)


def test_a_group_owns_its_sections_and_the_pages_named_after_it() -> None:
    documents = [
        Document(id="pkg.Box", title="pkg.Box", text="Weight: 10 grams\n", source="pkg.Box.md"),
        Document(id="pkg.Box.open", title="pkg.Box.open", text="Opens it.\n", source="pkg.Box.open.md"),
        Document(id="pkg.Boxes", title="pkg.Boxes", text="Many.\n", source="pkg.Boxes.md"),
        Document(id="pkg", title="pkg", text="All.\n", source="pkg.md"),
    ]
    library = Library.build(documents)
    row = Fact(entity="pkg.Box", attribute="weight", value="10 grams", source="pkg.Box.md", quote="Weight: 10 grams")
    assert owned(known([row], library), library) == {"pkg.Box": {"pkg.Box#0", "pkg.Box.open#0"}}
    whole = row.model_copy(update={"group": "pkg"})
    assert owned(known([whole], library), library) == {"pkg": {chunk.id for chunk in library.chunks}}


def test_a_held_out_list_names_only_what_can_be_told_from_plain_words() -> None:
    held = HeldOut(entities=("allow", "gzip_types", "a.b"), groups=(), modules=(), chunks=())
    assert held.names == {"gzip_types", "a.b"}
    assert not distinctive("Allow") and distinctive("allowAll") and distinctive("x1")


def test_tokens_of_a_text_are_whole_names() -> None:
    assert {"logging.Handler", "--alt-svc", "alt-svc", "$host", "host", "x"} <= tokens(
        "see logging.Handler. Or --alt-svc, ($host) .x"
    )
    assert "Handler" not in tokens("logging.Handler") and "logging" not in tokens("logging.Handler")


def test_names_of_several_words_are_found_as_whole_names() -> None:
    names = Names(["a b", "a b c", "plain", "if in"])
    assert names.within("so a b c, if in doubt") == {"a b c", "if in"}
    assert names.within("an a b-c and xa b and plainly") == set()
    assert names.within("plain. a b.") == {"plain", "a b"}
    assert Names([]).within("anything") == set()


def test_a_reader_of_a_chunk_sees_its_title_and_its_text() -> None:
    chunk = LIBRARY.chunks[0]
    assert chunk_text(chunk) == f"{chunk.title}\n{chunk.text}"


MODULES = {"one": {"a", "b"}, "two": {"c"}, "three": {"d", "e", "f"}, "four": {"g", "h"}}
ORDER = ["three", "one", "two", "four"]
ALL = set("abcdefgh")


@pytest.mark.parametrize(
    ("fits", "module_share", "share", "chosen"),
    [
        (ALL, 0.5, 1.0, ["three", "two"]),  # four groups at most: with three's, one's would be five
        (ALL, 0.25, 1.0, ["three"]),
        (ALL, 0.25, 0.5, ["one"]),  # two groups at most
        (ALL, 0.0, 1.0, []),
        (ALL, 1.0, 0.0, []),
        (ALL - {"e"}, 1.0, 1.0, ["one", "two"]),  # a group of three's is mentioned too often
        (ALL, 1.0, 2.0, ORDER),
    ],
)
def test_whole_modules_are_held_out_up_to_half_of_the_groups_to_hold_out(
    fits: set[str], module_share: float, share: float, chosen: list[str]
) -> None:
    assert choose_modules(ORDER, MODULES, fits, module_share, share) == chosen


def test_of_every_kind_of_group_the_share_is_held_out() -> None:
    kinds = {name: {"default"} if name in "abcd" else {"type", "default"} for name in "abcdefgh"}
    order = list("hgfedcba")
    assert choose_groups(order, kinds, ALL, set(), 0.5) == {"h", "g", "d", "c"}
    assert choose_groups(order, kinds, ALL, {"e", "f"}, 0.5) == {"d", "c"}, "what modules brought counts"
    assert choose_groups(order, kinds, ALL - {"h", "d"}, set(), 0.5) == {"g", "f", "c", "b"}
    assert choose_groups(iter(order), kinds, ALL, set(), 0.3) == {"h", "g", "d", "c"}, "rounded up"
    assert choose_groups(order, kinds, ALL, set(), 0.0) == set()
