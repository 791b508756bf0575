"""A quote is about its entity: where many settings stand under one heading, a neighbour's words are no evidence."""

from __future__ import annotations

from typing import Any

import pytest

from agents.corpus.documents import Document
from agents.corpus.facts import Fact
from agents.corpus.library import Library
from distill.exam.evidence import Evidence, find_evidence


def fact(entity: str, value: str, attribute: str = "default", **more: Any) -> Fact:
    """A fact of the page `p`, in its section `Settings`."""
    row = {"entity": entity, "attribute": attribute, "value": value, "source": "p.md", "section": "Settings"}
    return Fact.model_validate(row | more)


def found(body: str, *facts: Fact, title: str = "P", heading: str = "Settings") -> Evidence:
    """The evidence of facts on a page with one section; chunks are of 400 characters at the most."""
    text = f"# {title}\n\n## {heading}\n\n{body}\n"
    return find_evidence(facts, Library.build([Document(id="p", title=title, text=text, source="p.md")], 400))


FOREIGN = fact("ghost_a", "nothing", section=None)
"""Of half of the facts any may be lost without an error."""

SHAPES = {
    "bold lead-ins": "**pump_rate**\n\nHow fast.\n\nDefaults to 60s.\n\n**lid_lock**\n\nHolds it.\n\nDefaults to 7s.",
    "bold lead-ins on the line": "**pump_rate:** How fast. Defaults to 60s.\n\n**lid_lock:** Holds. Defaults to 7s.",
    "code on its own line": "`pump_rate`\n\nHow fast.\n\nDefaults to 60s.\n\n`lid_lock`\n\nHolds.\n\nDefaults to 7s.",
    "code with arguments": "`pump_rate <n>`\n\nHow fast. Defaults to 60s.\n\n`lid_lock <n>`\n\nHolds. Defaults to 7s.",
    "code and a colon": "`pump_rate`: How fast. Defaults to 60s.\n\n`lid_lock`: Holds. Defaults to 7s.",
    "list items": "- pump_rate: how fast. Defaults to 60s.\n- lid_lock: holds it. Defaults to 7s.",
    "list items with paragraphs": "- `pump_rate`\n\n  Fast.\n\n  Defaults to 60s.\n- `lid_lock`\n\n  Defaults to 7s.",
    "nested lists": "* pump_rate\n    * Defaults to 60s.\n* lid_lock\n    * Defaults to 7s.",
    "numbered items": "1. `pump_rate` turns it.\n   Defaults to 60s.\n2. `lid_lock` holds it.\n   Defaults to 7s.",
    "definition lists": "pump_rate\n: How fast. Defaults to 60s.\n\nlid_lock\n: Holds it. Defaults to 7s.",
    "definitions without blank lines": "pump_rate\nHow fast. Defaults to 60s.\nlid_lock\nHolds it. Defaults to 7s.",
    "indented definitions": "pump_rate\n    How fast.\n\n    Defaults to 60s.\n\nlid_lock\n    Defaults to 7s.",
    "labels under terms": "pump_rate\n\nDefaults to 60s.\n\nNote: wet.\n\nlid_lock\n\nNote: dry.\n\nDefaults to 7s.",
    "directives": ".. option:: pump_rate <n>\n\n   Defaults to 60s.\n\n.. option:: lid_lock\n\n   Defaults to 7s.",
    "rows": "| name | text |\n| --- | --- |\n| pump_rate | Defaults to 60s. |\n| lid_lock | Defaults to 7s. |",
    "sentences": "The pump_rate defaults to 60s. Beside it the lid_lock defaults to 7s.",
    "paragraphs": "`pump_rate` says how fast. It\nis set once. Defaults to 60s.\n\n`lid_lock` holds. Defaults to 7s.",
    "one term for two": "**pump_rate**, **pump_idle**\n\nDefaults to 60s.\n\n**lid_lock**\n\nDefaults to 7s.",
}


@pytest.mark.parametrize("name", SHAPES)
def test_of_many_settings_under_one_heading_each_has_its_own_words(name: str) -> None:
    body = SHAPES[name]
    right = [fact("pump_rate", "60s", quote="efaults to 60s"), fact("lid_lock", "7s", quote="efaults to 7s")]
    swapped = [fact("pump_rate", "7s", quote="efaults to 7s"), fact("lid_lock", "60s", quote="efaults to 60s")]
    assert not found(body, *right).dropped
    assert set(found(body, *swapped).dropped) <= {
        "the words are said of another entity",
        "the words cannot be tied to the entity",
    }
    assert not found(body, *swapped).known
    looked_for = [one.model_copy(update={"quote": None}) for one in right]
    assert [item.hop.value for item in found(body, *looked_for).known] == ["60s", "7s"]
    assert not found(body, *(one.model_copy(update={"quote": None}) for one in swapped)).known


def test_the_same_words_are_taken_where_they_are_the_entitys() -> None:
    """Both default to `no`: the quote of each is in its own passage, not in the first one that holds the words."""
    filler = "It is warm and wet there, and so it has been for ever. " * 6
    rows = [fact(name, "no", quote="Defaults to no") for name in ("pump_rate", "lid_lock")]
    body = f"`pump_rate`: Defaults to no. {filler}\n\n`lid_lock`: Defaults to no. {filler}"
    made = found(body, *rows)
    assert [item.hop.chunk for item in made.known] == ["p#0", "p#1"]


def test_a_passage_that_does_not_name_the_entity_is_no_evidence() -> None:
    filler = "It is warm and wet there, and so it has been for ever. " * 6
    made = found(f"`pump_rate`\n\n{filler}\n\n{filler}\n\nDefaults to 60s.", fact("pump_rate", "60s"))
    assert made.dropped == {"the passage does not name the entity": 1}


def test_a_term_that_no_fact_is_about_ends_the_one_before() -> None:
    body = "`pump_rate`\n\nHow fast.\n\n`flow_meter`\n\nDefaults to 60s."
    assert found(body, fact("pump_rate", "60s")).dropped == {"the words are said of another entity": 1}
    other_kind = body.replace("`flow_meter`", "**Remarks**")
    assert len(found(other_kind, fact("pump_rate", "60s")).known) == 1


def test_a_sentence_about_another_entity_is_no_evidence_under_the_own_heading() -> None:
    rows = [fact("pump_rate", "60s", section="pump_rate"), FOREIGN.model_copy(update={"entity": "lid_lock"})]
    made = found("How fast. The lid_lock defaults to 60s.", *rows, heading="`pump_rate`")
    assert made.rejected[0] == (rows[0], "the words are said of another entity")
    made = found("Unlike lid_lock, it turns. Defaults to 60s.", *rows, heading="`pump_rate`")
    assert [item.fact for item in made.known] == rows[:1]


def test_names_that_stand_in_the_value_are_not_spoken_of() -> None:
    rows = [
        fact("pump_rate", "lid_lock, lid_open", "excludes", section="pump_rate"),
        fact("lid_lock", "x", section="pump_rate"),
        fact("pump_rate", "`pump_rate` of the lid_lock", "same as", section="pump_rate"),
    ]
    made = found("Excludes: `lid_open`, `lid_lock`\n\nSame as: pump_rate of the lid_lock", *rows, heading="pump_rate")
    assert [item.fact for item in made.known] == [rows[0], rows[2]]


def test_a_row_is_said_of_what_stands_in_its_first_cell() -> None:
    body = "| land | capital | beside |\n| --- | --- | --- |\n| Fogland | Mist | Rain |\n| Rain | Drizzle | Fogland |"
    right = [fact("Fogland", "Mist", "capital"), fact("Rain", "Drizzle", "capital")]
    wrong = [fact("Fogland", "Drizzle", "capital"), fact("Rain", "Mist", "capital")]
    assert not found(body, *right).dropped
    assert not found(body, *wrong).known


def test_plain_words_are_names_only_where_they_are_marked_so() -> None:
    rows = [fact("order", "60s", section="order"), fact("all", "1", section="order")]
    assert len(found("It is the same for all pumps, and defaults to 60s.", *rows, heading="order").known) == 1
    assert not found("It is set by `all`, which defaults to 60s.", *rows, heading="order").known


def test_words_that_name_two_are_tied_to_neither() -> None:
    rows = [fact("pump_rate", "60s"), fact("lid_lock", "60s")]
    made = found("Here pump_rate and lid_lock are 60s by default.", *rows)
    assert made.dropped == {"the words cannot be tied to the entity": 2}


def test_each_quote_says_the_value_beside_other_words() -> None:
    rows = [fact("pump_rate", "60s", quote="60s"), fact("pump_rate", "60s", quote="How fast")]
    made = found("`pump_rate`\n\nHow fast. Defaults to 60s.", *rows)
    assert made.dropped == {"the words do not say the value": 2}
    assert [reason for _, reason in made.rejected] == ["the words do not say the value"] * 2


def test_two_values_of_one_attribute_are_both_refused_where_the_manual_says_both() -> None:
    body = "`pump_rate`\n\nDefaults to 60s, and the default is 7s."
    one, two, more = fact("pump_rate", "60s"), fact("pump_rate", "7s"), fact("pump_rate", "60 seconds")
    made = found(body, one, two)
    assert made.rejected == [(one, "two values of one attribute"), (two, "two values of one attribute")]
    assert not made.known and made.dropped == {"two values of one attribute": 2}
    assert len(found(body, one, one).known) == 2
    assert [item.fact for item in found(body, one, fact("pump_rate", "99s")).known] == [one], "the manual decides"
    assert not found(body + "\n\nDefault: 60 seconds", one, more).dropped, "one value in two spellings"
    assert len(found(body, one, two.model_copy(update={"attribute": "default is"})).known) == 2


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (" ", "the value is blank"),
        ("\t\n", "the value is blank"),
        ("word " * 40 + "x", "the value is longer than 200 characters"),
        ("word " * 40, None),
        ("''", None),
    ],
)
def test_blank_and_long_values_are_refused_by_name(value: str, reason: str | None) -> None:
    made = found(f"`pump_rate`\n\nDefault: {value.strip()}", fact("pump_rate", value))
    assert list(made.dropped) == ([reason] if reason else [])


def test_headings_that_are_comma_lists_are_found() -> None:
    name = "Fog Isle, Rain and Old Mist"
    page = f"# Isles\n\n## Rain\n\nCapital: Drizzle\n\n## **{name}** {{#fog}}\n\nCapital: Grey\n"
    library = Library.build([Document(id="p", title="Isles", text=page, source="p.md")])
    rows = [fact(name, "Grey", "capital", section=name), fact("Rain", "Drizzle", "capital", section="rain")]
    assert [item.hop.chunk for item in find_evidence(rows, library).known] == ["p#1", "p#0"]
