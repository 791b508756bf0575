"""The record of an episode, made from graph states written by hand: messages, costs, keys, pauses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import little
import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage

from agents.context import Board, Limits, ToolFaults
from agents.models.meter import Budget, LocalSpendCounter, Meter, metered
from agents.spent import Spent
from agents.tools import offered
from agents.tools.faults import planned
from graphs.episode import (
    Paused,
    Table,
    frozen,
    opening_state,
    plain_messages,
    play,
    record,
    recursion_limit,
    thawed,
    usage_of,
)

TASK = little.tasks(little.library())[0]


def spent(role: str, prompt: int, completion: int, cached: int = 0, usd: float = 0.0) -> Spent:
    """What one call cost."""
    return {
        "role": role,
        "prompt": prompt,
        "completion": completion,
        "cached": cached,
        "usd": usd,
        "seconds": 0.5,
    }


def call(name: str, identity: str | None, **args: Any) -> dict[str, Any]:
    """A tool call as LangChain writes it."""
    return {"name": name, "args": args, "id": identity, "type": "tool_call"}


CONVERSATION: list[AnyMessage] = [
    SystemMessage("Rules."),
    HumanMessage("What is it?"),
    AIMessage("I look.", tool_calls=[call("search", "abc", query="it"), call("open", "def", page="p")]),
    ToolMessage("Nothing.", tool_call_id="abc", name="search"),
    ToolMessage("A page.", tool_call_id="def", name="open"),
    HumanMessage("No quote stands there.", additional_kwargs={"node": "verify"}),
    AIMessage("Once more.", tool_calls=[call("search", "ghi", query="it?")]),
    ToolMessage("Found.", tool_call_id="ghi", name="search"),
    AIMessage("Answer: 3", additional_kwargs={"reasoning_content": "Hm."}),
]


@pytest.fixture(scope="module")
def table(kettle: Path) -> Table:
    """A table over the kettle, at which nobody needs to play."""
    return Table.from_context(little.context(kettle))


def test_messages_become_chat_rows_that_name_their_node_and_say_what_is_trained() -> None:
    rows = plain_messages(CONVERSATION)
    assert [(row["role"], row["node"], row["train"]) for row in rows] == [
        ("system", "reason", False),
        ("user", "task", False),
        ("assistant", "reason", True),
        ("tool", "act", False),
        ("tool", "act", False),
        ("user", "verify", False),
        ("assistant", "reason", True),
        ("tool", "act", False),
        ("assistant", "reason", True),
    ]
    assert [row["content"] for row in rows] == [message.content for message in CONVERSATION]
    assert rows[8] == {
        "role": "assistant",
        "content": "Answer: 3",
        "reasoning_content": "Hm.",
        "node": "reason",
        "train": True,
    }


def test_calls_are_numbered_through_the_episode_and_observations_answer_them() -> None:
    rows = plain_messages(CONVERSATION)
    assert rows[2]["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": {"query": "it"}}},
        {"id": "call_2", "type": "function", "function": {"name": "open", "arguments": {"page": "p"}}},
    ]
    assert [call["id"] for call in rows[6]["tool_calls"]] == ["call_3"]
    answered = [(row["tool_call_id"], row["name"]) for row in rows if row["role"] == "tool"]
    assert answered == [("call_1", "search"), ("call_2", "open"), ("call_3", "search")]
    assert "tool_calls" not in rows[8]


def test_two_episodes_that_differ_in_random_ids_only_have_one_record() -> None:
    def said(one: str, two: str) -> list[AnyMessage]:
        turn = AIMessage("", tool_calls=[call("search", one, query="a"), call("search", two, query="b")])
        return [turn, ToolMessage("x", tool_call_id=two, name="search")]

    assert plain_messages(said("r4nd0m", "0ther")) == plain_messages(said("1", "2"))


def test_calls_without_an_id_are_numbered_all_the_same() -> None:
    turn = AIMessage("", tool_calls=[call("search", None, query="a"), call("search", None, query="b")])
    (row,) = plain_messages([turn])
    assert [each["id"] for each in row["tool_calls"]] == ["call_1", "call_2"]


def test_an_observation_of_a_call_that_is_not_there_keeps_its_id() -> None:
    (row,) = plain_messages([ToolMessage("x", tool_call_id="lost", name="search")])
    assert row["tool_call_id"] == "lost"


def test_content_in_parts_is_kept_as_json() -> None:
    parts: list[str | dict[Any, Any]] = [{"type": "text", "text": "Hm."}]
    (row,) = plain_messages([AIMessage(parts)])
    assert json.loads(row["content"]) == parts


@pytest.mark.parametrize(
    "bad",
    [
        AIMessage("I", additional_kwargs={"malformed": "not JSON"}),
        AIMessage("I", invalid_tool_calls=[{"name": "search", "args": "{", "id": "1", "error": "not JSON"}]),
    ],
)
def test_a_turn_that_could_not_be_read_is_marked_and_never_trained(bad: AIMessage) -> None:
    (row,) = plain_messages([bad])
    assert row["train"] is False
    assert "not JSON" in row["malformed"]
    (fine,) = plain_messages([AIMessage("I")])
    assert "malformed" not in fine and fine["train"] is True and "reasoning_content" not in fine


def test_costs_are_added_up_by_role_and_in_all() -> None:
    rows = [
        spent("reason", 100, 10, cached=40, usd=0.5),
        spent("reason", 200, 20, cached=50, usd=0.25),
        spent("extract", 7, 3, cached=1, usd=0.125),
    ]
    usage = usage_of(rows, calls=2, seconds=1.23456)
    assert (usage.prompt, usage.completion, usage.cached, usage.usd) == (307, 33, 91, 0.875)
    assert (usage.calls, usage.seconds) == (2, 1.2346)
    assert set(usage.roles) == {"reason", "extract"}
    reason = usage.roles["reason"]
    assert (reason.calls, reason.prompt, reason.completion, reason.cached) == (2, 300, 30, 90)
    assert usage.roles["extract"].prompt == 7
    assert usage_of([], calls=0, seconds=0).model_dump(exclude={"roles"}) == {
        "prompt": 0,
        "completion": 0,
        "cached": 0,
        "usd": 0,
        "calls": 0,
        "seconds": 0,
    }


def test_the_record_of_a_whole_episode(table: Table) -> None:
    state = {
        "messages": CONVERSATION[1:5],
        "tool_uses": [{"query": "q", "extract": "e", "hits": [{"chunk": "c", "score": 1.0}], "error": "timeout"}],
        "answer": "A",
        "choice": TASK.gold,
        "quotes": ["Default: 3"],
        "verdict": {"well_formed": True, "grounded": True, "correct": True, "accepted": True},
        "stop": "answered",
        "mended": ["comma", "comma", "fence"],
        "repairs": 1,
        "revisions": 2,
        "steps": 4,
        "spent": [spent("reason", 5, 2)],
    }
    made = record(state, TASK, table, sample=3, seconds=2.0)
    assert (made.key, made.task_id, made.board) == (table.key(TASK, 3), TASK.id, table.board)
    assert (made.team, made.mode, made.form, made.sample) == ("teacher", "react", "free", 3)
    assert [row["role"] for row in made.messages] == ["user", "assistant", "tool", "tool"]
    assert made.tools == offered(table.context.board) and len(made.tools) == 1
    assert made.searches[0].hits[0].chunk == "c"
    assert (made.answer, made.choice, made.quotes) == ("A", TASK.gold, ("Default: 3",))
    assert made.verdict.accepted and made.stop == "answered"
    assert made.label == "revised"
    assert made.mended == {"comma": 2, "fence": 1}
    assert (made.repairs, made.revisions) == (1, 2)
    assert (made.usage.calls, made.usage.prompt, made.usage.seconds) == (4, 5, 2.0)


@pytest.mark.parametrize(
    ("repairs", "revisions", "label"),
    [(1, 0, "revised"), (0, 1, "revised"), (1, 1, "revised"), (0, 0, "accepted")],
)
def test_repairs_and_revisions_both_make_an_episode_a_revised_one(
    table: Table, repairs: int, revisions: int, label: str
) -> None:
    state = {"stop": "answered", "verdict": {"well_formed": True, "correct": True, "accepted": True}}
    made = record({**state, "repairs": repairs, "revisions": revisions}, TASK, table, sample=0, seconds=0)
    assert made.label == label


def test_the_record_of_an_episode_that_nothing_happened_in(table: Table) -> None:
    made = record({}, TASK, table, sample=0, seconds=0.0)
    assert (made.stop, made.label) == ("limit:rounds", "limit:rounds")
    assert (made.messages, made.tool_uses, made.quotes, made.mended) == ((), (), (), {})
    assert (made.answer, made.choice, made.repairs, made.revisions, made.usage.calls) == (None, None, 0, 0, 0)
    assert not made.verdict.well_formed and not made.verdict.accepted


def test_an_episode_that_was_not_checked_is_labelled_so(table: Table) -> None:
    made = record({"stop": "answered", "answer": "3"}, TASK, table, sample=0, seconds=0)
    assert made.label == "unchecked" and not made.verdict.accepted


async def test_the_form_stands_on_the_record(kettle: Path) -> None:
    table = Table.from_context(little.context(kettle, form="choice"))
    made = await play(TASK, table)
    assert (made.form, made.choice, made.key) == ("choice", TASK.gold, table.key(TASK))
    assert made.key != Table.from_context(little.context(kettle)).key(TASK)


@pytest.mark.parametrize("mode", ["cot", "answer"])
def test_without_tools_none_are_written_down_as_offered(kettle: Path, mode: str) -> None:
    made = record({}, TASK, Table.from_context(little.context(kettle, mode=mode)), sample=0, seconds=0)
    assert made.tools == () and made.mode == mode


def test_the_key_tells_tasks_samples_modes_boards_and_players_apart(kettle: Path, tmp_path: Path) -> None:
    here = Table.from_context(little.context(kettle))
    other_rules = Table.from_context(little.context(kettle, board=Board(top_k=1)))
    closed = Table.from_context(little.context(kettle, mode="cot"))
    other_player = Table.from_context(little.context(kettle, little.seat(tmp_path, [{"reply": "Answer: 3"}])))
    tasks = little.tasks(little.library())
    keys = [here.key(tasks[0]), here.key(tasks[2]), here.key(tasks[0], 1)]
    keys += [each.key(tasks[0]) for each in (other_rules, closed, other_player)]
    assert len(set(keys)) == len(keys)
    assert here.key(tasks[0], 0) == keys[0] == Table.from_context(little.context(kettle)).key(tasks[0])


def test_the_recursion_limit_leaves_room_for_every_turn_repair_and_critique(kettle: Path) -> None:
    limits = Limits(steps=5, repairs=3, revisions=2)
    found = recursion_limit(little.context(kettle, board=Board(limits=limits)))
    assert found > 2 * (5 + 3 + 2)
    for name in ("steps", "repairs", "revisions"):
        more = limits.model_copy(update={name: getattr(limits, name) + 10})
        assert recursion_limit(little.context(kettle, board=Board(limits=more))) >= found + 20


def test_a_paused_episode_comes_back_as_it_was() -> None:
    state: dict[str, Any] = {
        "question": "Wie heiß?",
        "messages": CONVERSATION,
        "tool_uses": [{"query": "q", "extract": "e"}],
        "steps": 2,
        "stop": "paused",
    }
    text = frozen(state)
    assert "heiß" in text
    back = thawed(text)
    assert back["messages"] == CONVERSATION
    assert {name: value for name, value in back.items() if name != "messages"} == {
        "question": "Wie heiß?",
        "tool_uses": [{"query": "q", "extract": "e"}],
        "steps": 2,
    }


def test_a_pause_says_so_and_keeps_the_state() -> None:
    pause = Paused("{}")
    assert pause.state == "{}" and str(pause) == "the budget is used up"


async def test_an_episode_goes_on_from_where_it_was_paused(kettle: Path, tmp_path: Path) -> None:
    """The first turn is not asked for again: the script has no row for it, and the record has the old one."""
    script = [{"turn": 1, "reply": "Quote: Default: 3\nAnswer: 3"}]
    table = Table.from_context(little.context(kettle, little.seat(tmp_path, script), form="choice"))
    begun = await play(TASK, Table.from_context(little.context(kettle)))
    taken = begun.tool_uses[0]
    turn = AIMessage("I looked.", tool_calls=[call("search", "x", query=taken.query)])
    state = {
        "messages": [
            SystemMessage("Rules."),
            HumanMessage("What?"),
            turn,
            ToolMessage(taken.extract, tool_call_id="x"),
        ],
        "tool_uses": [taken.model_dump()],
        "steps": 1,
        "spent": [spent("reason", 50, 5)],
    }
    made = await play(TASK, table, sample=2, begun=frozen(state))
    assert [row["content"] for row in made.messages][:3] == ["Rules.", "What?", "I looked."]
    assert (made.stop, made.label, made.sample) == ("answered", "accepted", 2)
    assert made.usage.calls == 2 and made.usage.prompt > 50
    assert made.choice == TASK.gold and made.verdict.correct is True
    assert made.key == table.key(TASK, 2)
    assert 0 <= made.usage.seconds < 60


def test_an_episode_opens_with_what_is_shown_and_with_what_the_last_check_needs() -> None:
    task = TASK.model_copy(update={"aliases": ("three",), "parts": ("3", "4"), "hops": (*TASK.hops, *TASK.hops)})
    asked = {"question": task.question, "sample": 7}
    checked = {"gold": "3", "aliases": ["three"], "parts": ["3", "4"], "stated": ["3", "3"]}
    assert opening_state(task, "free", 7) == {**asked, **checked, "options": []}
    assert opening_state(task, "choice", 7) == {**asked, **checked, "options": ["3", "17", "31", "45"]}
    assert opening_state(task, "free")["sample"] == 0


async def test_the_options_and_the_gold_reach_the_verifier(kettle: Path, tmp_path: Path) -> None:
    script: list[dict[str, object]] = [{"reply": "I recall it.\nAnswer: B"}]
    table = Table.from_context(little.context(kettle, little.seat(tmp_path, script), mode="cot", form="choice"))
    made = await play(TASK, table)
    assert (made.sample, made.choice, made.verdict.correct) == (0, TASK.options[1], False)


async def test_the_sample_decides_which_calls_go_wrong(kettle: Path) -> None:
    faults = ToolFaults(rate=0.5)
    table = Table.from_context(little.context(kettle, faults=faults))
    due = {sample: planned(faults, "search", TASK.question, sample, 0) for sample in range(8)}
    assert None in due.values() and len(set(due.values())) > 2
    for sample, fault in due.items():
        made = await play(TASK, table, sample=sample)
        assert made.searches[0].fault == fault


async def test_an_episode_of_one_turn_ends_by_its_own_limit(kettle: Path) -> None:
    limits = Limits(steps=1, repairs=0, revisions=0)
    made = await play(TASK, Table.from_context(little.context(kettle, board=Board(limits=limits))))
    assert made.stop == "limit:steps"


async def test_a_budget_that_ends_in_the_middle_pauses_the_episode_and_it_ends_as_if_it_had_not(kettle: Path) -> None:
    table = Table.from_context(little.context(kettle))
    with metered(Meter(Budget(tokens=1))), pytest.raises(Paused) as caught:
        await play(TASK, table)
    assert caught.value.state is not None
    made = await play(TASK, table, begun=caught.value.state)
    whole = await play(TASK, table)
    assert made.messages == whole.messages and made.searches == whole.searches
    assert made.usage.prompt == whole.usage.prompt and made.label == "accepted"


async def test_a_budget_used_up_before_the_first_turn_leaves_nothing_to_go_on_with(kettle: Path) -> None:
    spent_already = Meter(Budget(tokens=5), LocalSpendCounter(tokens=5))
    with metered(spent_already), pytest.raises(Paused) as caught:
        await play(TASK, Table.from_context(little.context(kettle)))
    assert caught.value.state is None
