"""The transports: what goes out comes back the same, slips are mended by name, and no text of a model raises."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import little
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from openai_server import serving
from spoken import Spoken

from agents.context import Seat, Wire
from agents.models.scripted import Scripted, open_scripted
from agents.toolcalls import MENDS, incoming, outgoing, stop_words
from agents.toolcalls.aside import set_aside
from agents.tools import SEARCH
from graphs.episode import Table, play

OPEN: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "open",
        "description": "Open a page.",
        "parameters": {
            "type": "object",
            "properties": {"page": {"type": "string"}, "line": {"type": "integer"}},
            "required": ["page", "line"],
        },
    },
}
TOOLS = (SEARCH, OPEN)
WIRES: tuple[Wire, ...] = ("text", "hermes")
CALL = {"name": "search", "args": {"query": "kettle limit"}, "id": "a"}
Calls = list[tuple[str, dict[str, Any]]]


def calls_of(message: AIMessage) -> Calls:
    """(name, arguments) of each call."""
    return [(call["name"], call["args"]) for call in message.tool_calls]


def came(wire: Wire, text: str, **more: Any) -> tuple[str, Calls, list[str]]:
    """Content, calls and mends of a reply; nothing of it may be unreadable."""
    message, mended = incoming(wire, AIMessage(text, **more), TOOLS)
    assert not message.invalid_tool_calls, message.invalid_tool_calls
    return str(message.content), calls_of(message), mended


def search(query: str) -> tuple[str, dict[str, Any]]:
    return ("search", {"query": query})


# What goes out


def test_native_goes_out_and_comes_back_as_it_is() -> None:
    messages: list[BaseMessage] = [SystemMessage("s"), HumanMessage("q"), AIMessage("t", tool_calls=[CALL])]
    sent = outgoing("native", messages, TOOLS)
    assert all(a is b for a, b in zip(sent, messages, strict=True))
    reply = AIMessage("I look.", tool_calls=[CALL, {**CALL, "id": "b", "args": {"query": "y"}}])
    message, mended = incoming("native", reply, TOOLS)
    assert message is reply
    assert mended == []
    assert [stop_words(wire) for wire in ("native", *WIRES)] == [None, ["\nObservation:"], ["<tool_response>"]]


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


@pytest.mark.parametrize("wire", WIRES)
def test_tools_are_told_where_there_is_no_system_message(wire: Wire) -> None:
    sent = outgoing(wire, [HumanMessage("q")], TOOLS)
    assert [m.type for m in sent] == ["system", "human"]
    assert "search" in str(sent[0].content)
    assert [m.type for m in outgoing(wire, [HumanMessage("q")], ())] == ["human"]


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


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("content", TURNS)
def test_a_turn_comes_back_to_the_letter(wire: Wire, content: str) -> None:
    for count in range(4):
        calls = [{"name": ("search", "open")[i % 2], "args": ARGUMENTS[i], "id": f"i{i}"} for i in range(count)]
        turn = AIMessage(content, tool_calls=calls)
        (sent,) = outgoing(wire, [turn], ())
        message, mended = incoming(wire, AIMessage(str(sent.content)), TOOLS)
        assert (message.content, calls_of(message), mended) == (content, calls_of(turn), [])
        assert len({call["id"] for call in message.tool_calls}) == count


@pytest.mark.parametrize("wire", WIRES)
def test_arguments_come_back_the_same(wire: Wire) -> None:
    for args in ARGUMENTS:
        (sent,) = outgoing(wire, [AIMessage("x", tool_calls=[{**CALL, "args": args}])], ())
        assert came(wire, str(sent.content)) == ("x", [("search", args)], [])


@pytest.mark.parametrize("wire", WIRES)
def test_turns_made_of_signs_come_back_to_the_letter(wire: Wire) -> None:
    """3,000 thoughts put together of what a transport could take for its own."""
    pieces = "Thought: |Action: |Action Input: |Final Answer: |Observation: |search|\n|\n\n| |\\|**|x|{}|Finish[x]|:|"
    signs = [*pieces.split("|"), "<tool_call>", "</tool_call>", "<function=", "</think>", "<think>", "<tool_response>"]
    dice = random.Random(7)
    for _ in range(3000):
        content = "".join(dice.choices(signs, k=dice.randrange(1, 8)))
        if not content.strip():
            continue  # white space alone is no thought
        for calls in ([], [CALL]):
            (sent,) = outgoing(wire, [AIMessage(content, tool_calls=calls)], ())
            message, mended = incoming(wire, AIMessage(str(sent.content)), TOOLS)
            assert (message.content, len(message.tool_calls), mended) == (content, len(calls), []), sent.content


def test_a_final_turn_is_the_same_with_and_without_thought() -> None:
    final = "Both are found.\nQuote: Default: 3\nAnswer: 3"
    assert came("text", final) == came("text", f"Thought: {final}") == (final, [], [])


def test_hidden_thoughts_go_beside_the_content() -> None:
    for wire in ("native", *WIRES):
        message, mended = incoming(wire, AIMessage("<think>\nhm\n</think>\n\nAnswer: 3"), TOOLS)
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
    for wire in ("native", *WIRES):
        message, _ = incoming(wire, AIMessage(told, additional_kwargs={"refusal": None}, **more), TOOLS)
        assert calls_of(message) == [search("x")]
        assert {key: getattr(message, key) for key in more} == more
        assert "refusal" in message.additional_kwargs
        again, _ = incoming(wire, AIMessage(told, **more), TOOLS)
        other, _ = incoming(wire, AIMessage(told, **{**more, "id": "run-2"}), TOOLS)
        assert again.tool_calls == message.tool_calls  # the same reply, the same ids
        assert other.tool_calls[0]["id"] != message.tool_calls[0]["id"]


# Slips: (what the model wrote, content, calls, mends)

SLIPS: list[tuple[Wire, str, str, Calls, list[str]]] = [
    ("text", "Thought: a\nAction: search\nAction Input: kettle limit", "a", [search("kettle limit")], ["plain_input"]),
    ("text", 'Action: search\nAction Input: "kettle"', "", [search("kettle")], ["plain_input"]),
    ("text", "Action: search[kettle limit]", "", [search("kettle limit")], ["bracket_call", "plain_input"]),
    ("text", "Action: search(query='x')", "", [search("x")], ["bracket_call", "quotes"]),
    ("text", 'Action: search({"query": "x"})', "", [search("x")], ["bracket_call"]),
    ("text", 'Action: open(page="p", line=3)', "", [("open", {"page": "p", "line": 3})], ["bracket_call"]),
    ("text", 'Action: open(page="p", line=3', "", [("open", {"page": "p", "line": 3})], ["bracket_call", "unclosed"]),
    ("text", 'Action: search\nAction Input: ```json\n{"query": "x"}\n```', "", [search("x")], ["fence"]),
    ("text", "Action: search\nAction Input: {'query': 'x'}", "", [search("x")], ["quotes"]),
    (
        "text",
        "Action: search\nAction Input: {'query': 'what's on'}",
        "",
        [search("what's on")],
        ["quotes", "inner_quotes"],
    ),
    ("text", "Action: search\nAction Input: {“query”: “x”}", "", [search("x")], ["quotes"]),
    ("text", 'Action: search\nAction Input: {"query": "a "b" c"}', "", [search('a "b" c')], ["inner_quotes"]),
    ("text", 'Action: search\nAction Input: {"query": "\\d+"}', "", [search("\\d+")], ["bad_escape"]),
    ("text", 'Action: search\nAction Input: {"query": "a\nb"}', "", [search("a\nb")], ["raw_newline"]),
    ("text", 'Action: search\nAction Input: {query: "x"}', "", [search("x")], ["bare_key"]),
    ("text", 'Action: search\nAction Input: {"query": "x",}', "", [search("x")], ["trailing_comma"]),
    ("text", 'Action: search\nAction Input: {"query": "x"', "", [search("x")], ["unclosed"]),
    ("text", 'Action: search\nAction Input: {"query": "x"}}', "", [search("x")], ["extra_brace"]),
    (
        "text",
        'Action: search\nAction Input: {"query": None, "k": True}',
        "",
        [("search", {"query": None, "k": True})],
        ["python_literal"],
    ),
    ("text", 'Action: search\nAction Input: "{\\"query\\": \\"x\\"}"', "", [search("x")], ["double_encoded"]),
    ("text", 'Action: search\nAction Input: {"arguments": {"query": "x"}}', "", [search("x")], ["wrapped"]),
    (
        "text",
        'Action: search\nAction Input: {"query": "x"}\n{"query": "y"}',
        "",
        [search("x"), search("y")],
        ["several_objects"],
    ),
    ("text", "Action: search\nAction Input:", "", [("search", {})], ["no_input"]),
    ("text", 'Action: search {"query": "x"}', "", [search("x")], ["action_line"]),
    ("text", 'Action: {"name": "search", "arguments": {"query": "x"}}', "", [search("x")], ["action_line"]),
    ("text", 'Action: Search\nAction Input: {"query": "x"}', "", [search("x")], ["tool_name"]),
    (
        "text",
        '**Thought:** a\n**Action:** search\n**Action Input:** {"query": "x"}',
        "a",
        [search("x")],
        ["marker", "marker", "marker"],
    ),
    (
        "text",
        'Thought: a\nAction: search\nAction Input: {"query": "x"}\nObservation: it is 5\nThought: so\nAnswer: 5',
        "a",
        [search("x")],
        ["invented_observation"],
    ),
    (
        "text",
        'Thought: a\nAction: search\nAction Input: {"query": "x"}\n'
        'Thought: b\nAction: search\nAction Input: {"query": "x"}',
        "a\nb",
        [search("x")],
        ["duplicate_call"],
    ),
    ("text", "Action: search\nAction Input: x\n\nI wait.", "I wait.", [search("x")], ["plain_input", "trailing_text"]),
    ("text", "Thought: done\nFinal Answer: 5", "done\nAnswer: 5", [], ["final_answer"]),
    ("text", "Thought: done\nAction: Finish[5]", "done\nAnswer: 5", [], ["final_answer"]),
    ("text", "done\nAction: Final Answer\nAction Input: 5", "done\nAnswer: 5", [], ["final_answer"]),
    ("text", "Action: none needed\nAnswer: 5", "Action: none needed\nAnswer: 5", [], []),
    (
        "text",
        'a\n<tool_call>\n{"name": "search", "arguments": {"query": "x"}}\n</tool_call>',
        "a",
        [search("x")],
        ["narrated"],
    ),
    ("hermes", 'a\n<tool_call>{"name": "search", "arguments": {"query": "x"}}', "a", [search("x")], ["unclosed"]),
    (
        "hermes",
        '<tool_call>{"name": "search", "arguments": {"query": "x"}\n</tool_call>',
        "",
        [search("x")],
        ["unclosed"],
    ),
    (
        "hermes",
        '<tool_call>{"name": "search", "arguments": {"query": "x"}}\n'
        '{"name": "search", "arguments": {"query": "y"}}</tool_call>',
        "",
        [search("x"), search("y")],
        ["several_objects"],
    ),
    (
        "hermes",
        '<tool_call>[{"name": "search", "arguments": {"query": "x"}}]</tool_call>',
        "",
        [search("x")],
        ["wrapped"],
    ),
    (
        "hermes",
        '<tool_call>```json\n{"name": "search", "arguments": "{\\"query\\": \\"x\\"}"}\n```</tool_call>',
        "",
        [search("x")],
        ["fence", "double_encoded"],
    ),
    *(
        (
            "hermes",
            f'<tool_call>{{"name": "search", "{key}": {{"query": "x"}}}}</tool_call>',
            "",
            [search("x")],
            ["argument_names"],
        )
        for key in ("parameters", "args", "input")
    ),
    ("hermes", '<tool_call>{"name": "search", "query": "x"}</tool_call>', "", [search("x")], ["argument_names"]),
    ("hermes", '<tool_call>{"name": "search", "arguments": "x"}</tool_call>', "", [search("x")], ["plain_input"]),
    (
        "hermes",
        '<tool_call>{"name": "functions.search", "arguments": {"query": "x"}}</tool_call>',
        "",
        [search("x")],
        ["tool_name"],
    ),
    (
        "hermes",
        "a\n<tool_call>\n<function=open>\n<parameter=page>\np\n</parameter>\n<parameter=line>\n3\n</parameter>\n"
        "</function>\n</tool_call>",
        "a",
        [("open", {"page": "p", "line": 3})],
        ["xml_call"],
    ),
    ("hermes", "<function=search><parameter=query>3</parameter></function>", "", [search("3")], ["xml_call"]),
    (
        "hermes",
        '<tool_call>{"name": "search", "arguments": {"query": "x"}}</tool_call>\n<tool_response>\n5</tool_response> so',
        "",
        [search("x")],
        ["invented_observation"],
    ),
    ("hermes", "Answer: the `<tool_call>` tag", "Answer: the `<tool_call>` tag", [], []),
    ("hermes", "Thought: a\nAction: search\nAction Input: x", "a", [search("x")], ["narrated", "plain_input"]),
    ("hermes", '{"name": "search", "arguments": {"query": "x"}}', "", [search("x")], ["narrated"]),
    ("native", '{"name": "search", "arguments": {"query": "x"}}', "", [search("x")], ["narrated"]),
    (
        "native",
        'I go.\n```json\n{"name": "search", "arguments": {"query": "x"}}\n```',
        "I go.",
        [search("x")],
        ["narrated", "fence"],
    ),
    (
        "native",
        'a\n<tool_call>{"name": "search", "arguments": {"query": "x"}}</tool_call>',
        "a",
        [search("x")],
        ["narrated"],
    ),
]


@pytest.mark.parametrize(("wire", "text", "content", "calls", "mends"), SLIPS, ids=lambda v: str(v)[:40])
def test_slips_are_mended_by_name(wire: Wire, text: str, content: str, calls: Calls, mends: list[str]) -> None:
    assert came(wire, text) == (content, calls, mends)
    assert set(mends) <= set(MENDS)


@pytest.mark.parametrize(
    "text",
    [
        "Answer: 5\n```python\nx = {}\n```",
        '{"name": "other", "arguments": {}}',
        '{"name": "search"}',
        "Answer: <tool_call>",
        "Answer: <function=search>",
        '<tool_call>{"name": "other", "arguments": {}}</tool_call>',
        "Action Input: nothing of ours",
    ],
)
def test_a_native_reply_that_tells_no_call_of_ours_is_left_alone(text: str) -> None:
    reply = AIMessage(text)
    message, mended = incoming("native", reply, TOOLS)
    assert message is reply
    assert mended == []


def test_native_calls_are_put_in_order() -> None:
    calls = [CALL, dict(CALL), {**CALL, "args": {"query": "y"}}, {**CALL, "args": {"query": "z"}, "id": None}]
    message, mended = incoming("native", AIMessage("t", tool_calls=calls), TOOLS)
    assert calls_of(message) == [search("kettle limit"), search("y"), search("z")]
    assert sorted(mended) == ["call_id", "call_id", "duplicate_call"]
    assert len({call["id"] for call in message.tool_calls}) == 3
    wrapped = AIMessage("t", tool_calls=[{**CALL, "args": {"arguments": '{"query": "x"}'}}])
    assert came("native", "t", tool_calls=wrapped.tool_calls)[1:] == ([search("x")], ["wrapped", "double_encoded"])
    whole = AIMessage("t")
    whole.tool_calls = [{**CALL, "args": '{"query": "x"}'}]  # type: ignore[list-item]  # as some clients leave it
    message, mended = incoming("native", whole, TOOLS)
    assert (calls_of(message), mended) == ([search("x")], ["double_encoded"])
    unknown = AIMessage("t", tool_calls=[{**CALL, "name": "no_such_tool"}])
    assert incoming("native", unknown, TOOLS)[0] is unknown  # the call's check has words for it


def test_what_langchain_could_not_read_is_read_here() -> None:
    bad = {"name": "search", "id": "a", "error": "no JSON", "type": "invalid_tool_call"}
    for raw, mend in [('{"query":"x",}', "trailing_comma"), ("{'query': 'x'}", "quotes"), ('{"query":"x"', "unclosed")]:
        message, mended = incoming("native", AIMessage("t", invalid_tool_calls=[{**bad, "args": raw}]), TOOLS)
        assert calls_of(message) == [search("x")]
        assert message.tool_calls[0]["id"] == "a"
        assert mended == [mend]
        assert not message.invalid_tool_calls
    message, mended = incoming("native", AIMessage("t", invalid_tool_calls=[{**bad, "args": '{"query":'}]), TOOLS)
    assert mended == []
    assert message.invalid_tool_calls[0]["error"] == (
        "the arguments of search are no JSON object: a value is missing at character 10"
    )


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            {"id": "a", "function": {"name": "search", "arguments": '"{\\"query\\":\\"x\\"}"'}},
            (search("x"), ["double_encoded"]),
        ),
        ({"id": "a", "function": {"name": "search", "arguments": {"query": "x"}}}, (search("x"), ["call_form"])),
        ({"id": "a", "function": {"name": "search", "arguments": '[{"query": "x"}]'}}, (search("x"), ["wrapped"])),
        (
            {"id": 7, "function": {"name": "search", "arguments": '{"query": "x"}'}},
            (search("x"), ["call_form", "call_id"]),
        ),
        ({"id": "a", "name": "search", "arguments": {"query": "x"}}, (search("x"), ["call_form"])),
        ({"id": "a", "function": None}, None),
        ("search", None),
    ],
)
def test_calls_at_which_the_client_raises_are_set_aside(call: Any, expected: Any) -> None:
    """langchain-openai loses the whole reply over one such call; set aside, it is mended or sent back."""
    from langchain_openai import ChatOpenAI

    client = ChatOpenAI(model="m", api_key="none")  # type: ignore[arg-type]
    said = {"role": "assistant", "content": "t", "tool_calls": [call]}
    response = {"choices": [{"message": said, "finish_reason": "tool_calls"}]}
    with pytest.raises(Exception):  # noqa: B017  (of several kinds: this is what the setting aside is for)
        client._create_chat_result(response)
    (aside,) = set_aside(said)
    message = client._create_chat_result(response).generations[0].message
    assert isinstance(message, AIMessage)
    message.invalid_tool_calls = [aside]
    message, mended = incoming("native", message, TOOLS)
    if expected is None:
        assert message.invalid_tool_calls[0]["error"] == "the call names no tool"
    else:
        assert calls_of(message) == [expected[0]]
        assert mended == expected[1]


UNREADABLE: list[tuple[Wire, str, str | None, str]] = [
    ("text", 'Action: search\nAction Input: {"query": "x', "search", "a string is not closed at character 13"),
    ("text", "Action: search\nAction Input: {x y}", "search", "a colon is missing"),
    ("text", "Action: open\nAction Input: plain words", "open", "name each argument"),
    ("text", "Action: search\nAction Input: " + '{"a":' * 50, "search", "nested too deeply"),
    ("hermes", "<tool_call>what</tool_call>", None, 'write {"name": ..., "arguments": {...}}'),
    ("hermes", '<tool_call>{"query": "x"}</tool_call>', None, "names no tool"),
    ("hermes", '<tool_call>{"name": "open", "arguments": "p"}</tool_call>', "open", "name each argument"),
    ("hermes", '<tool_call>{"name": "search", "arguments": {"query": "x', "search", "a string is not closed"),
    ("hermes", '<tool_call>{"name": "search", "arguments": [1, 2]}</tool_call>', "search", "it is a list"),
    ("hermes", "<tool_call>", None, "the call is empty"),
]


@pytest.mark.parametrize(("wire", "text", "name", "error"), UNREADABLE, ids=lambda v: str(v)[:40])
def test_what_cannot_be_read_says_why(wire: Wire, text: str, name: str | None, error: str) -> None:
    message, mended = incoming(wire, AIMessage("I try.\n" + text), TOOLS)
    assert mended == []
    assert message.content == "I try."
    assert message.tool_calls == []
    (bad,) = message.invalid_tool_calls
    assert (bad["type"], bad["name"]) == ("invalid_tool_call", name)
    assert bad["id"]
    assert str(bad["args"]) in text
    assert error in str(bad["error"])


def test_a_call_that_was_cut_off_is_not_completed() -> None:
    """The end that is missing at the token limit was never written: half a query is no query."""
    whole = 'Action: search\nAction Input: {"query": "x"'
    for wire, text in (
        ("text", whole),
        ("text", "Action: search\nAction Input: kettle lim"),
        ("text", "Action: search(query='x'"),
        ("text", "Action: search"),
        ("hermes", '<tool_call>{"name": "search", "arguments": {"query": "x"'),
        ("hermes", "<function=search><parameter=query>kettle lim"),
    ):
        cut, _ = incoming(wire, AIMessage(text, response_metadata={"finish_reason": "length"}), TOOLS)  # type: ignore[arg-type]
        assert "cut off" in str([bad["error"] for bad in cut.invalid_tool_calls]), text
        assert calls_of(incoming(wire, AIMessage(text), TOOLS)[0])  # type: ignore[arg-type]
    assert came("text", whole + "}", response_metadata={"finish_reason": "length"})[1] == [search("x")]


def test_surrogates_are_taken_out() -> None:
    for wire in ("native", *WIRES):
        content, _, mended = came(wire, "half \ud83d\nAnswer: 5")
        assert (content, mended) == ("half ?\nAnswer: 5", ["surrogate"])
    assert came("text", 'Action: search\nAction Input: {"query": "\\ud83d\\udeb0 \\ud83d"}') == (
        "",
        [search("🚰 ?")],
        ["surrogate"],
    )
    message, mended = incoming("native", AIMessage("t", tool_calls=[{**CALL, "args": {"query": "\ud83d"}}]), TOOLS)
    assert (calls_of(message), mended) == ([search("?")], ["surrogate"])
    deep: Any = {}
    for _ in range(300):
        deep = {"a": deep}
    message, _ = incoming("native", AIMessage("t", tool_calls=[{**CALL, "args": deep}]), TOOLS)
    assert message.invalid_tool_calls[0]["error"] == "the arguments are nested too deeply"
    message.model_dump_json()  # no record takes 300 levels


def test_an_endpoint_that_reads_the_text_itself_is_no_trouble() -> None:
    """Some servers parse tags into tool_calls whether tools were sent or not."""
    message, mended = incoming("hermes", AIMessage("a", tool_calls=[CALL]), TOOLS)
    assert (message.content, message.tool_calls, mended) == ("a", [{**CALL, "type": "tool_call"}], [])
    blocks = AIMessage([{"type": "text", "text": "Thought: a\nAction: search\nAction Input: x"}])
    message, _ = incoming("text", blocks, TOOLS)
    assert (message.content, calls_of(message)) == ("a", [search("x")])


def test_one_reply_makes_so_many_calls_and_no_more() -> None:
    blocks = [f'<tool_call>{{"name": "search", "arguments": {{"query": "{n}"}}}}</tool_call>' for n in range(40)]
    objects = "".join(block[len("<tool_call>") : -len("</tool_call>")] for block in blocks)
    for text in ("".join(blocks), f"<tool_call>{objects}</tool_call>"):
        message, mended = incoming("hermes", AIMessage(text), TOOLS)
        assert calls_of(message) == [search(str(n)) for n in range(32)]
        assert mended.count("too_many") == 1
        assert message.content == ""


# Whatever a model writes


def mended_is_known(message: Any, mended: list[str]) -> None:
    assert isinstance(message, AIMessage)
    assert set(mended) <= set(MENDS)
    assert all(isinstance(call["args"], dict) and call["id"] for call in message.tool_calls)
    assert all(bad["error"] and bad["id"] for bad in message.invalid_tool_calls)
    ids = [call["id"] for call in [*message.tool_calls, *message.invalid_tool_calls]]
    assert len(ids) == len(set(ids))
    AIMessage.model_validate_json(message.model_dump_json())


PIECES = [
    *(
        "Thought:",
        "Action:",
        "Action Input:",
        "Observation:",
        "Final Answer:",
        "search",
        "open",
        "query",
        "search[",
        "**",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        '"',
        "'",
        ":",
        ",",
        "\\",
        "\\u12",
        "\\ud800",
        "“",
        "”",
        "\0",
        "漢",
        "  ",
        "=",
        "search(",
    ),
    *(
        "```",
        "```json",
        "<tool_call>",
        "</tool_call>",
        "<tool_response>",
        "<function=",
        "<function=search>",
        "</function>",
    ),
    *(
        "<parameter=query>",
        "</parameter>",
        "<think>",
        "</think>",
        '"name"',
        '"arguments"',
        "null",
        "None",
        "NaN",
        "1e999",
    ),
    *("-", "12", "'q': 'x'", '{"query": "x"}', '"{\\"query\\"', '{"name": "search", "arguments": {"query": "x"}}'),
]


@pytest.mark.parametrize("wire", ["native", "text", "hermes"])
def test_no_text_raises(wire: Wire) -> None:
    dice = random.Random(11)
    for number in range(4000):
        if number % 4 == 0:
            text = dice.randbytes(dice.randrange(200)).decode("utf-8", "surrogateescape")
        elif number % 4 == 1:
            text = "".join(chr(dice.randrange(0x250)) for _ in range(dice.randrange(60)))
        else:
            text = "".join(dice.choices([*PIECES, " ", "\n"], k=dice.randrange(25)))
        reason = dice.choice(["stop", "length"])
        reply = AIMessage(text, response_metadata={"finish_reason": reason})
        if number % 3 == 0:
            bad = {
                "name": dice.choice([None, "", "search"]),
                "args": dice.choice([None, text]),
                "id": None,
                "error": None,
            }
            reply.invalid_tool_calls = [{**bad, "type": "invalid_tool_call"}]  # type: ignore[list-item]
        mended_is_known(*incoming(wire, reply, TOOLS))


MB = 2**20
BIG: dict[str, str] = {
    "braces": "{" * MB,
    "brackets": "[" * MB,
    "tags": "<tool_call>" * (MB // 11),
    "tags and words": "<tool_call>x" * (MB // 12),
    "tags and strings": '<tool_call>{"' * (MB // 13),
    "functions": "<function=a>" * (MB // 12),
    "parameters": "<function=a>" + "<parameter=b>" * (MB // 13),
    "actions": "Action: search\n" * (MB // 15),
    "inputs": "Action: search\nAction Input: x\n" * (MB // 31),
    "thoughts": "Thought:\n" * (MB // 9),
    "blanks": " " * MB,
    "blanks in an action": "Action: search" + " " * (MB // 2) + "{\nAction Input:" + " " * (MB // 2) + "x",
    "lines": "\n" * MB,
    "stars": "*" * MB,
    "backslashes": "\\" * MB,
    "quotes": "<tool_call>{'a':" + "'" * MB,
    "inner quotes": '<tool_call>{"a": "' + '"x' * 8000,
    "objects": "<tool_call>" + '{"a":1}' * (MB // 7),
    "closing": "<tool_call>{}" + "}" * MB,
    "fences": "```json\n{" * (MB // 9),
    "zeros": "\0" * MB,
}


@pytest.mark.parametrize("name", BIG)
def test_a_megabyte_is_read_at_once(name: str) -> None:
    """Bounded work: each under a second (0.3 s at most when written), on a machine that does other things too."""
    for wire in ("native", *WIRES):
        begun = time.process_time()
        message, mended = incoming(wire, AIMessage(BIG[name]), TOOLS)
        assert time.process_time() - begun < 1.0
        assert len(message.tool_calls) + len(message.invalid_tool_calls) <= 32
        assert len(mended) < 5000


def test_the_native_way_in_order_is_quick() -> None:
    """2 us a reply when written; every reply of a run comes this way."""
    reply = AIMessage("I look up the default.\nQuote: a", tool_calls=[CALL])
    times = []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(2000):
            incoming("native", reply, TOOLS)
        times.append((time.process_time() - begun) / 2000)
    assert min(times) < 50e-6


# In the graph, over HTTP


def scruffy(text: str) -> str:
    """A model that keeps to neither form."""
    swaps = [("Action Input: {", "Action Input: ```json\n{"), ("arguments", "parameters"), ("Answer:", "Final Answer:")]
    for old, new in swaps:
        text = text.replace(old, new)
    return text


async def played(kettle: Path, wire: Wire, slips: Callable[[str], str] | None = None) -> list[Any]:
    """The kettle's look-ups and the pair, played by the demonstrator behind a server that speaks the transport."""
    inner = open_scripted("answer-key", str(kettle / "exam.jsonl"))
    assert isinstance(inner, Scripted)
    player = inner if wire == "native" else Spoken(wire=wire, inner=inner, slips=slips)
    some = little.tasks(little.library())
    with serving(player) as server:
        seat = Seat(model=f"openai:m@{server.url}", transport=wire)
        table = Table.lay(little.context(kettle, seat))
        return [await play(task, table) for task in [*some[:6], some[-1]]]


@pytest.mark.parametrize("wire", WIRES)
async def test_the_same_tasks_give_the_same_trajectories(kettle: Path, wire: Literal["text", "hermes"]) -> None:
    native, spoken = await played(kettle, "native"), await played(kettle, wire)
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


def test_the_line_break_that_vllm_leaves_before_a_call_is_no_thought() -> None:
    """Seen on vLLM 0.32 with the hermes parser: sent back as it came, the template would render one break too many."""
    reply = AIMessage("I look.\n", tool_calls=[{"name": "search", "args": {"query": "x"}, "id": "a"}])
    message, mended = incoming("native", reply, TOOLS)
    assert (message.content, message.tool_calls[0]["args"], mended) == (
        "I look.",
        {"query": "x"},
        ["space_before_call"],
    )
    final = AIMessage("Answer: 3\n")
    assert incoming("native", final, TOOLS) == (final, [])
