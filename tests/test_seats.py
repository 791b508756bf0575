"""Seats: one line each; the endpoint seat keeps thoughts both ways; scripted ones say what they are."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import little
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from openai_server import serving

from agents.context import Seat
from agents.errors import MissingExtra, ProviderError, SeatError, need
from agents.models import close_seats, open_seat
from agents.models.scripted import LineScript, open_scripted
from agents.models.vllm import start_server
from agents.providers import split_spec
from agents.reason import reason
from agents.tools import SEARCH

REPLY = [{"reply": "I look.", "call": {"arguments": {"query": "x"}}}]


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("openai:gpt@https://h/v1", ("openai", "gpt", "https://h/v1")),
        ("hf:tiny-base", ("hf", "tiny-base", None)),
        ("openai:org/model:tag@http://127.0.0.1:1/v1", ("openai", "org/model:tag", "http://127.0.0.1:1/v1")),
    ],
)
def test_specs(spec: str, parts: tuple[str, str, str | None]) -> None:
    assert split_spec(spec) == parts


@pytest.mark.parametrize(
    "spec", ["gpt-5", "opnai:gpt", "hf:", "scripted:lines", "scripted:answer-key", "scripted:mime@x"]
)
def test_bad_specs_name_themselves(spec: str) -> None:
    with pytest.raises(SeatError) as caught:
        open_seat(Seat(model=spec))
    assert re.split("[:@]", spec)[1 if "scripted" in spec else 0] in str(caught.value)


def test_a_missing_key_names_its_variable() -> None:
    with pytest.raises(SeatError, match="'RETORT_NO_SUCH_KEY' is empty"):
        open_seat(Seat(model="openai:m@https://host.invalid/v1", key_env="RETORT_NO_SUCH_KEY"))


def test_a_missing_extra_prints_the_install_line() -> None:
    with pytest.raises(MissingExtra, match=r"pip install .*\[openai\]'"):
        need("no_such_package_here", "openai")


def test_the_same_seat_opens_once() -> None:
    with serving(LineScript(rows=REPLY)) as server:
        seat = Seat(model=f"openai:m@{server.url}")
        assert open_seat(seat) is open_seat(seat)
        assert open_seat(seat) is not open_seat(seat.model_copy(update={"temperature": 1.0}))


async def test_thoughts_survive_both_ways() -> None:
    with serving(LineScript(rows=REPLY), thought="deep thought") as server:
        chat = open_seat(Seat(model=f"openai:m@{server.url}")).bind_tools([SEARCH])
        reply = await chat.ainvoke([HumanMessage("q")])
        assert isinstance(reply, AIMessage)
        assert reply.additional_kwargs["reasoning_content"] == "deep thought"
        assert reply.content == "I look."
        await chat.ainvoke([HumanMessage("q"), reply, ToolMessage("o", tool_call_id=reply.tool_calls[0]["id"] or "")])
        sent = server.seen[-1]["messages"][1]
        assert (sent["reasoning_content"], sent["content"]) == ("deep thought", "I look.")
        assert server.seen[-1]["tools"] == [SEARCH]


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [(429, "slow down", "rate"), (500, "oops", "server"), (404, "no such model", "request"), (403, "no", "auth")],
)
async def test_failures_by_class(status: int, said: str, kind: str) -> None:
    with serving(LineScript(rows=REPLY), fault=lambda n, b: (status, {"error": {"message": said}})) as server:
        with pytest.raises(ProviderError, match=said) as caught:
            await open_seat(Seat(model=f"openai:m@{server.url}")).ainvoke([HumanMessage("q")])
        assert caught.value.kind == kind
        assert len(server.seen) == 1


async def test_a_timeout_has_its_own_class() -> None:
    with serving(LineScript(rows=REPLY), delay=1.0) as server, pytest.raises(ProviderError) as caught:
        await open_seat(Seat(model=f"openai:m@{server.url}", timeout=0.1)).ainvoke([HumanMessage("q")])
    assert caught.value.kind == "timeout"


async def test_a_prompt_that_outgrew_the_model_is_the_episodes_affair() -> None:
    def fault(number: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 400, {"error": {"message": "This model's maximum context length is 2048 tokens"}}

    with serving(LineScript(rows=REPLY), fault=fault) as server:
        reply = await open_seat(Seat(model=f"openai:m@{server.url}")).ainvoke([HumanMessage("q")])
    assert reply.response_metadata["finish_reason"] == "context"


def test_the_demonstrator_looks_before_it_answers(kettle: Path) -> None:
    seat = open_scripted("answer-key", str(kettle / "exam.jsonl"))
    task = little.tasks(little.library())[0]
    chat = seat.bind_tools([SEARCH])
    asked: list[Any] = [HumanMessage(task.question + "\nA) 3")]
    first = chat.invoke(asked)
    assert isinstance(first, AIMessage)
    assert first.tool_calls[0]["args"] == {"query": "heater_limit default"}
    # Words of another setting with the same start are not what it looks for, so it tries once more, then gives up.
    miss = [*asked, first, ToolMessage("[1] The heater > heater_limit\nDefault: 31", tool_call_id="call_0")]
    second = chat.invoke(miss)
    assert isinstance(second, AIMessage)
    assert second.tool_calls[0]["args"] == {"query": "heater_limit"}
    third = chat.invoke([*miss, second, ToolMessage("nothing found", tool_call_id="call_1")])
    assert "I don't know" in str(third.content)
    # The right words on another setting's page are not it either: only the page of what was asked counts.
    other = [*asked, first, ToolMessage("[1] The pump > pump_limit\nDefault: 3", tool_call_id="call_0")]
    assert isinstance(again := chat.invoke(other), AIMessage)
    assert again.tool_calls
    found = chat.invoke(
        [*asked, first, ToolMessage("[1] The heater > heater_limit\nDefault: 3\n", tool_call_id="call_0")]
    )
    assert found.content == "Quote: Default: 3\nThe manual says so.\nAnswer: 3"
    assert "not in my key" in str(chat.invoke([HumanMessage("What is love?")]).content)


def test_vllm_is_started_and_its_failure_shows_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without vLLM stands in for a server that dies at its start."""
    monkeypatch.setenv("RETORT_VLLM_PYTHON", sys.executable)
    with pytest.raises(SeatError, match="No module named 'vllm'|ModuleNotFoundError"):
        start_server("/nowhere/model", "model", seconds=30)


def test_vllm_without_vllm_prints_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RETORT_VLLM_PYTHON", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install .*\[vllm\]"):
        open_seat(Seat(model="vllm:/nowhere/model"))


async def test_vllm_joins_a_running_server() -> None:
    with serving(LineScript(rows=REPLY)) as server:
        reply = await open_seat(Seat(model=f"vllm:student@{server.url}")).ainvoke([HumanMessage("q")])
        assert reply.content == "I look."
        assert server.seen[0]["model"] == "student"


@pytest.mark.parametrize("given", ['"{\\"query\\": \\"heater_limit\\"}"', {"query": "heater_limit"}])
async def test_arguments_that_are_no_string_of_an_object_reach_the_transport(given: object, kettle: Path) -> None:
    """Double-encoded, or the object itself on the wire: ChatOpenAI alone would fail on the whole reply."""
    function = {"name": "search", "arguments": given}
    message = {
        "role": "assistant",
        "content": "x",
        "tool_calls": [{"id": "a", "type": "function", "function": function}],
    }
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage}
    with serving(LineScript(rows=[]), fault=lambda number, body: (200, whole)) as server:
        context = little.context(kettle, Seat(model=f"openai:m@{server.url}"))
        turn = await reason(context, [HumanMessage("What is the default of `heater_limit`?")])
        await close_seats()
    assert [(call["name"], call["args"]) for call in turn.message.tool_calls] == [("search", {"query": "heater_limit"})]
