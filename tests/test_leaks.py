"""The leak check: a planted held-out name, question or page is caught; boilerplate is not taken for one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import little
import pytest

from agents.corpus.documents import Document
from agents.corpus.library import Library
from agents.errors import ProofError
from agents.task import Task
from distill.dataset import DatasetConfig, training_texts, write_dataset
from distill.exam.names import Names, distinctive, tokens
from distill.exam.split import HeldOut
from distill.keep import sort_ledger
from distill.leaks import leaks
from graphs.episode import Table, play

PAGES = {
    "pump_rate": "Pump rate.\n\nThe pump turns eleven times before the first drop of water comes out of it.",
    "listen": "Sets where the kettle listens for the owner and how loud the owner has to call it.",
    "valve": "Sets the valve of the kettle.\n\nThis setting is read once when the kettle is switched on.",
    "lid": "Sets the lid of the kettle.\n\nThis setting is read once when the kettle is switched on.",
}


@pytest.fixture(scope="module")
def library() -> Library:
    pages = [Document(id=n, title=n, text=f"# {n}\n\n{text}\n", source=f"{n}.md") for n, text in PAGES.items()]
    return Library.build(pages)


HELD = HeldOut(
    entities=("pump_rate", "listen", "lid"), groups=("pump_rate", "listen", "lid"), modules=(),
    chunks=("pump_rate#0", "listen#0", "lid#0"),
)  # fmt: skip


def task(entity: str, question: str) -> Task:
    return Task(
        id=f"t-{entity}", question=question, gold="1", level="engineer", kind="lookup", entities=(entity,), group=entity
    )


TASKS = (
    task("listen", "Which of the four values has the default of `listen` of the kettle?"),
    task("lid", "What is the default of `lid`?"),
)


def test_clean_text_passes(library: Library) -> None:
    texts = [
        ("q", "What is the default of `valve`?\nWhich of the four values has the default of `valve` of the kettle?"),
        ("page", "valve\n" + PAGES["valve"]),
        ("other", "pump_rate_max and my.pump_rate are other names"),
    ]
    report = leaks(texts, HELD, TASKS, library)
    assert report.passed
    assert report.texts == 3
    assert 0 < report.overlap < 1
    report.check()


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("Set pump_rate, then wait.", "name_hits", "name 'pump_rate'"),
        ("I look up `pump_rate`.", "name_hits", "name 'pump_rate'"),
        ("say: which values has the default of `listen` of the kettle? or not", "question_hits", "question t-listen"),
        ("What is the default of `lid`?", "question_hits", "question t-lid"),
        ("x the pump turns eleven times before the first drop of y", "chunk_hits", "chunk pump_rate#0"),
    ],
)
def test_planted_text_is_caught(library: Library, text: str, field: str, said: str) -> None:
    if field == "question_hits" and "listen" in text:
        text = "Which of the four values has the default of `listen` of it"
    report = leaks([("ok", "nothing here"), ("bad", text.replace("x the", "x The"))], HELD, TASKS, library)
    assert not report.passed
    assert getattr(report, field) == 1
    assert report.examples[0].startswith(f"bad: {said}")
    with pytest.raises(ProofError, match="held-out exam in training text"):
        report.check()


def test_boilerplate_does_not_count(library: Library) -> None:
    shared = "This setting is read once when the kettle is switched on."
    assert leaks([("t", shared)], HELD, TASKS, library).passed


def test_without_a_library_pages_are_not_searched() -> None:
    page = PAGES["pump_rate"]
    assert leaks([("t", page)], HELD, TASKS).chunk_hits == 0


def test_shorter_runs_find_more(library: Library) -> None:
    text = "before the first drop of water"
    assert leaks([("t", text)], HELD, TASKS, library).passed
    assert leaks([("t", text)], HELD, TASKS, library, run=5).chunk_hits == 1


def test_whole_names_only() -> None:
    names = Names(["logging.Handler", "--alt-svc", "a b.c"])
    assert names.within("see logging.Handler.") == {"logging.Handler"}
    assert names.within("see logging.Handler.emit and --alt-svc-x") == set()
    assert names.within("use `--alt-svc` or (logging.Handler)") == {"--alt-svc", "logging.Handler"}
    assert names.within("so a b.c it is") == {"a b.c"}
    assert "x.y" in tokens("the x.y.")
    assert [distinctive(name) for name in ("listen", "pump_rate", "a.b", "http2", "getName", "Name", "-a")] == [
        False, True, True, True, True, False, True,
    ]  # fmt: skip


def planted(where: str, kettle: Path) -> Any:
    """A kept episode with the held-out name `pump_rate` in one place of what is trained."""
    trajectory = asyncio.run(play(little.tasks(little.library())[0], Table.from_context(little.context(kettle))))
    plain = json.loads(trajectory.to_json())
    turn = next(m for m in plain["messages"] if m.get("tool_calls"))
    function = turn["tool_calls"][0]["function"]
    if where == "reasoning":
        turn["reasoning_content"] = "The pump_rate would be another question."
    elif where == "argument":
        function["arguments"]["query"] = "pump_rate"
    elif where == "name of an argument":
        function["arguments"]["pump_rate"] = 1
    elif where == "number in an argument":
        function["arguments"]["deep"] = [{"pump_rate": None}]
    elif where == "name of a tool":
        function["name"] = "pump_rate"
    elif where == "name of an observation":
        next(m for m in plain["messages"] if m["role"] == "tool")["name"] = "pump_rate"
    elif where == "schema":
        plain["tools"][0]["function"]["description"] = "Looks up pump_rate and the like."
    elif where == "property of a schema":
        plain["tools"][0]["function"]["parameters"]["properties"]["pump_rate"] = {"type": "string"}
    return type(trajectory).model_validate(plain)


@pytest.mark.parametrize(
    "where",
    [
        "reasoning",
        "argument",
        "name of an argument",
        "number in an argument",
        "name of a tool",
        "name of an observation",
        "schema",
        "property of a schema",
    ],
)
def test_everything_that_a_row_trains_is_searched(where: str, kettle: Path, library: Library) -> None:
    kept, config = planted(where, kettle), DatasetConfig(reasoning=True)
    report = leaks(training_texts([kept], (), config), HELD, TASKS, library)
    assert report.name_hits == 1
    with pytest.raises(ProofError, match="pump_rate"):
        report.check()


def test_reasoning_that_is_not_trained_is_not_searched(kettle: Path, library: Library, tmp_path: Path) -> None:
    """What is searched is the row that is written, by the same config."""
    kept, task = planted("reasoning", kettle), little.tasks(little.library())[0]
    for config, hits in ((DatasetConfig(), 0), (DatasetConfig(reasoning=True), 1)):
        assert leaks(training_texts([kept], (), config), HELD, TASKS, library).name_hits == hits
        write_dataset(tmp_path, {task.id: task}, sort_ledger({task.id: task}, [kept]), (), config)
        assert (tmp_path / "data" / "sft.jsonl").read_text().count("pump_rate") == hits
