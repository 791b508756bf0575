"""Kinds of question: which ones are asked of a source, the user's own, and what of them is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import little
import pytest
from kettle_run import CONFIG, folder_of

from agents.corpus.facts import read_facts
from agents.corpus.sources.stdlib import Stdlib
from agents.errors import ConfigError, ExamError
from agents.files import read_jsonl
from distill.exam.build import ExamConfig, build_exam
from distill.exam.kinds import kinds_of, question_kinds
from retort.cli import main
from retort.config import load_config
from retort.parts import changes
from retort.pipeline import Run
from retort.stages import parts_of
from retort.table import STAGES
from retort.trust import named

ROOT = Path(__file__).resolve().parents[1]
OWN = '''
from distill.exam.drafts import draft
from distill.exam.kinds import QuestionKind

class Since(QuestionKind):
    """The release of a setting."""
    name, level = "since", "engineer"

    def drafts(self, material):
        """One question for each release."""
        return [
            draft(self.name, self.level, f"Since when `{each.label}`?", each.fact.value, [each], material.module_of)
            for each in material.facts if each.fact.attribute == "added in version"
        ]

class Liar(Since):
    """Makes drafts of another kind."""
    name = "liar"

    def drafts(self, material):
        """Releases."""
        return Since().drafts(material)

class Runs(Since):
    """Executes something."""
    executes = True

class Twin(Since):
    """Has the name of another."""
    name = "lookup"

class NoLevel(QuestionKind):
    """Has no level."""
    name, level = "none", "boss"

    def drafts(self, material):
        """None."""
        return []

def unit(material):
    """No class."""
    return []
'''


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """The path of a file with kinds of the user's own."""
    (tmp_path / "mine.py").write_text(OWN)
    return str(tmp_path / "mine.py")


def test_what_is_asked_follows_from_the_source() -> None:
    assert [kind.name for kind in kinds_of()] == ["lookup", "bridge", "pair", "effective", "release"]
    assert [kind.name for kind in kinds_of((), Stdlib.kinds)] == ["lookup", "bridge", "pair", "example", "call"]
    assert [kind.name for kind in kinds_of(("pair", "lookup"))] == ["pair", "lookup"]
    for name, part in question_kinds.items():
        assert part().name == name


def test_what_cannot_be_asked_is_told(mine: str) -> None:
    with pytest.raises(
        ConfigError, match="'call' executes code that this source does not have; it can be asked lookup"
    ):
        kinds_of(("call",))
    with pytest.raises(ConfigError, match=r"mine\.py:Runs' executes code that this source does not have"):
        kinds_of((f"{mine}:Runs",))
    with pytest.raises(ConfigError, match="two of them are named 'lookup'"):
        kinds_of(("lookup", f"{mine}:Twin"))
    with pytest.raises(ConfigError, match="needs a `name`, and a `level`: one of engineer, professional, consultant"):
        kinds_of((f"{mine}:NoLevel",))
    with pytest.raises(ConfigError, match="is no class that inherits distill.exam.kinds.QuestionKind"):
        kinds_of((f"{mine}:unit",))
    with pytest.raises(ValueError, match=r"no question kind is named 'lookups'; there are lookup, bridge"):
        ExamConfig(kinds=("lookups",))


def kettle(tmp_path: Path) -> tuple[Any, Any]:
    """Facts and library of the made-up kettle."""
    little.write_microdomain(tmp_path)
    return read_facts(tmp_path / "facts.jsonl")[0], little.library()


def test_some_kinds_alone(tmp_path: Path) -> None:
    config = ExamConfig(train=60, test=20, dev=0, kinds=("pair", "release"))
    made = build_exam(*kettle(tmp_path), config)
    assert {task.kind for task in made.tasks} == {"pair", "release"}


def test_a_draft_of_another_kind_is_a_mistake(tmp_path: Path, mine: str) -> None:
    with pytest.raises(ExamError, match="the question kind 'liar' makes drafts of the kind 'since'"):
        build_exam(*kettle(tmp_path), ExamConfig(kinds=(f"{mine}:Liar",)))


def test_a_kind_of_ones_own_is_asked(tmp_path: Path) -> None:
    text = CONFIG.replace("[exam]\n", '[exam]\nkinds = ["mine.py:Since", "lookup"]\n')
    root = folder_of(tmp_path, text)
    (root / "mine.py").write_text(OWN)
    config = load_config(root / "run.toml")
    assert config.exam.kinds == (f"{root / 'mine.py'}:Since", "lookup")
    told = {each.description for each in named(config)}
    assert f"the question kind {root / 'mine.py'}:Since: the code of its file runs here" in told
    for stage in ("index", "exam"):
        assert main([stage, "--trust", str(root)]) == 0
    kinds = [row["kind"] for row in read_jsonl(root / "runs" / "kettle" / "exam.jsonl", "exam")]
    assert set(kinds) == {"since", "lookup"} and kinds.count("since") > 5


def test_an_exam_follows_from_a_kind_by_content(tmp_path: Path) -> None:
    def of(root: Path) -> dict[str, str]:
        return parts_of(Run(load_config(root / "run.toml"), root / "run"), STAGES["exam"], {})

    text = CONFIG.replace("[exam]\n", '[exam]\nkinds = ["mine.py:Since"]\n')
    for name in "ab":
        folder_of(tmp_path / name, text)
        (tmp_path / name / "mine.py").write_text(OWN)
    before = of(tmp_path / "a")
    assert of(tmp_path / "b") == before, "the same kind in another folder"
    (tmp_path / "a" / "mine.py").write_text(OWN + "# changed\n")
    assert changes(before, of(tmp_path / "a")) == "the question kind mine.py:Since changed"


def test_a_folders_facts_of_an_attribute_named_example_are_asked(tmp_path: Path) -> None:
    """Only where the source has examples that can be run are facts of that family theirs."""
    facts, library = kettle(tmp_path)
    renamed = [fact.model_copy(update={"family": "example"}) if fact.attribute == "default" else fact for fact in facts]
    made = build_exam(renamed, library, ExamConfig(train=60, test=20, dev=0))
    assert any(task.kind == "lookup" and task.provenance["attribute"] == "default" for task in made.tasks)


def test_the_exam_names_no_kind() -> None:
    """Kinds stand in their own files and in the registry; what builds an exam knows their classes' interface."""
    for name in ("build", "fill", "guessable", "audit", "choices", "tasks", "paraphrase", "baselines"):
        code = (ROOT / "distill" / "exam" / f"{name}.py").read_text(encoding="utf-8").partition(">>> ")[0]
        for kind in question_kinds.names():
            assert f'"{kind}"' not in code, (name, kind)
