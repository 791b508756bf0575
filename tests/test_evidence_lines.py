"""Evidence: which line of a manual bears a fact out, on which page it is looked for, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from agents.corpus.chunks import Chunk
from agents.corpus.documents import Document
from agents.corpus.facts import Fact
from agents.corpus.library import Library
from agents.errors import ExamError
from distill.exam.evidence import LONG_LINE, best_line, find_evidence, labels, module_label, speaks_of, support


def fact(entity: str = "pump_rate", attribute: str = "default", value: str = "60s", **more: Any) -> Fact:
    """A fact of the kettle's manual."""
    return Fact.model_validate({"entity": entity, "attribute": attribute, "value": value, "source": "pump.md"} | more)


def page(name: str, text: str) -> Document:
    """A document."""
    return Document(id=name, title=name.title(), text=text, source=f"{name}.md")


def chunk(text: str, title: str = "Pump", number: int = 0) -> Chunk:
    """A chunk of the pump's page."""
    return Chunk(id=f"pump#{number}", document="pump", title=title, text=text)


def score(line: str, **more: Any) -> float:
    """How well a line supports a fact."""
    asked = fact(**more)
    return support(line, asked, asked.value)


def test_a_line_of_label_and_value_counts_more_than_one_that_holds_the_value_somewhere() -> None:
    assert score("Default: 60s") == 3 + 2
    assert score("Timeout: 600s", value="600s") == 3
    assert score("600s", value="600s") == 3
    assert score("The default is 60s.") == 1 + 2
    assert score("It waits 60s.") == 0  # a short value proves nothing where no word of the attribute stands by it
    assert score("It waits seventeen days.", value="seventeen days") == 1
    assert score("Default: 61s") == 0
    assert score("") == 0


def test_only_values_shorter_than_four_characters_need_a_word_of_the_attribute() -> None:
    assert score("It is 600s long.", value="600s") == 1
    assert score("It is 60s long.", value="60s") == score("Timeout: 60s") == 0


def test_a_line_that_names_the_entity_counts_more_and_one_that_names_another_does_not() -> None:
    assert score("The default of pump_rate is 60s.") == 1 + 2 + 0.5
    assert score("The default of `pump_rate` is `60s`.") == 1 + 2 + 0.5
    assert score("The default of pump_rate_max is 60s.") == 1 + 2
    assert score("The default of lid is 60s.") == 1 + 2


def test_words_of_the_attribute_count_by_their_share() -> None:
    asked = {"attribute": "added in version", "value": "7.10"}
    assert score("Added in version: 7.10", **asked) == 3 + 2
    assert score("Added: 7.10", **asked) == pytest.approx(3 + 2 / 3)
    assert score("Version: 7.10, added later", **asked) == pytest.approx(1 + 4 / 3)


def test_the_value_after_a_label_may_be_quoted_listed_otherwise_or_follow_the_name() -> None:
    assert score("Default: `60s`.") == 5
    assert score("Context: `b`, `a`", attribute="context", value="a, b") == 5
    assert score("Default: pump_rate 60s") == 3 + 2 + 0.5
    assert score("Default: 60s pump_rate") == 1 + 2 + 0.5  # only in front
    assert score("Default:   60s") == 5
    assert score("Default: 10:60s", value="10:60s") == 5
    assert score("Default:", value="Default:") == 5  # nothing after the colon: the whole line is the value


def test_a_value_as_the_fact_writes_it_is_found_too() -> None:
    """Normalised, a list is in order; on the line it stands as the fact has it."""
    asked = fact(attribute="kinds", value="steam, boil")
    assert support("The kinds are steam, boil and no more", asked, "boil, steam") == 3
    assert support("The kinds are boil, steam and no more", asked, "boil, steam") == 3
    assert support("The kinds are `steam`, `boil` and no more", asked, "boil, steam") == 3


def test_the_best_line_is_the_first_of_the_best() -> None:
    one = chunk("It is 60s long by default.\nDefault: 60s\nDefault: 60s once more")
    two = chunk("  Default: 60s  ", number=1)
    assert best_line([one, two], fact()) == (one, "Default: 60s")
    assert best_line([two, one], fact()) == (two, "Default: 60s")
    assert best_line([chunk("It is 60s by default.")], fact()) == (
        chunk("It is 60s by default."),
        "It is 60s by default.",
    )
    assert best_line([chunk("Nothing here.\n\n")], fact()) is None
    assert best_line([], fact()) is None


def test_a_line_found_in_a_later_chunk_is_quoted_from_there() -> None:
    one, two = chunk("The default is 60s."), chunk("Default: 60s", number=1)
    assert best_line([one, two], fact()) == (two, "Default: 60s")


def test_of_a_long_line_only_the_sentence_with_the_value_is_quoted() -> None:
    def quoted(line: str) -> str:
        found = best_line([chunk(line)], fact())
        assert found is not None
        return found[1]

    filler = "Water is warm" + " and wet" * 30
    assert quoted(f"{filler}. The default is `60s`; it stays so. The default 60s is fine.") == "The default is `60s`;"
    whole = f"{filler} and the default is 60s"
    assert quoted(whole) == whole
    order = ", ".join(f"word{number}" for number in range(40, 10, -1))
    found = best_line([chunk(f"Default: {order}")], fact(value=order))
    assert found is not None and found[1] == f"Default: {order}"  # the manual lists it in another order
    just = "The default is 60s. ".ljust(LONG_LINE, "x")
    assert len(just) == LONG_LINE and quoted(just) == just
    assert quoted(just + "x") == "The default is 60s."


def test_module_labels_leave_out_the_word_module() -> None:
    assert module_label("Module ngx_x") == "ngx_x"
    assert module_label("MODULE  ngx_x") == "ngx_x"
    assert module_label("ngx_module x") == "ngx_module x"
    assert module_label("the module x") == "the module x"


def test_an_entity_is_named_with_its_module_only_where_some_name_lives_in_two() -> None:
    rows = [fact("a", module="Module one"), fact("a", module="two"), fact("b", module="two"), fact("c")]
    assert labels(rows) == {
        ("a", "Module one"): "a (one)",
        ("a", "two"): "a (two)",
        ("b", "two"): "b (two)",
        ("c", None): "c",
    }
    assert labels([*rows[1:], rows[1]]) == {("a", "two"): "a", ("b", "two"): "b", ("c", None): "c"}


def test_an_entity_is_spoken_of_in_a_title_or_a_text_as_a_whole_name() -> None:
    assert speaks_of([chunk("x"), chunk("Set `pump_rate` high.")], "pump_rate")
    assert speaks_of([chunk("x", title="Pump > pump_rate")], "pump_rate")
    assert not speaks_of([chunk("Set pump_rate_max.", title="pump_rates")], "pump_rate")
    assert not speaks_of([], "pump_rate")


PUMP = """# Pump

## `pump_rate`

Default: 60s

## `pump_limit`

Default: 7s
The default was 60s, as of pump_rate

## the Pump rates

pump_rate default 60s
"""
LIBRARY = Library.build(
    [
        page("pump", PUMP),
        page("lid", "# Lid\n\n## `lid_lock`\n\nDefault: 60s\n"),
        page("guide/deep/valve", "# Valve\n\n## `valve`\n\nDefault: 90s\n"),
        page("valve.open", "Default: 5s, says valve.open\n"),
    ]
)


@pytest.mark.parametrize(
    "source",
    ["pump", "pump.md", "pump.html", "pump.txt", "pump.rst", "corpus/pump.md", "a/b/c/pump.htm"],
)
def test_a_page_is_found_by_the_end_of_its_path(source: str) -> None:
    known, dropped, lost, _ = find_evidence([fact(source=source)], LIBRARY)
    assert [(item.hop.quote, item.hop.chunk, item.hop.title) for item in known] == [
        ("Default: 60s", "pump#0", "Pump > pump_rate")
    ]
    assert not dropped and lost is None


@pytest.mark.parametrize("source", ["corpus/guide/deep/valve.md", "guide/deep/valve"])
def test_a_page_in_folders_is_found_by_its_whole_name(source: str) -> None:
    known, _, _, _ = find_evidence([fact("valve", value="90s", source=source)], LIBRARY)
    assert known[0].hop.chunk == "guide/deep/valve#0"


def test_a_page_of_another_name_is_none() -> None:
    for source in ("xpump.md", "pump.md.md", "deep/valve.md", "pump/x.md"):
        for section in (None, "valve"):
            with pytest.raises(ExamError, match="stands in no document"):
                find_evidence([fact("valve", value="90s", source=source, section=section)], LIBRARY)


def test_a_section_narrows_the_page_and_one_that_is_not_there_does_not() -> None:
    def chunk_of(section: str | None) -> str:
        known, _, _, _ = find_evidence([fact(section=section)], LIBRARY)
        return known[0].hop.chunk

    assert chunk_of("pump_limit") == "pump#1"
    assert chunk_of("the Pump rates") == "pump#2"
    assert chunk_of("`pump_rate`") == chunk_of("Pump > pump_rate") == chunk_of(None) == chunk_of("gone") == "pump#0"


def test_an_entity_of_a_source_without_files_has_a_page_of_its_own() -> None:
    for source in ("python:valve", "ticket:7"):
        known, _, _, _ = find_evidence([fact("valve.open", value="5s", source=source)], LIBRARY)
        assert known[0].hop.chunk == "valve.open#0"
    for source in ("perl/valve", "valve", "https://valve"):
        with pytest.raises(ExamError):
            find_evidence([fact("valve.open", value="5s", source=source)], LIBRARY)


def test_what_a_fact_quotes_is_taken_as_it_is_and_only_from_one_line() -> None:
    asked = fact("pump_rate", "wait", "60s", section="pump_limit", quote="was 60s")
    known, dropped, _, _ = find_evidence([asked, fact(quote="60s\nnothing"), fact(quote="Default: 61s")], LIBRARY)
    assert [(item.hop.quote, item.hop.chunk) for item in known] == [("was 60s", "pump#1")]
    assert dropped == {"value on no line": 2}


def test_a_quote_is_taken_only_from_a_passage_that_names_the_entity() -> None:
    rows = [fact("kettle", quote="Default: 7s"), fact("pump_limit", value="7s", quote="Default: 7s")]
    known, dropped, lost, _ = find_evidence(rows, LIBRARY)
    assert [item.hop.entity for item in known] == ["pump_limit"]
    assert (dropped, lost) == ({"entity in no document": 1}, "kettle")


def test_a_known_fact_carries_what_a_question_needs() -> None:
    rows = [
        fact("pump_rate", module="one", group="all pumps"),
        fact("pump_rate", module="two", section="pump_rate"),
        fact("pump_limit", value="7s"),
    ]
    known, _, _, _ = find_evidence(rows, LIBRARY)
    assert [item.label for item in known] == ["pump_rate (one)", "pump_rate (two)", "pump_limit"]
    assert [item.group for item in known] == ["all pumps", "pump_rate", "pump_limit"]
    assert [item.fact for item in known] == rows
    assert known[0].hop.model_dump() == {
        "entity": "pump_rate (one)",
        "attribute": "default",
        "value": "60s",
        "quote": "Default: 60s",
        "chunk": "pump#0",
        "title": "Pump > pump_rate",
    }


def test_half_of_the_facts_may_stand_nowhere_and_no_more() -> None:
    ghosts = [fact("ghost"), fact("phantom", source="nowhere.md")]
    known, dropped, lost, _ = find_evidence([*ghosts, fact(), fact("pump_limit", value="7s")], LIBRARY)
    assert (len(known), dropped["entity in no document"], lost) == (2, 2, "ghost")
    with pytest.raises(
        ExamError,
        match=r"^entity 'ghost' \(source 'pump.md'\) stands in no document, and so do those of 2 of 3 facts: "
        "are facts and corpus of the same manual",
    ):
        find_evidence([*ghosts, fact()], LIBRARY)


def test_many_values_on_no_line_are_counted_and_raise_nothing() -> None:
    known, dropped, lost, _ = find_evidence([fact(value="999"), fact(value="998"), fact()], LIBRARY)
    assert (len(known), dropped, lost) == (1, {"value on no line": 2}, None)
    assert find_evidence([], LIBRARY) == ([], {}, None, [])
