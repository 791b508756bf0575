"""Evidence: the line of the manual that says a fact; a fact that stands nowhere asks nothing."""

from __future__ import annotations

from pathlib import Path

import little
import pytest

from agents.corpus.documents import read_corpus
from agents.corpus.facts import Fact, read_facts
from agents.corpus.library import Library
from distill.exam.evidence import find_evidence, labels


def fact(entity: str, value: str, **more: str) -> Fact:
    return Fact(entity=entity, attribute="default", value=value, source="corpus/heater.md", **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def kettle_facts(tmp_path_factory: pytest.TempPathFactory) -> list[Fact]:
    return read_facts(little.write_microdomain(tmp_path_factory.mktemp("facts")) / "facts.jsonl")[0]


def test_facts_that_stand_nowhere_are_dropped_by_reason(kettle_facts: list[Fact]) -> None:
    library = little.library()
    known, dropped, lost, _ = find_evidence([*kettle_facts, fact("ghost", "1")], library)
    assert (len(known), dropped["entity in no document"], lost) == (216, 1, "ghost")
    known, dropped, lost, _ = find_evidence([fact("heater_limit", "99999"), fact("heater_limit", "3")], library)
    assert [item.hop.quote for item in known] == ["Default: 3"]
    assert (dropped["value on no line"], lost) == (1, None)


def test_lists_match_in_any_order_and_notation(tmp_path: Path) -> None:
    text = "# P\n\n## `opt`\n\nContext: `b`, `a`, `if in c`\n\nDefault: `opt 7`\n"
    (tmp_path / "p.md").write_text(text, encoding="utf-8")
    library = Library.build(read_corpus(tmp_path))
    row = Fact(entity="opt", attribute="context", value="a, b, if in c", source="corpus/p.md", section="`opt`")
    number = Fact(entity="opt", attribute="default", value="7", source="p.md")
    known, _, _, _ = find_evidence([row, number], library)
    assert [item.hop.quote for item in known] == ["Context: `b`, `a`, `if in c`", "Default: `opt 7`"]


def test_a_long_line_is_quoted_by_its_sentence(tmp_path: Path) -> None:
    line = "Words that lead nowhere " * 12 + "end here. The default is 42 for everyone. More words follow."
    (tmp_path / "p.md").write_text(f"# opt\n\n{line}\n", encoding="utf-8")
    library = Library.build(read_corpus(tmp_path))
    known, _, _, _ = find_evidence([Fact(entity="opt", attribute="default", value="42", source="p.md")], library)
    assert known[0].hop.quote == "The default is 42 for everyone."


def test_modules_are_named_where_a_name_lives_in_two() -> None:
    rows = [fact("a", "1", module="Module m_one"), fact("a", "2", module="m_two"), fact("b", "3", module="m_two")]
    assert set(labels(rows).values()) == {"a (m_one)", "a (m_two)", "b (m_two)"}
    assert set(labels(rows[1:]).values()) == {"a", "b"}
