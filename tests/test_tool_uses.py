"""Searches are looks into the library; calls of own tools and of MCP servers are tool uses, and no searches."""

from __future__ import annotations

from typing import Any

import pytest
import synthetic_run as synthetic
from synthetic_run import scored as score

from agents.tools import SEARCH
from distill.keep import reason_to_drop
from graphs.trajectory import Trajectory

TASK = synthetic.make_task(0, "train")
CLOCK: dict[str, Any] = {"tool": "clock", "query": "{}", "extract": "It is noon."}
LOOKED: dict[str, Any] = {"tool": "search", "query": "q", "extract": "x", "hits": [{"chunk": "kettle#0", "score": 1.0}]}
OWN = {"type": "function", "function": {"name": "clock", "parameters": {}}}


def used(*rows: dict[str, Any], tools: tuple[dict[str, Any], ...] = (SEARCH, OWN)) -> Trajectory:
    """An accepted episode with these tool calls."""
    made = synthetic.episode(TASK, "teacher", TASK.gold)
    return made.model_copy(update={"tool_uses": synthetic.uses(rows), "tools": tools})


def test_an_own_tool_is_no_search() -> None:
    t = used(CLOCK, LOOKED, {**LOOKED, "tool": "open"}, {**LOOKED, "tool": "find"})
    assert [row.tool for row in t.tool_uses] == ["clock", "search", "open", "find"]
    assert [row.tool for row in t.searches] == ["search", "open", "find"]
    row = score(TASK, t)
    assert (row.searches, row.searched, row.evidence_recall) == (3.0, 1.0, 1.0)
    only = score(TASK, used(CLOCK))
    assert (only.searches, only.searched) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("rows", "tools", "reason"),
    [
        ((), (SEARCH, OWN), "no_search"),
        ((CLOCK,), (SEARCH, OWN), "no_search"),
        ((CLOCK, LOOKED), (SEARCH, OWN), None),
        ((CLOCK,), (OWN,), None),
    ],
)
def test_an_episode_that_could_search_and_did_not_is_dropped(rows: Any, tools: Any, reason: str | None) -> None:
    """A board whose only tools are the user's own offers no search, so none is missed."""
    assert reason_to_drop(TASK, used(*rows, tools=tools)) == reason


def test_an_episode_that_only_used_its_own_tool_can_be_grounded() -> None:
    assert score(TASK, used(CLOCK, tools=(OWN,))).grounded == 1.0
