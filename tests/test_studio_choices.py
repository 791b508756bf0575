"""What a thread may choose: the schema of the served graphs, which holds whatever route a context came by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studio_run import write_run

from agents.context import Board, Context, Limits, McpServer, Seat, Team, ToolFaults
from agents.errors import ConfigError
from retort.config import load_config
from retort.pipeline import Run
from retort.studio_choices import Offer, offered_by, schema

OWN = "/somewhere/tools.py:convert"
OFFER = Offer(
    teams={name: Team(name=name, reason=Seat(model=f"hf:{name}")) for name in ("teacher", "student")},
    library="/runs/kettle/library",
    held_out="/runs/kettle/held_out.json",
    board=Board(
        limits=Limits(searches=9, seconds=20),
        top_k=5,
        tools=("search", OWN),
        mcp={"probe": McpServer(command="thermometer"), "clock": McpServer(url="http://127.0.0.1:9/mcp")},
    ),
    faults=ToolFaults(rate=0.5),
)


def chosen(**given: Any) -> Context:
    """The context that a thread of the teacher's graph gets."""
    return schema("TeacherContext", OFFER, OFFER.choice(team="teacher"))(**given)


def test_what_is_left_out_is_the_runs() -> None:
    plain = chosen()
    assert (plain.team, plain.library, plain.board) == (OFFER.teams["teacher"], OFFER.library, OFFER.board)
    assert (plain.without, plain.faults, plain.mode, plain.verify) == (None, None, "react", "score")
    limits = chosen(board={"limits": {"searches": 1}, "top_k": 2}).board
    assert (limits.limits, limits.top_k, limits.tools) == (Limits(searches=1, seconds=20), 2, ("search", OWN))


def test_names_stand_for_what_the_run_has() -> None:
    other = chosen(
        team="student", bar_held_out=True, faults=True, mode="cot", board={"tools": ["search"], "mcp": ["clock"]}
    )
    assert other.team == OFFER.teams["student"]
    assert (other.without, other.faults, other.mode) == (OFFER.held_out, OFFER.faults, "cot")
    assert (other.board.tools, other.board.mcp) == (("search",), {"clock": OFFER.board.mcp["clock"]})


@pytest.mark.parametrize(
    "given",
    [
        {"library": "/etc"},
        {"without": None},
        {"team": {"name": "t", "reason": {"model": "openai:m@http://evil.example/v1"}}},
        {"team": "base"},
        {"board": {"tools": ["os:system"]}},
        {"board": {"mcp": {"x": {"command": "sh"}}}},
        {"board": {"mcp": ["x"]}},
        {"board": {"limits": {"searches": -1}}},
        {"board": {"limits": {"tool_secnds": 1}}},
        {"faults": {"rate": 1}},
        {"__pregel_runtime": {}},
    ],
)
def test_nothing_else_passes(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="offered|unknown key|Input should be"):
        chosen(**given)


def test_what_the_run_lacks_cannot_be_chosen() -> None:
    bare = Offer(OFFER.teams, OFFER.library, None, Board(), None)
    graph = schema("TeacherContext", bare, bare.choice(team="teacher"))
    with pytest.raises(ConfigError, match="run the stage 'exam' first"):
        graph(bar_held_out=True)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r"no \[collect.faults\]"):
        graph(faults=True)  # type: ignore[call-arg, arg-type]
    with pytest.raises(ConfigError, match=r"board.mcp: \['probe'\] is not offered; the run's run.toml names none"):
        graph(board={"mcp": ["probe"]})  # type: ignore[call-arg, arg-type]


def test_studio_is_shown_what_may_be_chosen() -> None:
    """Its form is made of this: names to pick from, and no key to type a path into."""
    shown = schema("TeacherContext", OFFER, OFFER.choice(team="teacher")).model_json_schema()
    assert shown["title"] == "TeacherContext"
    assert set(shown["properties"]) == {"team", "mode", "form", "verify", "bar_held_out", "faults", "board"}
    assert shown["properties"]["team"]["enum"] == ["teacher", "student"]
    assert shown["properties"]["team"]["default"] == "teacher"
    assert shown["$defs"]["BoardChoice"]["properties"]["mcp"]["items"]["enum"] == ["probe", "clock"]


def test_the_teams_of_a_run_are_offered(tmp_path: Path) -> None:
    """Those that can be seated: a student that is still to be trained is left to its graph, which says so."""
    folder = write_run(tmp_path)
    offer, collecting = offered_by(folder)
    run = Run(load_config(folder), folder)
    assert (sorted(offer.teams), collecting) == (["base", "student", "teacher"], "teacher")
    assert offer.teams["teacher"] == run.team("teacher")
    assert offer.held_out == str(folder / "held_out.json")
    assert sorted(offered_by(tmp_path / "none")[0].teams) == ["student", "teacher"]
