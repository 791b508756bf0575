"""The time that tools take counts against the episode's seconds, and time in model calls is not counted twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import little
import pytest

from agents.context import Board, Context, Limits
from agents.task import Task
from graphs.episode import Table, opening_state, play
from graphs.react import graph

SLOW = '''
import time


def slow(seconds: float) -> str:
    """Waits."""
    time.sleep(seconds)
    return f"It waited {seconds} s, and Default: 3"
'''
WAIT = 0.15


def task() -> Task:
    """The default of `heater_limit`, which is 3."""
    return little.tasks(little.library())[0]


@pytest.fixture
def slow(tmp_path: Path) -> str:
    """A user's tool that takes its time."""
    path = tmp_path / "own.py"
    path.write_text(SLOW)
    return f"{path}:slow"


def asking(kettle: Path, folder: Path, slow: str, waits: list[float], **limits: Any) -> Context:
    """A player who uses the slow tool so often, then answers."""
    script: list[dict[str, object]] = [
        {"turn": n, "reply": "I wait.", "call": {"name": "slow", "arguments": {"seconds": wait}}}
        for n, wait in enumerate(waits)
    ]
    script.append({"turn": len(waits), "reply": "Quote: and Default: 3\nAnswer: 3"})
    board = Board(tools=("search", slow), limits=Limits(**limits))
    return little.context(kettle, little.seat(folder, script), board=board)


async def final_state(context: Context) -> dict[str, Any]:
    """The graph's last state."""
    found: dict[str, Any] = await graph.ainvoke(opening_state(task(), "free"), context=context)
    return found


async def test_seconds_in_tools_add_up_over_turns(kettle: Path, tmp_path: Path, slow: str) -> None:
    state = await final_state(asking(kettle, tmp_path, slow, [WAIT, WAIT + 0.001]))
    assert state["stop"] == "answered"
    assert 2 * WAIT <= state["tool_seconds"] < 2 * WAIT + 2


async def test_a_search_takes_no_tool_time(kettle: Path) -> None:
    """What a search costs is the model call of whoever sits in it, and that is counted as such."""
    state = await final_state(little.context(kettle))
    assert state["tool_uses"] and state["tool_seconds"] == 0


async def test_tools_that_take_too_long_end_the_episode(kettle: Path, tmp_path: Path, slow: str) -> None:
    limited = asking(kettle, tmp_path, slow, [WAIT, WAIT + 0.001, WAIT + 0.002], seconds=1.5 * WAIT)
    made = await play(task(), Table.from_context(limited))
    assert (made.stop, len(made.tool_uses)) == ("limit:seconds", 2)
