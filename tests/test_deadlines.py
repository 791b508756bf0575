"""An episode's seconds reach every seat: one that hangs in a search or a judgement ends the episode, not the night."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import little
import pytest
from openai_server import serving

from agents.context import Board, Limits, Seat, Team
from agents.models.desk import call
from agents.models.meter import Meter, metered
from agents.models.scripted import LineScript
from graphs.episode import Table, play
from graphs.trajectory import Trajectory

SECONDS = 0.7


async def played(kettle: Path, role: str, **changes: Any) -> tuple[Trajectory, float, int]:
    """An episode of the demonstrator with one seat that never answers; its wall time, and the calls of that seat."""
    player = Seat(model=f"scripted:answer-key@{kettle / 'exam.jsonl'}")
    with serving(LineScript(rows=[]), fault=lambda number, body: "stall") as server:
        team = Team.model_validate({"name": "t", "reason": player, role: Seat(model=f"openai:m@{server.url}")})
        board = Board(limits=Limits(seconds=SECONDS), extract="seat" if role == "extract" else "lexical")
        context = little.context(kettle, team=team, board=board, verify="revise", **changes)
        table = Table.from_context(context)
        begun = time.monotonic()
        trajectory = await play(little.tasks(little.library())[0], table)
        return trajectory, time.monotonic() - begun, len(server.seen)


@pytest.mark.parametrize(("role", "calls"), [("extract", 3), ("search", 1)])
async def test_a_seat_of_the_search_that_hangs_ends_the_episode(kettle: Path, role: str, calls: int) -> None:
    trajectory, took, made = await played(kettle, role)
    assert (trajectory.stop, made) == ("limit:seconds", calls)
    assert took < SECONDS + 20, "not by the seat's timeout of 120 s"
    assert trajectory.searches == ()


async def test_a_judge_that_hangs_is_not_waited_for(kettle: Path) -> None:
    trajectory, took, made = await played(kettle, "judge")
    assert (trajectory.stop, made) == ("answered", 1)
    assert trajectory.mended == {"judge:late": 1}
    assert took < SECONDS + 20


async def test_what_was_found_before_stays_on_record(kettle: Path) -> None:
    """The rewriting of the second of two calls hangs: the first one's row is written down."""
    calls = {"reply": "I look.", "call": {"arguments": {"query": "heater_limit"}}}
    lines = [{**calls, "turn": 0}, {**calls, "turn": 1, "call": {"arguments": {"query": "heater_margin"}}}]

    def fault(number: int, body: dict[str, Any]) -> str | None:
        return "stall" if number > 1 else None

    with serving(LineScript(rows=[{"reply": "heater limit"}]), fault=fault) as server:
        team = Team(name="t", reason=little.seat(kettle.parent, lines), search=Seat(model=f"openai:m@{server.url}"))
        context = little.context(kettle, team=team, board=Board(limits=Limits(seconds=SECONDS)))
        trajectory = await play(little.tasks(little.library())[0], Table.from_context(context))
    assert trajectory.stop == "limit:seconds"
    assert [row.rewritten for row in trajectory.searches] == ["heater limit"]


async def test_no_time_left_sends_nothing() -> None:
    with serving(LineScript(rows=[{"reply": "x"}])) as server, metered(Meter()) as meter:
        with pytest.raises(TimeoutError):
            await call(Seat(model=f"openai:m@{server.url}"), "search", [], seconds=0.0)
        assert server.seen == []
    assert meter.unsettled() == ({}, {})


async def test_empty_replies_share_one_deadline() -> None:
    """An endpoint is asked again after an empty reply: in what is left of the seconds, not in as many again."""
    served = serving(LineScript(rows=[{"reply": ""}]), delay=0.9)
    with served as server, metered(Meter()) as meter:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            await call(Seat(model=f"openai:m@{server.url}"), "reason", [], seconds=1.5)
        assert time.monotonic() - begun < 3.0  # in as many again it would be 4.5
    assert meter.unsettled()[1] == {"empty": 1}
