"""One leniency for all arms: a call that the hf seat's model writes is read as an endpoint's Hermes text is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from tiny_models import MARKED, SEARCH, tiny_model

from agents.models.engine import Completion
from agents.models.hf import open_hf
from agents.toolcalls import MENDS, incoming

MENDED = [
    ("<tool_call>\n{'name': 'search', 'arguments': {'query': 'rome'}}\n</tool_call>", "quotes"),
    ('<tool_call>\n{"name": "search", "arguments": {"query": "rome",}}\n</tool_call>', "trailing_comma"),
    ('<tool_call>\n{"name": "search", "arguments": {"query": "rome"}\n</tool_call>', "unclosed"),
    ('<tool_call>\n```json\n{"name": "search", "arguments": {"query": "rome"}}\n```\n</tool_call>', "fence"),
    ('<tool_call>\n{"name": "search", "arguments": {query: "rome"}}\n</tool_call>', "bare_key"),
    ('<tool_call>\n{"name": "search", "arguments": "rome"}\n</tool_call>', "plain_input"),
    ('<tool_call>\n{"tool": "search", "input": {"query": "rome"}}\n</tool_call>', "argument_names"),
]
LOST = ['<tool_call>\n{"name": "search", "arg', "<tool_call>\n[1]\n</tool_call>", "<tool_call>\nnothing\n</tool_call>"]


@pytest.fixture(scope="module", params=["qwen3", MARKED], ids=["known", "unknown"])
def chat(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """With a response template of its family, and without one."""
    folder: Path = tiny_model(tmp_path_factory.mktemp("reader") / "m", template=request.param, hidden=32, layers=1)
    seat = open_hf(str(folder), shared=False)
    yield seat
    seat.engine.close()


def read(chat: Any, text: str, finish: str = "stop") -> tuple[AIMessage, list[str]]:
    """What comes of a text that the seat's model wrote."""
    ids = tuple(chat.tokenizer(text + "<|im_end|>")["input_ids"])
    return incoming("native", chat._read([1, 2], Completion(ids, None, finish), [SEARCH], None), [SEARCH])


@pytest.mark.parametrize(("text", "mend"), MENDED)
def test_a_call_that_can_be_mended_is_mended_and_counted_as_everywhere(chat: Any, text: str, mend: str) -> None:
    reply, mended = read(chat, f"I look.\n{text}")
    told, names = incoming("hermes", AIMessage(f"I look.\n{text}"), [SEARCH])
    assert [(call["name"], call["args"]) for call in reply.tool_calls] == [("search", {"query": "rome"})]
    assert [call["args"] for call in told.tool_calls] == [{"query": "rome"}]
    assert mend in mended
    assert set(mended) == set(names) <= set(MENDS)
    assert reply.invalid_tool_calls == []
    assert reply.content == told.content == "I look."


@pytest.mark.parametrize("text", LOST)
def test_a_call_that_cannot_be_read_goes_back_to_the_model(chat: Any, text: str) -> None:
    reply, mended = read(chat, text, "length" if text.endswith("arg") else "stop")
    assert reply.tool_calls == []
    assert len(reply.invalid_tool_calls) == 1
    assert reply.invalid_tool_calls[0]["error"]
    assert mended == []


def test_a_good_call_beside_a_mended_one_stays_first(chat: Any) -> None:
    good = '<tool_call>\n{"name": "search", "arguments": {"query": "paris"}}\n</tool_call>'
    reply, mended = read(chat, f"{good}\n{MENDED[0][0]}")
    assert [call["args"]["query"] for call in reply.tool_calls] == ["paris", "rome"]
    assert mended == ["quotes"]


def test_the_seat_itself_reads_as_leniently_and_says_what_it_mended(chat: Any) -> None:
    """Whoever asks the seat alone (a proof, the doctor, a student's own program) gets the call too."""
    for text, mend in MENDED:
        ids = tuple(chat.tokenizer(f"I look.\n{text}<|im_end|>")["input_ids"])
        reply = chat._read([1, 2], Completion(ids, None, "stop"), [SEARCH], None)
        assert [(call["name"], call["args"]) for call in reply.tool_calls] == [("search", {"query": "rome"})]
        assert mend in reply.response_metadata["mended"]
        assert (reply.content, reply.invalid_tool_calls) == ("I look.", [])


def test_an_invented_observation_is_cut_off_as_everywhere(chat: Any) -> None:
    text = '<tool_call>\n{"name": "search", "arguments": {"query": "rome"}}\n</tool_call>\n<tool_response>\nmade up'
    reply, mended = read(chat, text)
    told, names = incoming("hermes", AIMessage(text), [SEARCH])
    assert reply.content == told.content == ""
    assert mended == names == ["invented_observation"]


def test_a_call_that_cannot_be_read_stands_on_the_record_as_it_was_written(chat: Any) -> None:
    text = "<tool_call>\nnothing\n</tool_call>"
    reply, _ = read(chat, f"I look.\n{text}")
    assert (reply.content, reply.invalid_tool_calls[0]["args"]) == ("I look.", text)


@pytest.mark.parametrize("transport", ["text", "hermes"])
def test_a_seat_that_was_offered_no_tool_is_read_with_the_tools_of_its_transport(chat: Any, transport: Any) -> None:
    """Through a transport in words the tools stand in the prompt, and the seat knows no schema."""
    ids = tuple(chat.tokenizer('<tool_call>\n{"name": "search", "arguments": "rome"}\n</tool_call>')["input_ids"])
    reply, mended = incoming(transport, chat._read([1, 2], Completion(ids, None, "stop"), None, None), [SEARCH])
    assert [call["args"] for call in reply.tool_calls] == [{"query": "rome"}]
    assert mended == ["plain_input"]
