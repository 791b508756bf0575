"""Replies of every shape: an endpoint's answer becomes a message with sane usage or a ProviderError, nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import little
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from openai_server import serving

from agents.context import Price, Seat, Team
from agents.errors import PROVIDER_KINDS, ProviderError
from agents.models import open_seat
from agents.models.desk import call
from agents.models.meter import Meter, metered
from agents.models.openai import ReasoningChatOpenAI
from agents.models.scripted import LineScript
from agents.models.usage import MAX_TOKENS
from agents.toolcalls import incoming
from agents.tools import SEARCH
from graphs.episode import Table, plain_messages, play
from graphs.trajectory import Trajectory

CHAT = ReasoningChatOpenAI(model="m", base_url="http://127.0.0.1:9/v1", api_key="none")
VALID: dict[str, Any] = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "system_fingerprint": "f",
    "service_tier": "flex",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": "I look.",
                "reasoning_content": "Where?",
                "reasoning": "There?",
                "refusal": None,
                "name": None,
                "audio": None,
                "function_call": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "search", "arguments": '{"query": "x"}'}}
                ],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 50,
        "completion_tokens": 10,
        "total_tokens": 60,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
}
ODD = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        7,
        1.5,
        -0.0,
        float("nan"),
        float("inf"),
        10**30,
        "",
        "50",
        "\ud800",
        "assistant",
        "user",
        [],
        {},
    ]
    + [[None], [1], ["x"], [{}], [{"type": "text", "text": "x"}], {"x": 1}, {"text": None}, {"type": "text"}]
)
ANYTHING = st.recursive(
    ODD | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value but its root."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, each in inner for path in [(*at, key), *paths(each, (*at, key))]]


PATHS = paths(VALID)
TEXT = json.dumps(VALID)
DROPPED = object()
CHANGE = st.tuples(st.sampled_from(PATHS), ODD | ANYTHING | st.just(DROPPED))


def changed(*changes: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
    """The valid reply with other values at some places; a place that is gone by then is left."""
    reply: dict[str, Any] = json.loads(TEXT)
    for path, value in changes:
        place: Any = reply
        for key in path[:-1]:
            there = place if isinstance(place, dict) else range(len(place)) if isinstance(place, list) else ()
            place = place[key] if key in there else None
        if isinstance(place, dict) and value is DROPPED:
            place.pop(path[-1], None)
        elif isinstance(place, dict):
            place[path[-1]] = value
        elif isinstance(place, list) and value is not DROPPED:
            place[:1] = [value]
    return reply


def read(raw: Any) -> AIMessage | None:
    """What the seat makes of an endpoint's JSON, checked; None where it is a ProviderError."""
    try:
        result = CHAT.read(raw)
    except ProviderError as error:
        assert error.kind in PROVIDER_KINDS
        assert len(str(error)) < 1000
        return None
    reply = result.generations[0].message
    assert isinstance(reply, AIMessage)
    assert isinstance(reply.content, str)
    usage: Any = reply.usage_metadata
    if usage is not None:
        cached = usage["input_token_details"].get("cache_read", 0)
        for number in (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"], cached):
            assert type(number) is int
            assert 0 <= number <= 2 * MAX_TOKENS
        assert cached <= usage["input_tokens"]
    # What follows in an episode: the transport, and the record in UTF-8.
    for transport in ("native", "text", "hermes"):
        message, _ = incoming(transport, reply.model_copy(deep=True), [SEARCH])  # type: ignore[arg-type]
        json.dumps(plain_messages([HumanMessage("q"), message]), ensure_ascii=False).encode()
    return reply


FUZZ = settings(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(FUZZ, max_examples=10_000 // len(PATHS) + 1)
@given(ODD | ANYTHING, CHANGE)
def test_10000_broken_replies(value: Any, other: Any) -> None:
    """A value at every place of a valid reply in turn, beside a change at any other place."""
    for path in PATHS:
        read(changed(other, (path, value)))


@settings(FUZZ, max_examples=500)
@given(ANYTHING | st.fixed_dictionaries({"choices": ANYTHING, "usage": ANYTHING}))
def test_replies_of_any_json(raw: Any) -> None:
    read(raw)


def test_the_valid_reply_is_read() -> None:
    reply = read(json.loads(TEXT))
    assert reply is not None
    assert reply.additional_kwargs["reasoning_content"] == "Where?"
    assert reply.tool_calls[0]["args"] == {"query": "x"}
    usage: Any = reply.usage_metadata
    assert (usage["input_tokens"], usage["output_tokens"], usage["input_token_details"]["cache_read"]) == (50, 10, 40)


@pytest.mark.parametrize(
    "choices", [[], None, {}, "x", [None], [{}], [{"message": None}], [{"message": {"content": 3}}]]
)
async def test_what_is_no_completion_is_a_fault_by_class(choices: Any) -> None:
    whole = {**VALID, "choices": choices}
    served = serving(LineScript(rows=[]), fault=lambda number, body: (200, whole))
    with served as server, metered(Meter()) as meter, pytest.raises(ProviderError) as caught:
        await call(Seat(model=f"openai:m@{server.url}"), "reason", [HumanMessage("q")])
    assert caught.value.kind == "garbage"
    assert meter.unsettled()[1] == {"garbage": 1}


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "many",
        {"prompt_tokens": "50", "completion_tokens": "10"},
        {"prompt_tokens": None, "completion_tokens": 10},
        {"prompt_tokens": -50, "completion_tokens": 10},
        {"prompt_tokens": 50, "completion_tokens": -10},
        {"prompt_tokens": 10**12, "completion_tokens": 10},
        {"prompt_tokens": True, "completion_tokens": 10},
        {"prompt_tokens": [50], "completion_tokens": {}},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 50, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 51}},
        {"prompt_tokens": 50, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": -1}},
    ],
)
async def test_usage_that_cannot_be_is_estimated_and_counted(usage: Any) -> None:
    whole = {**VALID, "usage": usage}
    asked = [HumanMessage("x" * 396)]
    with serving(LineScript(rows=[]), fault=lambda number, body: (200, whole)) as server, metered(Meter()) as meter:
        seat = Seat(model=f"openai:m@{server.url}", price=Price(prompt=1, completion=1))
        reply, row = await call(seat, "reason", asked)
    assert reply.content == "I look."
    assert (row["prompt"], row["cached"]) == (99, 0)
    assert 0 < row["completion"] < 20
    assert row["usd"] == pytest.approx((row["prompt"] + row["completion"]) / 1e6)
    assert meter.unsettled()[1] == {"usage": 1}


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"choices": ' + b"[" * 50_000, b"\xff\xfe{}", b"NaN", b"", b"null"])
async def test_bodies_that_break_a_json_reader(body: bytes) -> None:
    served = serving(LineScript(rows=[]), fault=lambda number, asked: (200, body))
    with served as server, pytest.raises(ProviderError) as caught:
        await open_seat(Seat(model=f"openai:m@{server.url}")).ainvoke([HumanMessage("q")])
    assert caught.value.kind == "garbage"


async def test_half_a_character_in_a_rewritten_query_is_recorded(kettle: Path) -> None:
    whole = json.loads(TEXT)
    whole["choices"][0]["message"] = {"role": "assistant", "content": "heater_limit \ud800"}
    with serving(LineScript(rows=[]), fault=lambda number, body: (200, whole)) as server:
        player = Seat(model=f"scripted:answer-key@{kettle / 'exam.jsonl'}")
        team = Team(name="t", reason=player, search=Seat(model=f"openai:m@{server.url}"))
        trajectory = await play(
            little.tasks(little.library())[0], Table.from_context(little.context(kettle, team=team))
        )
    assert trajectory.searches[0].rewritten == "heater_limit ?"
    assert Trajectory.from_json(trajectory.to_json()) == trajectory
