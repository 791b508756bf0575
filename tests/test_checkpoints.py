"""A stored trajectory becomes the graph's own states again: node by node, and in the end the very record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import little
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import add_messages
from langgraph.types import StateUpdate

from agents.context import Context
from agents.models.meter import Account
from agents.task import Task
from graphs.checkpoints import Superstep, read_question, shared, supersteps
from graphs.episode import Table, opening_state, plain_messages, record
from graphs.react import builder, graph
from graphs.trajectory import Trajectory, Usage

ADDED = ("tool_uses", "spent", "mended")
LOOK = {"reply": "I look it up.", "call": {"arguments": {"query": "heater_limit default"}}}
BAD = {"raw_call": '{"query": ', "reply": "I look."}
ALIEN = {"call": {"name": "browse", "arguments": {"query": "x"}}, "reply": "I browse."}
DONE = {"reply": "The manual says so.\nQuote: Default: 3\nAnswer: 3"}


def turns(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**row, "turn": number} for number, row in enumerate(rows)]


def limits(**values: int) -> dict[str, Any]:
    return {"board": {"limits": values}}


CASES: dict[str, tuple[list[dict[str, Any]] | None, dict[str, Any], str]] = {
    "demonstrator": (None, {}, "answered"),
    "closed book": ([DONE], {"mode": "cot"}, "answered"),
    "repaired": (turns(BAD, ALIEN, LOOK, DONE), {}, "answered"),
    "unreadable to the end": (turns(BAD), limits(repairs=0), "malformed"),
    "no such tool to the end": (turns(LOOK, ALIEN), limits(repairs=0), "malformed"),
    "unreadable, again and again": ([BAD], limits(repairs=1), "malformed"),
    "no answer": ([{"reply": "I wonder."}], {}, "malformed"),
    "revised": (turns(LOOK, {"reply": "Answer: 3"}, DONE), {"verify": "revise"}, "answered"),
    "revised in vain": (turns(LOOK, {"reply": "Answer: 3"}, {"reply": "Answer: 4"}), {"verify": "revise"}, "answered"),
    "unchecked": (turns(LOOK, DONE), {"verify": "off"}, "answered"),
    "gave up": ([{"reply": "Answer: I don't know"}], {}, "gave_up"),
    "loop": (turns(LOOK, LOOK), {}, "loop"),
    "no search left": (turns(LOOK, {**LOOK, "reply": "Again.", "call": {"arguments": {"query": "pump"}}}),
                       limits(searches=1), "limit:searches"),
    "no step left": ([LOOK], limits(steps=1), "limit:steps"),
    "no token left": ([LOOK], limits(tokens=10), "limit:tokens"),
}  # fmt: skip


def fold(steps: list[Superstep]) -> dict[str, Any]:
    """The state after `steps`, by the reducers of `agents.state.Episode`."""
    state: dict[str, Any] = {}
    for step in steps:
        for name, value in step["values"].items():
            if name == "messages":
                state[name] = add_messages(state.get(name, []), value)
            else:
                state[name] = [*state.get(name, []), *value] if name in ADDED else value
    return state


def timeless(trajectory: Trajectory) -> Trajectory:
    """Without seconds: sums of shares may differ from the sum in the last digit."""
    roles = {name: cost.model_copy(update={"seconds": 0.0}) for name, cost in trajectory.usage.roles.items()}
    return trajectory.model_copy(update={"usage": trajectory.usage.model_copy(update={"roles": roles})})


async def really_played(task: Task, context: Context) -> tuple[list[str], list[dict[str, Any]]]:
    """The nodes that ran, and the state after each."""
    nodes: list[str] = []
    states: list[dict[str, Any]] = []
    start = opening_state(task, context.form, 2)
    async for kind, part in graph.astream(start, context=context, stream_mode=["updates", "values"]):
        if kind == "updates":
            nodes += list(part)
        else:
            states.append(part)
    return nodes, states


@pytest.mark.parametrize("name", CASES)
async def test_a_real_episode_and_its_replay(name: str, kettle: Path, tmp_path: Path) -> None:
    script, changes, stop = CASES[name]
    context = little.context(kettle, little.seat(tmp_path, script) if script else None, **changes)
    task = little.tasks(little.library())[0 if script else -1]
    nodes, states = await really_played(task, context)
    table = Table.from_context(context)
    played = record(states[-1], task, table, sample=2, seconds=1.5)
    assert played.stop == stop

    steps = supersteps(Trajectory.from_json(played.to_json()), task)
    assert json.loads(json.dumps(steps)) == steps
    assert [step["as_node"] for step in steps] == ["__start__", *nodes]
    again = record(fold(steps), task, table, sample=2, seconds=1.5)
    assert timeless(again) == timeless(played)

    for number, real in enumerate(states):
        state = fold(steps[: number + 1])
        for field in ("question", "options", "gold", "sample", "steps", "repairs", "revisions"):
            assert state.get(field) == real.get(field), (number, field)
        for field in ("answer", "choice", "quotes", "stop", "verdict", "tool_uses"):
            assert json.dumps(state.get(field) or None) == json.dumps(real.get(field) or None), (number, field)
        said = plain_messages(state.get("messages", []))
        if number < len(states) - 1 and nodes[number] == "repair":
            assert said[-1]["malformed"]  # how it looked before it was sent back is not on record
        else:
            assert said == plain_messages(real.get("messages", []))


@pytest.mark.parametrize("name", CASES)
async def test_checkpoints_lead_where_the_episode_went(name: str, kettle: Path, tmp_path: Path) -> None:
    """Written into a checkpointer, each state has the node that really came next."""
    script, changes, _ = CASES[name]
    context = little.context(kettle, little.seat(tmp_path, script) if script else None, **changes)
    task = little.tasks(little.library())[0 if script else -1]
    nodes, states = await really_played(task, context)
    steps = supersteps(record(states[-1], task, Table.from_context(context), sample=2, seconds=1.5), None)
    kept = builder.compile(checkpointer=InMemorySaver())
    place: Any = {"configurable": {"thread_id": "1", "checkpoint_ns": ""}}
    await kept.abulk_update_state(place, [[StateUpdate(step["values"], step["as_node"])] for step in steps])
    history = [state async for state in kept.aget_state_history(place)][::-1]
    assert [state.next for state in history] == [*((node,) for node in nodes), ()]
    ids = [message.id for message in history[-1].values["messages"]]
    assert len(set(ids)) == len(ids)


async def test_without_the_task_the_question_is_read_from_the_messages(kettle: Path) -> None:
    context = little.context(kettle)
    for task in little.tasks(little.library())[::12]:
        _, states = await really_played(task, context)
        steps = supersteps(record(states[-1], task, Table.from_context(context), sample=0, seconds=1.0), None)
        start = {"question": task.question, "options": [], "gold": None, "sample": 0}
        assert steps[0]["values"] == start


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Why?\nA) a\nB) b", ("Why?", ["a", "b"])),
        ("Why?", ("Why?", [])),
        ("One\nTwo\nA) a", ("One\nTwo", ["a"])),
        ("Why?\nA) a\nC) b", ("Why?\nA) a\nC) b", [])),
        ("", ("", [])),
    ],
)
def test_reading_a_question(asked: str, expected: tuple[str, list[str]]) -> None:
    assert read_question(asked) == expected


def test_costs_are_shared_without_losing_any() -> None:
    cost = Account(calls=3, prompt=100, completion=7, cached=2, usd=0.3, seconds=1.0)
    rows = shared("judge", cost)
    assert [row["role"] for row in rows] == ["judge"] * 3
    assert [sum(row[name] for row in rows) for name in ("prompt", "completion", "cached")] == [100, 7, 2]
    assert max(row["prompt"] for row in rows) - min(row["prompt"] for row in rows) <= 1
    assert sum(row["usd"] for row in rows) == pytest.approx(0.3)


async def test_every_role_pays_where_it_was_called(kettle: Path) -> None:
    """Costs of the search agent stand on act steps, the judge's on verify steps, what was mended on the first turn."""
    context = little.context(kettle)
    task = little.tasks(little.library())[-1]
    _, states = await really_played(task, context)
    played = record(states[-1], task, Table.from_context(context), sample=0, seconds=1.0)
    roles = {name: Account(calls=2, prompt=9) for name in ("reason", "search", "judge", "first_thought")}
    rich = played.model_copy(update={"usage": Usage(calls=3, roles=roles), "mended": {"fence": 2}})
    steps = supersteps(rich, task)
    paid = [(step["as_node"], [row["role"] for row in step["values"].get("spent", [])]) for step in steps]
    assert paid == [
        ("__start__", []),
        ("reason", ["reason", "first_thought"]),
        ("act", ["search"]),
        ("reason", ["reason", "first_thought"]),
        ("act", ["search"]),
        ("reason", []),
        ("verify", ["judge", "judge"]),
    ]
    assert fold(steps)["mended"] == ["fence", "fence"]


async def test_a_record_of_the_first_version_has_no_roles(kettle: Path) -> None:
    context = little.context(kettle)
    task = little.tasks(little.library())[0]
    _, states = await really_played(task, context)
    played = record(states[-1], task, Table.from_context(context), sample=0, seconds=1.0)
    old = played.model_copy(update={"usage": Usage(prompt=101, completion=9, calls=2), "calls": ()})
    spent = fold(supersteps(old, task))["spent"]
    assert [(row["role"], row["prompt"], row["completion"]) for row in spent] == [("reason", 50, 4), ("reason", 51, 5)]
