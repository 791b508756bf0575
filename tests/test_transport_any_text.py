"""Whatever a model writes, no transport raises, and none takes long over it."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from reply_parts import CALL, TOOLS, TRANSPORTS

from agents.context import Transport
from agents.toolcalls import MENDS, incoming


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


@pytest.mark.parametrize("transport", ["native", "text", "hermes"])
def test_no_text_raises(transport: Transport) -> None:
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
        mended_is_known(*incoming(transport, reply, TOOLS))


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
    for transport in ("native", *TRANSPORTS):
        begun = time.process_time()
        message, mended = incoming(transport, AIMessage(BIG[name]), TOOLS)
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
