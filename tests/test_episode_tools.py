"""Tools of other kinds in THE graph, faults put in on purpose, and how the episodes land in the dataset."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import little
import pytest

from agents.context import Board, Context, McpServer, Team, ToolFaults
from agents.files import read_jsonl
from agents.task import Task
from agents.tools import close_kits
from distill.dataset import DatasetConfig, sft_row, write_dataset
from distill.keep import sort_ledger
from graphs.episode import Table, play
from graphs.runner.collect import collect, now
from graphs.runner.ledger import Ledger

HERE = Path(__file__).resolve().parent
OWN = '''
def boiling(altitude: int) -> str:
    """The boiling point of water at an altitude in metres."""
    if altitude < 0:
        raise ValueError("under the sea")
    return f"Boils at {100 - altitude // 300} C"
'''


def first_task() -> Task:
    """The default of `heater_limit`, which is 3."""
    return little.tasks(little.library())[0]


@pytest.fixture
def own_tool(tmp_path: Path) -> str:
    """A user's tool, by file and function."""
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return f"{path}:boiling"


async def test_mcp_and_own_tools_are_used_and_land_in_the_dataset(kettle: Path, tmp_path: Path, own_tool: str) -> None:
    """Must show 3: a real MCP server over stdio and a user's own tool, in one episode, with their schemas."""
    pytest.importorskip("langchain_mcp_adapters", reason="extra 'mcp' is not installed")
    server = McpServer(command=sys.executable, args=(str(HERE / "mcp_thermometer.py"),), tools=("temperature",))
    board = Board(tools=("search", "open", "find", own_tool), mcp={"probe": server})
    script: list[dict[str, object]] = [
        {"turn": 0, "reply": "Is it on?", "call": {"name": "temperature", "arguments": {"module": "pump"}}},
        {"turn": 1, "reply": "How hot?", "call": {"name": "boiling", "arguments": {"altitude": 300}}},
        {"turn": 2, "reply": "The page.", "call": {"name": "open", "arguments": {"page": "heater_limit"}}},
        {"turn": 3, "reply": "All is there.\nQuote: Boils at 99 C\nQuote: Default: 3\nAnswer: 3"},
    ]
    context = little.context(kettle, little.seat(tmp_path, script), board=board)
    task = first_task()
    try:
        trajectory = await play(task, Table.from_context(context))
    finally:
        await close_kits()
    assert (trajectory.label, trajectory.verdict.grounded) == ("accepted", True)
    assert [row.tool for row in trajectory.tool_uses] == ["temperature", "boiling", "open"]
    assert trajectory.tool_uses[1].extract == "Boils at 99 C"
    result = sort_ledger({task.id: task}, [trajectory])
    write_dataset(tmp_path, {task.id: task}, result, little.library().chunks, DatasetConfig())
    (row,) = read_jsonl(tmp_path / "data" / "sft.jsonl")
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in json.loads(row["tools"])}
    assert set(schemas) == {"search", "open", "find", "boiling", "temperature"}
    assert schemas["boiling"]["properties"]["altitude"]["type"] == "integer"
    assert "module" in schemas["temperature"]["properties"]
    called = [c["function"] for message in row["messages"] for c in message.get("tool_calls") or ()]
    assert [c["name"] for c in called] == ["temperature", "boiling", "open"]
    assert called[1]["arguments"] == {"altitude": 300}


async def test_a_tool_that_fails_is_an_observation_and_its_episode_recovers(
    kettle: Path, tmp_path: Path, own_tool: str
) -> None:
    script: list[dict[str, object]] = [
        {"turn": 0, "reply": "How hot?", "call": {"name": "boiling", "arguments": {"altitude": -1}}},
        {"turn": 1, "reply": "Then the page.", "call": {"name": "find", "arguments": {"text": "Default: 3"}}},
        {"turn": 2, "reply": "Quote: Default: 3\nAnswer: 3"},
    ]
    board = Board(tools=("find", own_tool))
    trajectory = await play(
        first_task(), Table.from_context(little.context(kettle, little.seat(tmp_path, script), board=board))
    )
    assert trajectory.label == "recovered"
    assert "under the sea" in (trajectory.tool_uses[0].error or "")
    assert trajectory.messages[3]["content"].startswith("Error: ")
    assert "Traceback" not in trajectory.to_json()


def faulty(kettle: Path, faults: ToolFaults | None) -> Context:
    """The demonstrator, with faults put into its searches."""
    return little.context(kettle, faults=faults, without=None)


def test_faults_are_seeded_named_and_recovered_from(kettle: Path, tmp_path: Path) -> None:
    tasks = [Task.model_validate(row) for row in read_jsonl(kettle / "exam.jsonl")]
    table = Table.from_context(faulty(kettle, ToolFaults(rate=0.5, seed=3)))
    assert table.board != Table.from_context(faulty(kettle, None)).board, "episodes with faults are other episodes"
    runs = []
    for name in ("a", "b"):
        with Ledger(tmp_path / f"{name}.sqlite") as ledger:
            now(collect(tasks, table, ledger, concurrency=1 if name == "a" else 9))
            runs.append({t.task_id: t for t in ledger.trajectories()})
    first, second = runs
    assert {k: t.messages for k, t in first.items()} == {k: t.messages for k, t in second.items()}
    rows = [row for t in first.values() for row in t.tool_uses]
    kinds = Counter(row.fault for row in rows if row.fault)
    assert set(kinds) == {"timeout", "empty", "error", "truncated", "stale"}
    assert 0.35 < sum(kinds.values()) / len(rows) < 0.65
    assert all(row.error for row in rows if row.fault in ("timeout", "error"))
    labels = Counter(t.label for t in first.values())
    assert labels["recovered"] > 5
    assert labels["accepted"] > 5
    for t in first.values():
        assert (t.label == "recovered") == (t.verdict.accepted and any(row.fault for row in t.tool_uses))
        assert not any(row.hits for row in t.tool_uses if row.fault), "what was not shown is not retrieved"
    kept = sort_ledger({task.id: task for task in tasks}, first.values()).kept
    shown = [t for t in kept if t.label == "recovered"]
    assert shown
    assert any("Error: search timed out" in json.dumps(sft_row(t)["messages"]) for t in shown)


async def test_a_quote_of_what_a_fault_cut_away_is_not_grounded(kettle: Path, tmp_path: Path) -> None:
    """The chunk holds the line, the player was shown less: quoting from memory is no grounding."""
    script: list[dict[str, object]] = [
        {"turn": 0, "reply": "I look.", "call": {"arguments": {"query": "heater_limit default"}}},
        {"turn": 1, "reply": "Quote: Default: 3\nAnswer: 3"},
    ]
    seat = little.seat(tmp_path, script)
    context = little.context(kettle, seat, faults=ToolFaults(rate=1.0, kinds=("empty",)))
    trajectory = await play(first_task(), Table.from_context(context))
    assert (trajectory.label, trajectory.verdict.correct) == ("ungrounded", True)


async def test_modes_without_tools_offer_none(kettle: Path, tmp_path: Path) -> None:
    seat = little.seat(tmp_path, [{"reply": "Answer: 3"}])
    for mode in ("cot", "answer"):
        context = Context(team=Team(name="t", reason=seat), library=str(kettle / "library"), mode=mode)  # type: ignore[arg-type]
        trajectory = await play(first_task(), Table.from_context(context))
        assert (trajectory.mode, trajectory.label, trajectory.tools) == (mode, "accepted", ())
