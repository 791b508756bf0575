"""2,000 configs and 2,000 facts files, valid ones broken at random: a RetortError or a result, and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import little
import pytest
import tomli_w
from bad_inputs import small

from agents.corpus.facts import read_facts
from agents.corpus.library import Library
from agents.errors import RetortError
from distill.exam.build import ExamConfig, build_exam
from retort.cli import main
from retort.config import RunConfig, load_config
from retort.lines import facts_needed, passed_over, rejected

CONFIGS, FACTS = 2000, 2000
EVERY = 25
"""Of so many accepted configs one goes through the command line, index and all."""
ODD: tuple[Any, ...] = (
    "", " ", "x", "ü", "\0", "\ud800", "a\nb", "../..", "/proc/self", "x" * 300, "x" * 5000, "openai:m@http://h",
    "hf:x", "🫖", 0, 1, -1, 2**53 + 1, -(2**63), 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"), True, False, [],
    {}, ["x"], [1, [2, [3]]], {"a": {"b": {}}}, {"": ""}, None,
)  # fmt: skip


def full(root: Path) -> dict[str, Any]:
    """A valid config with every section and key."""
    data = {"name": "kettle", "corpus": {"manuals": "manual", "facts": "facts.jsonl"}}
    config = RunConfig.model_validate({**data, "evaluate": {"arms": [{"name": "a", "team": "teacher"}]}})
    return {**config.model_dump(mode="json", exclude_none=True), "corpus": data["corpus"]}


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in nested tables and lists."""
    if before:
        yield before
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*before, key))


def changed(data: Any, dice: random.Random) -> Any:
    """A copy of which some values, keys or whole tables are others, gone or doubled."""
    copy = json.loads(json.dumps(data))
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        there = list(places(copy))
        if not there:
            break
        *path, last = dice.choice(there)
        holder = copy
        for step in path:
            holder = holder[step]
        what = dice.randrange(4)
        if what == 0:
            del holder[last]
        elif what == 1 and isinstance(holder, dict):
            holder[str(dice.choice(("", "x", f"{last}s", str(last)[::-1], "ü", "a.b", "x" * 300)))] = holder.pop(last)
        else:
            holder[last] = dice.choice(ODD)
    return copy


def shuffled(content: bytes, dice: random.Random) -> bytes:
    """Bytes of which a few are others, gone, or stand twice."""
    raw = bytearray(content)
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(raw) + 1)
        end = min(len(raw), at + dice.choice((0, 1, 3, 40)))
        raw[at:end] = dice.choice((b"", b"\xff", b"\0", b'"', b"[", b"\xef\xbb\xbf", b"\n", bytes(raw[at:end]) * 2))
    return bytes(raw)


def toml(value: Any) -> bytes | None:
    """A table as TOML; None where TOML cannot say it."""
    try:
        return tomli_w.dumps(value).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, AttributeError):
        return None


def snapshot(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of every file outside of the run folders."""
    files = (path for path in folder.rglob("*") if path.is_file() and folder / "runs" not in path.parents)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project; the current folder is an empty one beside it."""
    small(tmp_path / "project")
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "project"


def test_2000_configs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dice, path, good = random.Random(8), project / "run.toml", full(project)
    before, accepted, refused = snapshot(project), 0, set()
    for number in range(CONFIGS):
        content = None
        while content is None:
            content = toml(changed(good, dice))
        if number % 5 == 0:
            content = shuffled(content, dice)
        path.write_bytes(content)
        try:
            load_config(path)
        except RetortError as error:
            said = str(error)
            assert str(path) in said
            assert "\n" not in said.replace(str(path), "")
            assert len(said) < 1200
            refused.add(said)
        else:
            accepted += 1
            if accepted % EVERY == 0:
                assert main(["index", str(path)]) in (0, 2)
                assert "mistake in Retort" not in capsys.readouterr().err
    path.write_bytes(before["run.toml"])
    assert snapshot(project) == before
    assert {each.name for each in project.parent.iterdir()} == {"project", "home"}
    assert not list((project.parent / "home").iterdir())
    assert accepted > CONFIGS // 20, "some of them are good, or the test says nothing"
    assert len(refused) > 300


def test_2000_facts_files(project: Path) -> None:
    dice, path = random.Random(9), project / "facts.jsonl"
    good = [json.loads(line) for line in path.read_text().splitlines()]
    good[0] |= {
        "section": "`heater_limit`",
        "module": "heater",
        "family": "default",
        "quote": "Default: 3",
        "group": "a",
    }
    library, config = Library.build([little_page()]), ExamConfig(train=4, dev=0, test=2, choice=False)
    before = {name: content for name, content in snapshot(project).items() if name != "facts.jsonl"}
    made = 0
    for number in range(FACTS):
        rows = changed(good, dice)
        lines = rows if isinstance(rows, list) else [rows]
        content = "\n".join(json.dumps(row) for row in lines).encode()
        path.write_bytes(shuffled(content, dice) if number % 3 == 0 else content)
        try:
            facts, remarks = read_facts(path)
            skipped = [{"file": "facts.jsonl", **each._asdict()} for each in remarks]
            said = "\n".join(passed_over(skipped, path))
            assert all(f"line {each.line}" in said for each in remarks[:5] if not each.used)
            exam = build_exam(facts, library, config)
        except RetortError as error:
            assert len(str(error)) < 1200
            continue
        made += 1
        told = [*rejected(skipped, exam.rejected), *facts_needed(exam.counts, path)]
        assert json.dumps(told).encode()
        for task in exam.tasks:
            assert task.gold.strip()
    assert made > FACTS // 20
    left = {name: content for name, content in snapshot(project).items() if name != "facts.jsonl"}
    assert left == before


def little_page() -> Any:
    """The one page of the project as a document."""
    from agents.corpus.documents import Document

    return Document(id="heater", title="The heater", text=little.pages()["heater.md"], source="manual/heater.md")
