"""Slips of models are mended by name, in each transport, and words that are no call are left alone."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage
from reply_parts import TOOLS, Calls, came, search

from agents.context import Transport
from agents.toolcalls import MENDS, incoming

# Slips: (what the model wrote, content, calls, mends)

SLIPS: list[tuple[Transport, str, str, Calls, list[str]]] = [
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


@pytest.mark.parametrize(("transport", "text", "content", "calls", "mends"), SLIPS, ids=lambda v: str(v)[:40])
def test_slips_are_mended_by_name(
    transport: Transport, text: str, content: str, calls: Calls, mends: list[str]
) -> None:
    assert came(transport, text) == (content, calls, mends)
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
