"""A node that is repeated does not buy again what its earlier attempts got."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import little
import pytest
from openai_server import serving

from agents.context import Board, Seat, Team
from agents.models.meter import Meter, metered
from agents.models.scripted import AnswerKey, LineScript
from agents.task import Task
from graphs.episode import Table, play

FAILS = (500, {"error": {"message": "one bad moment"}})


@pytest.fixture(scope="module")
def one() -> Task:
    """A training task."""
    return little.lookups(little.library(), 1)[0]


def copied(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A reply of an extract seat: the passage's line with the default, as a structured object."""
    asked = body["messages"][-1]["content"]
    lines = [line for line in asked.splitlines() if line.startswith("Default: ")]
    said = {"role": "assistant", "content": json.dumps({"lines": lines})}
    usage = {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}
    return 200, {"choices": [{"index": 0, "message": said, "finish_reason": "stop"}], "usage": usage}


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_passages_that_were_read_are_not_bought_again(kettle: Path, one: Task, failing: int) -> None:
    """Three passages, and the call of one of them fails twice: five calls, not nine."""
    asked: Counter[str] = Counter()

    def fault(number: int, body: dict[str, Any]) -> tuple[int, Any]:
        passage = body["messages"][-1]["content"]
        asked[passage] += 1
        return FAILS if list(asked).index(passage) == failing - 1 and asked[passage] <= 2 else copied(body)

    meter = Meter()
    reason = Seat(model=f"scripted:answer-key@{kettle / 'exam.jsonl'}")
    with serving(LineScript(rows=[]), fault=fault) as server, metered(meter):
        team = Team(name="t", reason=reason, extract=Seat(model=f"openai:m@{server.url}", concurrency=1))
        context = little.context(kettle, team=team, board=Board(extract="seat"))
        trajectory = await play(little.tasks(little.library())[0], Table.from_context(context))
    assert trajectory.verdict.accepted
    assert sorted(asked.values()) == [1, 1, 3]
    accounts, faults = meter.unsettled()
    assert (accounts["extract"].calls, accounts["extract"].failed, faults["server"]) == (3, 2, 2)
    assert trajectory.usage.roles["extract"].calls == 3, "the episode's account holds each reply once"


async def test_a_first_thought_is_not_bought_again_with_its_turn(kettle: Path, one: Task) -> None:
    def fault(number: int, body: dict[str, Any]) -> tuple[int, Any] | None:
        return FAILS if number in (2, 3) else None

    meter = Meter()
    with serving(AnswerKey(tasks=(one,)), fault=fault) as server, metered(meter):
        team = Team(name="t", reason=Seat(model=f"openai:m@{server.url}"), first_thought=True)
        trajectory = await play(one, Table.from_context(little.context(kettle, team=team)))
        thoughts = [body for body in server.seen if not body.get("tools")]
    assert trajectory.verdict.accepted
    assert len(thoughts) == 1
    assert len(server.seen) == 1 + 2 + len(trajectory.searches) + 1
    accounts, _ = meter.unsettled()
    assert trajectory.usage.roles["reason"].calls == accounts["reason"].calls == len(server.seen) - 2


async def test_the_same_request_of_another_turn_is_another_call(kettle: Path, tmp_path: Path, one: Task) -> None:
    """Only a repeated node is not_needed: a player that asks the same again in a later turn gets a reply of its own."""
    rows = [
        {"turn": turn, "reply": "I look.", "call": {"arguments": {"query": query}}}
        for turn, query in enumerate(("heater_limit", "pump_limit", "heater_limit"))
    ]
    with serving(LineScript(rows=[]), fault=lambda number, body: copied(body)) as server:
        team = Team(
            name="t",
            reason=little.seat(tmp_path, [*rows, {"reply": "Answer: 3"}]),
            extract=Seat(model=f"openai:m@{server.url}"),
        )
        context = little.context(kettle, team=team, board=Board(extract="seat"))
        await play(one, Table.from_context(context))
        asked = Counter(body["messages"][-1]["content"] for body in server.seen)
    assert len(server.seen) == 9
    assert max(asked.values()) == 2
