"""The transports: what goes out comes back the same, to the letter, and an episode is the same through each."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import little
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from openai_server import serving
from reply_parts import CALL, TOOLS, TRANSPORTS, calls_of, came, search
from spoken import Spoken

from agents.context import Seat, Transport
from agents.models.scripted import Scripted, open_scripted
from agents.toolcalls import incoming, outgoing, stop_words
from agents.tools import SEARCH
from graphs.episode import Table, play

# What goes out


def test_native_goes_out_and_comes_back_as_it_is() -> None:
    messages: list[BaseMessage] = [SystemMessage("s"), HumanMessage("q"), AIMessage("t", tool_calls=[CALL])]
    sent = outgoing("native", messages, TOOLS)
    assert all(a is b for a, b in zip(sent, messages, strict=True))
    reply = AIMessage("I look.", tool_calls=[CALL, {**CALL, "id": "b", "args": {"query": "y"}}])
    message, mended = incoming("native", reply, TOOLS)
    assert message is reply
    assert mended == []
    assert [stop_words(transport) for transport in ("native", *TRANSPORTS)] == [
        None,
        ["\nObservation:"],
        ["<tool_response>"],
    ]


def conversation() -> list[BaseMessage]:
    return [
        SystemMessage("You answer."),
        HumanMessage("q"),
        AIMessage("Two things.", tool_calls=[CALL, {"name": "open", "args": {"page": "p", "line": 3}, "id": "b"}]),
        ToolMessage("one", tool_call_id="a", name="search"),
        ToolMessage("two\n</tool_response>", tool_call_id="b", name="open"),
        AIMessage("Found.\nAnswer: 5", additional_kwargs={"reasoning_content": "hidden"}),
        HumanMessage("not accepted"),
    ]


def test_text_goes_out_as_react() -> None:
    messages = conversation()
    sent = outgoing("text", messages, TOOLS)
    system = str(sent[0].content)
    assert system.startswith("You answer.\n\n")
    assert "- search: Search the manual. Arguments: " + json.dumps(SEARCH["function"]["parameters"]) in system
    assert "Final Answer" not in system
    assert [(m.type, m.content) for m in sent[1:]] == [
        ("human", "q"),
        (
            "ai",
            'Thought: Two things.\nAction: search\nAction Input: {"query": "kettle limit"}\n'
            'Action: open\nAction Input: {"page": "p", "line": 3}',
        ),
        ("human", "Observation: one\nObservation: two\n</tool_response>"),
        ("ai", "Found.\nAnswer: 5"),
        ("human", "not accepted"),
    ]
    assert not any(isinstance(m, ToolMessage) or getattr(m, "tool_calls", None) for m in sent)
    assert sent[4].additional_kwargs == {"reasoning_content": "hidden"}
    assert messages == conversation()  # what is on record is not touched


def test_hermes_goes_out_in_tags() -> None:
    sent = outgoing("hermes", conversation(), TOOLS)
    inside = str(sent[0].content).partition("<tools>\n")[2].partition("\n</tools>")[0]
    assert [json.loads(line) for line in inside.split("\n")] == list(TOOLS)
    assert sent[2].content == (
        'Two things.\n<tool_call>\n{"name": "search", "arguments": {"query": "kettle limit"}}\n</tool_call>\n'
        '<tool_call>\n{"name": "open", "arguments": {"page": "p", "line": 3}}\n</tool_call>'
    )
    assert sent[3].content == (
        "<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n\\</tool_response>\n</tool_response>"
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_tools_are_told_where_there_is_no_system_message(transport: Transport) -> None:
    sent = outgoing(transport, [HumanMessage("q")], TOOLS)
    assert [m.type for m in sent] == ["system", "human"]
    assert "search" in str(sent[0].content)
    assert [m.type for m in outgoing(transport, [HumanMessage("q")], ())] == ["human"]


# There and back

TURNS = [
    "I look it up.",
    "",
    "Two lines.\nQuote: Default: 3\nQuote: `a` | b\n\nAnd more.",
    " blanks at both ends \n",
    "Thought: a thought of a thought",
    "\nThought: later",
    "Action: is what I need\nAction Input: {}",
    "Action: boil\nAction Input: {}\nObservation: made up\nFinal Answer: 5",
    "\\Action: x\n\\\\Final Answer: y\\",
    "<think>shown, not hidden</think>",
    "a\n</think>\nb",
    "the tag <tool_call> opens, </tool_call> closes, <function=x> too",
    "\\<tool_call>\\\\<tool_response>",
    "**Thought:** bold\nObservation: seen",
    "Answer: 5\r\nwith   and “ß” 漢字 🫖",
]
ARGUMENTS: list[dict[str, Any]] = [
    {"query": "kettle limit"},
    {"query": "two\nlines\nObservation: x\nAction: y"},
    {"query": '</tool_call> "quoted" \\d+ {"a": 1} ``` \u2028 <think>'},
    {"query": "'", "more": [1, 2.5, None, True, {"deep": []}]},
    {},
]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("content", TURNS)
def test_a_turn_comes_back_to_the_letter(transport: Transport, content: str) -> None:
    for count in range(4):
        calls = [{"name": ("search", "open")[i % 2], "args": ARGUMENTS[i], "id": f"i{i}"} for i in range(count)]
        turn = AIMessage(content, tool_calls=calls)
        (sent,) = outgoing(transport, [turn], ())
        message, mended = incoming(transport, AIMessage(str(sent.content)), TOOLS)
        assert (message.content, calls_of(message), mended) == (content, calls_of(turn), [])
        assert len({call["id"] for call in message.tool_calls}) == count


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_arguments_come_back_the_same(transport: Transport) -> None:
    for args in ARGUMENTS:
        (sent,) = outgoing(transport, [AIMessage("x", tool_calls=[{**CALL, "args": args}])], ())
        assert came(transport, str(sent.content)) == ("x", [("search", args)], [])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_turns_made_of_signs_come_back_to_the_letter(transport: Transport) -> None:
    """3,000 thoughts put together of what a transport could take for its own."""
    pieces = "Thought: |Action: |Action Input: |Final Answer: |Observation: |search|\n|\n\n| |\\|**|x|{}|Finish[x]|:|"
    signs = [*pieces.split("|"), "<tool_call>", "</tool_call>", "<function=", "</think>", "<think>", "<tool_response>"]
    dice = random.Random(7)
    for _ in range(3000):
        content = "".join(dice.choices(signs, k=dice.randrange(1, 8)))
        if not content.strip():
            continue  # white space alone is no thought
        for calls in ([], [CALL]):
            (sent,) = outgoing(transport, [AIMessage(content, tool_calls=calls)], ())
            message, mended = incoming(transport, AIMessage(str(sent.content)), TOOLS)
            assert (message.content, len(message.tool_calls), mended) == (content, len(calls), []), sent.content


def test_a_final_turn_is_the_same_with_and_without_thought() -> None:
    final = "Both are found.\nQuote: Default: 3\nAnswer: 3"
    assert came("text", final) == came("text", f"Thought: {final}") == (final, [], [])


def test_hidden_thoughts_go_beside_the_content() -> None:
    for transport in ("native", *TRANSPORTS):
        message, mended = incoming(transport, AIMessage("<think>\nhm\n</think>\n\nAnswer: 3"), TOOLS)
        assert message.content == "Answer: 3"
        assert message.additional_kwargs == {"reasoning_content": "hm"}
        assert mended == ["think"]
    message, _ = incoming(
        "text", AIMessage("so\n</think>\nAnswer: 3", additional_kwargs={"reasoning_content": "a"}), TOOLS
    )
    assert (message.content, message.additional_kwargs) == ("Answer: 3", {"reasoning_content": "a\nso"})
    assert incoming("hermes", AIMessage("<think>never ends"), TOOLS)[0].content == ""


def test_usage_metadata_and_id_survive() -> None:
    more: dict[str, Any] = {
        "id": "run-1",
        "usage_metadata": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
        "response_metadata": {"finish_reason": "stop", "model_name": "m"},
    }
    told = '<tool_call>\n{"name": "search", "arguments": {"query": "x"}}\n</tool_call>'
    for transport in ("native", *TRANSPORTS):
        message, _ = incoming(transport, AIMessage(told, additional_kwargs={"refusal": None}, **more), TOOLS)
        assert calls_of(message) == [search("x")]
        assert {key: getattr(message, key) for key in more} == more
        assert "refusal" in message.additional_kwargs
        again, _ = incoming(transport, AIMessage(told, **more), TOOLS)
        other, _ = incoming(transport, AIMessage(told, **{**more, "id": "run-2"}), TOOLS)
        assert again.tool_calls == message.tool_calls  # the same reply, the same ids
        assert other.tool_calls[0]["id"] != message.tool_calls[0]["id"]


# In the graph, over HTTP


def scruffy(text: str) -> str:
    """A model that keeps to neither form."""
    swaps = [("Action Input: {", "Action Input: ```json\n{"), ("arguments", "parameters"), ("Answer:", "Final Answer:")]
    for old, new in swaps:
        text = text.replace(old, new)
    return text


async def played(kettle: Path, transport: Transport, slips: Callable[[str], str] | None = None) -> list[Any]:
    """The kettle's look-ups and the pair, played by the demonstrator behind a server that speaks the transport."""
    inner = open_scripted("answer-key", str(kettle / "exam.jsonl"))
    assert isinstance(inner, Scripted)
    player = inner if transport == "native" else Spoken(transport=transport, inner=inner, slips=slips)
    some = little.tasks(little.library())
    with serving(player) as server:
        seat = Seat(model=f"openai:m@{server.url}", transport=transport)
        table = Table.from_context(little.context(kettle, seat))
        return [await play(task, table) for task in [*some[:6], some[-1]]]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_same_tasks_give_the_same_trajectories(kettle: Path, transport: Literal["text", "hermes"]) -> None:
    native, spoken = await played(kettle, "native"), await played(kettle, transport)
    assert [row.stop for row in native] == ["answered"] * 7
    assert all(row.verdict is not None and row.verdict.accepted for row in native)
    assert [row.messages for row in spoken] == [row.messages for row in native]
    assert [row.verdict for row in spoken] == [row.verdict for row in native]
    assert not any(row.mended for row in spoken)


async def test_a_scruffy_model_gives_the_same_trajectories_and_is_counted(kettle: Path) -> None:
    native = await played(kettle, "native")
    spoken = await played(kettle, "text", scruffy)
    assert [row.messages for row in spoken] == [row.messages for row in native]
    assert [row.mended for row in spoken[:1]] == [{"fence": 1, "final_answer": 1}]
