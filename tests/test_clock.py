"""Whose time counts: a reply's own, not what it waited for in the queue of this process; and no limit unless asked."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import little
import pytest
from langchain_core.messages import HumanMessage
from tiny_models import tiny_model

from agents.context import Board, Limits, Seat
from agents.models.desk import call
from graphs.episode import Table, play
from graphs.react import over_limit, seconds_left


@pytest.fixture(scope="module")
def seat(tmp_path_factory: pytest.TempPathFactory) -> Seat:
    folder = tiny_model(tmp_path_factory.mktemp("clock") / "base")
    return Seat(model=f"hf:{folder}", max_tokens=64, timeout=0.05)


async def test_waiting_in_the_queue_of_this_process_is_nobodys_time(seat: Seat) -> None:
    asked = [[HumanMessage(f"Where is the capital number {at}?")] for at in range(80)]
    await call(seat, "reason", asked[0])
    begun = time.monotonic()
    rows = [row for _, row in await asyncio.gather(*(call(seat, "reason", one, seconds=0.02) for one in asked))]
    took = time.monotonic() - begun
    assert all(row["seconds"] > 0 for row in rows)
    assert 0.2 * took < sum(row["seconds"] for row in rows) < 1.05 * took


async def test_a_reply_says_what_share_of_its_batch_it_took(seat: Seat) -> None:
    reply, row = await call(seat, "reason", [HumanMessage("Where?")])
    assert reply.response_metadata["seconds"] == row["seconds"] > 0


async def test_the_limit_still_ends_an_episode_of_a_seat_in_process(kettle: Path, seat: Seat) -> None:
    talking = {"messages": [], "spent": [await spent(seat)]}
    context = little.context(kettle, seat, board=Board(limits=Limits(seconds=1e-6)))
    assert over_limit(talking, context) == "limit:seconds"  # type: ignore[arg-type]


async def spent(seat: Seat) -> object:
    return (await call(seat, "reason", [HumanMessage("Where?")]))[1]


def test_seconds_are_no_limit_unless_asked(kettle: Path) -> None:
    context = little.context(kettle)
    assert context.board.limits.seconds is None
    row = {"role": "reason", "prompt": 1, "completion": 1, "cached": 0, "usd": 0.0, "seconds": 1e9}
    assert seconds_left({"spent": [row]}, context) is None  # type: ignore[typeddict-item]
    assert over_limit({"spent": [row]}, context) is None  # type: ignore[typeddict-item]


async def test_an_episode_plays_without_a_limit_of_seconds(kettle: Path) -> None:
    trajectory = await play(
        little.tasks(little.library())[0], Table.from_context(little.context(kettle, verify="revise"))
    )
    assert trajectory.stop == "answered"
