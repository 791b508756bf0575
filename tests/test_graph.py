"""THE graph: its shape as a snapshot, its behaviour as a table of scripted walks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import little
import pytest
from openai_server import serving

from agents.context import Board, Limits, Seat
from agents.errors import ProviderError
from agents.models.scripted import LineScript
from graphs.board import board_parts
from graphs.episode import Table, play
from graphs.react import graph
from graphs.trajectory import Trajectory

SHAPE = Path(__file__).with_name("graph.mmd")
FOUND = "The manual says so.\nQuote: Default: 3\nAnswer: 3"
SEARCH: dict[str, Any] = {"reply": "I look.", "call": {"arguments": {"query": "heater_limit default"}}}


def other_call(query: str) -> dict[str, Any]:
    """A call that searches for something else."""
    return {"call": {"arguments": {"query": query}}}


def other(query: str) -> dict[str, Any]:
    """A turn that searches for something else."""
    return {"reply": "I look.", **other_call(query)}


def turns(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """A script: one row a turn."""
    return [{"turn": n, **row} for n, row in enumerate(rows)]


WALKS: dict[str, tuple[list[dict[str, Any]], str, list[str], dict[str, Any]]] = {
    # name: (script, stop, the verdict's reasons, changes of the context)
    "answered": (turns(SEARCH, {"reply": FOUND}), "answered", [], {}),
    "by letter": (turns(SEARCH, {"reply": "Quote: Default: 3\nAnswer: A"}), "answered", [], {"form": "choice"}),
    "wrong": (turns(SEARCH, {"reply": "Quote: Default: 3\nAnswer: 17"}), "answered", ["wrong"], {}),
    "no option": (
        turns(SEARCH, {"reply": "Quote: Default: 3\nAnswer: 99"}),
        "answered",
        ["ambiguous"],
        {"form": "choice"},
    ),
    "a letter is no free answer": (turns(SEARCH, {"reply": "Quote: Default: 3\nAnswer: A"}), "answered", ["wrong"], {}),
    "in other words": (turns(SEARCH, {"reply": "Quote: Default: 3\nAnswer: `3.0`."}), "answered", [], {}),
    "a quote that says nothing": (
        turns(SEARCH, {"reply": "Quote: the\nAnswer: 3"}),
        "answered",
        ["empty_quote"],
        {},
    ),
    "a quote of something else": (
        turns(SEARCH, {"reply": "Quote: Sets how the heater behaves\nAnswer: 3"}),
        "answered",
        ["unsupported"],
        {},
    ),
    "quoted while searching": (
        turns(SEARCH, {"reply": "Quote: Default: 3\nI look on.", **other_call("pump_limit")}, {"reply": "Answer: 3"}),
        "answered",
        [],
        {},
    ),
    "no quote": (turns(SEARCH, {"reply": "Answer: 3"}), "answered", ["no_quote"], {}),
    "invented quote": (turns(SEARCH, {"reply": "Quote: Default: 4\nAnswer: 3"}), "answered", ["ungrounded"], {}),
    "quote of another page": (
        turns(SEARCH, {"reply": "Quote: Default: 472\nAnswer: 3"}),
        "answered",
        ["ungrounded"],
        {},
    ),
    "no answer line": (turns({"reply": "Hm."}), "malformed", ["no_answer"], {}),
    "gave up": (turns(SEARCH, {"reply": "Answer: I don't know"}), "gave_up", [], {}),
    "loop": (turns(SEARCH, SEARCH), "loop", [], {}),
    "repaired": (turns({"reply": "I", "raw_call": '{"name'}, SEARCH, {"reply": FOUND}), "answered", [], {}),
    "unknown tool": (turns({"call": {"name": "rm", "arguments": {}}}, {"reply": "Answer: 3"}), "answered", [], {}),
    "malformed to the end": ([{"raw_call": "{"}], "malformed", [], {}),
    "steps": (
        turns(other("a"), other("b"), other("c")),
        "limit:steps",
        [],
        {"board": Board(limits=Limits(steps=2))},
    ),
    "searches": (
        turns(other("a"), other("b"), {"reply": FOUND}),
        "limit:searches",
        [],
        {"board": Board(limits=Limits(searches=1))},
    ),
    "tokens": (turns(SEARCH, {"reply": FOUND}), "limit:tokens", [], {"board": Board(limits=Limits(tokens=20))}),
    "closed book": (turns({"reply": "I recall it.\nAnswer: 3"}), "answered", [], {"mode": "cot"}),
    "closed book that calls": ([SEARCH], "malformed", [], {"mode": "cot"}),
    "not judged": (turns(SEARCH, {"reply": "Answer: 17"}), "answered", [], {"verify": "off"}),
    "revised": (turns(SEARCH, {"reply": "Answer: 3"}, {"reply": FOUND}), "answered", [], {"verify": "revise"}),
    "never mended": (
        turns(SEARCH, {"reply": "Answer: 3"}, {"reply": "Answer: 3"}),
        "answered",
        ["no_quote"],
        {"verify": "revise"},
    ),
    "a wrong answer gets no critique": (
        turns(SEARCH, {"reply": "Quote: Default: 3\nAnswer: 17"}, {"reply": FOUND}),
        "answered",
        ["wrong"],
        {"verify": "revise"},
    ),
}


async def walk(kettle: Path, folder: Path, script: list[dict[str, Any]], **changes: Any) -> Trajectory:
    """Play the first task with a scripted player."""
    task = little.tasks(little.library())[0]
    return await play(task, Table.from_context(little.context(kettle, little.seat(folder, script), **changes)))


@pytest.mark.parametrize("name", WALKS)
async def test_walks(name: str, kettle: Path, tmp_path: Path) -> None:
    script, stop, reasons, changes = WALKS[name]
    trajectory = await walk(kettle, tmp_path, script, **changes)
    assert (trajectory.stop, list(trajectory.verdict.reasons)) == (stop, reasons)
    assert trajectory.verdict.accepted is (stop == "answered" and not reasons and changes.get("verify") != "off")
    assert Trajectory.from_json(trajectory.to_json()) == trajectory


async def test_limits_are_never_written_as_an_answer(kettle: Path, tmp_path: Path) -> None:
    trajectory = await walk(kettle, tmp_path, [other("a")], board=Board(limits=Limits(steps=1)))
    assert trajectory.stop == "limit:steps"
    assert trajectory.answer is None
    assert trajectory.verdict.well_formed is False


async def test_what_is_recorded(kettle: Path, tmp_path: Path) -> None:
    trajectory = await walk(kettle, tmp_path, WALKS["answered"][0])
    assert [m["role"] for m in trajectory.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert [m["train"] for m in trajectory.messages] == [False, False, True, False, True]
    acting = trajectory.messages[2]
    assert acting["content"] == "I look."
    assert acting["tool_calls"][0]["function"] == {"name": "search", "arguments": {"query": "heater_limit default"}}
    assert acting["tool_calls"][0]["id"] == trajectory.messages[3]["tool_call_id"] == "call_1"
    assert trajectory.searches[0].hits[0].chunk == little.chunk_of("heater_limit", little.library())
    assert trajectory.usage.calls == 2


async def test_a_repaired_turn_is_kept_as_text_and_not_trained(kettle: Path, tmp_path: Path) -> None:
    trajectory = await walk(kettle, tmp_path, WALKS["repaired"][0])
    bad, said = trajectory.messages[2], trajectory.messages[3]
    assert bad["train"] is False
    assert '{"name' in bad["content"]
    assert "tool_calls" not in bad
    assert said["node"] == "repair"
    assert "not JSON" in said["content"]
    assert trajectory.repairs == 1


async def test_the_gold_stands_in_no_prompt(kettle: Path) -> None:
    task = little.tasks(little.library())[0].model_copy(update={"gold": "GOLD", "options": ("GOLD-not", "31")})
    trajectory = await play(task, Table.from_context(little.context(kettle, verify="revise")))
    prompts = [m["content"] for m in trajectory.messages if m["role"] in ("system", "user", "tool")]
    assert prompts
    assert not any("GOLD" in text.replace("GOLD-not", "") for text in prompts)


async def test_seconds_end_an_episode(kettle: Path) -> None:
    with serving(LineScript(rows=[SEARCH]), delay=1.0) as server:
        reason = Seat(model=f"openai:m@{server.url}")
        context = little.context(kettle, reason, board=Board(limits=Limits(seconds=0.2)))
        trajectory = await play(little.tasks(little.library())[0], Table.from_context(context))
    assert trajectory.stop == "limit:seconds"


async def test_an_endpoint_that_fails_for_good_makes_no_record(kettle: Path) -> None:
    reason = Seat(model="openai:m@http://127.0.0.1:9/v1")
    with pytest.raises(ProviderError, match="is the server running") as caught:
        await play(little.tasks(little.library())[0], Table.from_context(little.context(kettle, reason)))
    assert caught.value.kind == "refused"


async def test_held_out_pages_are_not_found_while_collecting(kettle: Path) -> None:
    task = little.tasks(little.library())[1]
    assert task.split == "test"
    open_book = await play(task, Table.from_context(little.context(kettle)))
    barred = await play(task, Table.from_context(little.context(kettle, without=str(kettle / "held_out.json"))))
    assert open_book.verdict.accepted
    assert barred.stop == "gave_up"
    assert task.evidence[0] not in {hit.chunk for search in barred.searches for hit in search.hits}


def test_shape() -> None:
    """The graph's picture; after a change that is meant, write graph.get_graph().draw_mermaid() to tests/graph.mmd."""
    assert graph.get_graph().draw_mermaid().strip() == SHAPE.read_text(encoding="utf-8").strip()


def test_the_board_hash_sees_rules_and_library_and_not_the_mode(kettle: Path) -> None:
    one = board_parts(little.context(kettle))
    assert board_parts(little.context(kettle, mode="cot")) == one
    rules = board_parts(little.context(kettle, board=Board(top_k=1)))
    assert {name for name in one if one[name] != rules[name]} == {"rules"}
    barred = board_parts(little.context(kettle, without=str(kettle / "held_out.json")))
    assert {name for name in one if one[name] != barred[name]} == {"library"}
