"""Native calls are put in order, and a call that cannot be read says why, in words for the model."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from reply_parts import CALL, TOOLS, TRANSPORTS, calls_of, came, search

from agents.context import Transport
from agents.toolcalls import incoming
from agents.toolcalls.native import set_aside


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


UNREADABLE: list[tuple[Transport, str, str | None, str]] = [
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


@pytest.mark.parametrize(("transport", "text", "name", "error"), UNREADABLE, ids=lambda v: str(v)[:40])
def test_what_cannot_be_read_says_why(transport: Transport, text: str, name: str | None, error: str) -> None:
    message, mended = incoming(transport, AIMessage("I try.\n" + text), TOOLS)
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
    for transport, text in (
        ("text", whole),
        ("text", "Action: search\nAction Input: kettle lim"),
        ("text", "Action: search(query='x'"),
        ("text", "Action: search"),
        ("hermes", '<tool_call>{"name": "search", "arguments": {"query": "x"'),
        ("hermes", "<function=search><parameter=query>kettle lim"),
    ):
        cut, _ = incoming(transport, AIMessage(text, response_metadata={"finish_reason": "length"}), TOOLS)  # type: ignore[arg-type]
        assert "cut off" in str([bad["error"] for bad in cut.invalid_tool_calls]), text
        assert calls_of(incoming(transport, AIMessage(text), TOOLS)[0])  # type: ignore[arg-type]
    assert came("text", whole + "}", response_metadata={"finish_reason": "length"})[1] == [search("x")]


def test_surrogates_are_taken_out() -> None:
    for transport in ("native", *TRANSPORTS):
        content, _, mended = came(transport, "half \ud83d\nAnswer: 5")
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
