"""Sources: those that there are, the user's own, what the exam may ask of them, and that only their files name them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of

from agents.corpus.sources import CorpusConfig, Source, sources
from agents.errors import ConfigError
from retort.cli import main
from retort.config import load_config
from retort.doctor.before import corpus_findings
from retort.parts import changes
from retort.pipeline import Run
from retort.stages import parts_of
from retort.table import STAGES
from retort.trust import named

ROOT = Path(__file__).resolve().parents[1]
OWN = '''
import json
from agents.corpus.documents import Document
from agents.corpus.facts import Fact
from agents.corpus.sources import Corpus, Source

class Tickets(Source):
    """A file of records, each of them a page."""

    @classmethod
    def problem(cls, settings):
        """Whether the file is missing."""
        return "" if settings.manuals else "tickets need manuals"

    def read(self):
        """A page and a fact a record."""
        rows = json.loads(self.settings.manuals.read_text())
        return Corpus(
            [Document(id=name, title=name, text=f"# {name}\\n\\nDefault: {value}\\n", source="tickets")
             for name, value in rows.items()],
            [Fact(entity=name, attribute="default", value=value, source=f"ticket:{name}")
             for name, value in rows.items()],
            [{"file": "old.json", "reason": "out of date"}],
        )

    def fingerprint(self, content):
        """The file."""
        return {"tickets": content(self.settings.manuals)}

class NoSource:
    """Nothing."""
'''


def with_own(root: Path) -> Path:
    """A folder whose run.toml names a source beside it."""
    text = CONFIG.replace(
        'manuals = "manual"\nfacts = "facts.jsonl"\n', 'source = "mine.py:Tickets"\nmanuals = "t.json"\n'
    )
    folder_of(root, text)
    (root / "mine.py").write_text(OWN)
    (root / "t.json").write_text(json.dumps({f"opt_{n}": f"{7 * n + 3}ms" for n in range(300)}))
    return root


def test_a_source_of_ones_own_makes_an_exam(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = with_own(tmp_path)
    config = load_config(root / "run.toml")
    assert config.corpus.source == f"{root / 'mine.py'}:Tickets"
    told = {each.description for each in named(config)}
    assert f"the source {root / 'mine.py'}:Tickets: the code of its file runs here" in told
    for stage in ("index", "exam"):
        assert main([stage, "--trust", str(root)]) == 0
    said = capsys.readouterr().err
    assert "300 pages, 300 chunks, 300 facts, 1 file not read" in said
    assert "facts {given: 300, usable: 300}" in said
    assert [(each.severity, each.seen) for each in corpus_findings(config.corpus)] == [("fine", "the source Tickets")]


def test_what_a_source_follows_from_is_told(tmp_path: Path) -> None:
    def of(root: Path) -> dict[str, str]:
        return parts_of(Run(load_config(root / "run.toml"), root / "run"), STAGES["index"], {})

    before = of(with_own(tmp_path / "a"))
    assert of(with_own(tmp_path / "b")) == before, "the same source in another folder"
    (tmp_path / "a" / "t.json").write_text("{}")
    (tmp_path / "a" / "mine.py").write_text(OWN + "# changed\n")
    assert changes(before, of(tmp_path / "a")) == "the tickets and the source mine.py:Tickets changed"
    kettle = of(folder_of(tmp_path / "c"))
    (tmp_path / "c" / "manual" / "heater.md").write_text("# x\n")
    (tmp_path / "c" / "facts.jsonl").write_text("")
    assert changes(kettle, of(tmp_path / "c")) == "the facts and the manuals changed"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, 'give manuals = "FOLDER" with facts = "FILE", or a source: stdlib'),
        ({"manuals": "a"}, 'manuals needs facts = "facts.jsonl" beside it'),
        ({"source": "stdlib", "facts": "a"}, "the source 'stdlib' has pages and facts of its own"),
        ({"source": "none"}, "no source is named 'none'; there are folder, stdlib"),
    ],
)
def test_settings_that_make_no_source(values: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        CorpusConfig.model_validate(values)


def test_what_is_no_source_is_told(tmp_path: Path) -> None:
    root = with_own(tmp_path)
    with pytest.raises(ConfigError, match=r"'.*mine\.py:NoSource' is no class that inherits"):
        CorpusConfig(source=f"{root / 'mine.py'}:NoSource").opened()
    with pytest.raises(ConfigError, match=r"\[corpus\]: tickets need manuals"):
        CorpusConfig(source=f"{root / 'mine.py'}:Tickets").opened()


def test_every_source_is_one() -> None:
    for name, part in sources.items():
        assert issubclass(part, Source), name
    assert CorpusConfig(source="stdlib").opened().about() == (
        "the standard library of the running Python, pages and facts"
    )


def test_a_facts_file_executes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Facts of a folder that look like those of the standard library: no example of theirs is run."""
    root = folder_of(tmp_path)
    mark = tmp_path / "it-ran"
    call = f"""exec("open('{mark}', 'w')")"""
    page = f"# exec\n\n>>> {call} # None\n"
    (root / "manual" / "exec.md").write_text(page)
    fact = {
        "entity": "exec", "attribute": f"result of `{call}`", "value": "None", "source": "python:builtins",
        "module": "builtins", "family": "example", "quote": f">>> {call} # None",
    }  # fmt: skip
    with (root / "facts.jsonl").open("a") as stream:
        stream.write(json.dumps(fact) + "\n")
    for stage in ("index", "exam"):
        assert main([stage, str(root)]) == 0
    assert "usable: 217" in capsys.readouterr().err
    assert not mark.exists()


def test_only_its_own_files_name_a_source() -> None:
    """The exam, the pipeline and all else ask the source; `python-stdlib` is an example, and examples show configs."""
    own = {"agents/corpus/sources/stdlib.py", "agents/corpus/sources/modules.py", "agents/corpus/sources/__init__.py"}
    for room in ("agents", "graphs", "distill", "finetune", "evals", "retort"):
        for path in (ROOT / room).rglob("*.py"):
            text = re.sub(r"python-stdlib|^ *>>> .*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            if path.relative_to(ROOT).as_posix() not in own:
                assert not re.search(r"stdlib|python:[a-zA-Z{]", text), path
