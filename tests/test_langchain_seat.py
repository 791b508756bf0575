"""Seats of LangChain packages: any chat model class by one line, its settings, failures, endings and counts."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import parrot_class
import pytest
from doctor_probes import names, probed, run_of, the
from langchain_core.messages import HumanMessage, SystemMessage

from agents.context import Price, Seat
from agents.errors import ProviderError, SeatError
from agents.models import close_seats, open_seat
from agents.models.desk import call
from agents.models.prices import costs
from agents.models.structured import takes_schema
from agents.providers import split_spec
from agents.redaction import redacted
from agents.tools import SEARCH
from graphs.board import seat_identity
from retort.doctor.before import before_paying

LINE = "langchain:parrot_class.Parrot:polly"
KEY = "parrot-key-0123456789abcdef"


def asked(text: str = "What is the default of heater_limit?") -> list[Any]:
    return [SystemMessage("Answer."), HumanMessage(text)]


def test_settings_of_a_seat_reach_the_fields_of_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARROT_KEY", KEY)
    open_seat(Seat(model=LINE, temperature=0.5, max_tokens=77, timeout=12, key_env="PARROT_KEY"))
    made = parrot_class.Parrot.made[-1]
    assert made | {"model_name": "polly", "temperature": 0.5, "max_output_tokens": 77, "max_retries": 0} == made
    assert made["default_request_timeout"] == 12
    assert made["parrot_api_key"].get_secret_value() == KEY
    assert KEY not in redacted(f"it said {KEY}")


def test_a_key_of_another_provider_is_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    open_seat(Seat(model=LINE, max_tokens=5))
    assert parrot_class.Parrot.made[-1]["parrot_api_key"].get_secret_value() == ""


async def test_calls_thoughts_and_counts_come_back_in_the_form_of_the_graph() -> None:
    seat = Seat(model=LINE, price=Price(prompt=10, completion=100, cached=1))
    reply, spent = await call(seat, "reason", asked(), tools=[SEARCH])
    assert reply.content == "I search."
    assert reply.additional_kwargs["reasoning_content"] == "I look it up."
    assert [each["args"] for each in reply.tool_calls] == [{"query": "heater_limit"}]
    assert reply.response_metadata["finish_reason"] == "tool_calls"
    assert (spent["prompt"], spent["completion"], spent["cached"]) == (100, 7, 40)
    assert spent["usd"] == pytest.approx((60 * 10 + 40 * 1 + 7 * 100) / 1e6)
    reply, _ = await call(seat, "reason", asked())
    assert reply.content == "Quote: Default: 3\nAnswer: polly"
    assert reply.response_metadata["finish_reason"] == "stop"


async def test_failures_come_out_by_class_and_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARROT_KEY", KEY)
    seat = Seat(model="langchain:parrot_class.Parrot:busy", key_env="PARROT_KEY")
    with pytest.raises(ProviderError, match="429.*lower the concurrency") as caught:
        await call(seat, "reason", asked())
    assert (caught.value.kind, caught.value.status) == ("rate", 429)
    assert KEY not in str(caught.value)
    with pytest.raises(ProviderError, match="RuntimeError Error calling model") as caught:
        await call(Seat(model="langchain:parrot_class.Parrot:wrapped"), "reason", asked())
    assert (caught.value.kind, caught.value.status) == ("rate", 429)
    reply, _ = await call(Seat(model="langchain:parrot_class.Parrot:short"), "reason", asked())
    assert reply.response_metadata["finish_reason"] == "context"
    with pytest.raises(ProviderError) as caught:
        await call(Seat(model="langchain:parrot_class.Parrot:odd"), "reason", asked())
    assert caught.value.kind == "garbage"


def test_a_seat_plays_in_one_event_loop_after_another() -> None:
    """As the stages of a run do: the class's own client keeps connections of one loop."""

    async def once() -> str:
        reply, _ = await call(Seat(model=LINE), "reason", asked())
        await close_seats()
        return str(reply.content)

    assert asyncio.run(once()) == asyncio.run(once())


BAD = [
    ("langchain:Parrot:x", "names no class"),
    ("langchain:parrot-class.Parrot", "names no class"),
    ("langchain:no_such_package.Chat:x", "'no_such_package' is not installed: pip install no-such-package"),
    ("langchain:parrot_class.Polly:x", "has no 'Polly'"),
    ("langchain:parrot_class.NUMBER:x", "no chat model class"),
    ("langchain:pathlib.Path:x", "no chat model class"),
    ("langchain:parrot_class.Parrot", "cannot be opened"),
    ("langchain:parrot_class.Parrot:x@http://127.0.0.1:9", "takes no base_url"),
]


@pytest.mark.parametrize(("line", "said"), BAD)
def test_what_is_no_class_is_refused(line: str, said: str) -> None:
    with pytest.raises(SeatError, match=said):
        open_seat(Seat(model=line))


def test_a_key_for_a_class_without_one_and_an_empty_variable_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SeatError, match="'PARROT_KEY' is empty"):
        open_seat(Seat(model=LINE, key_env="PARROT_KEY"))
    monkeypatch.setenv("PARROT_KEY", KEY)
    with pytest.raises(SeatError, match="takes no key"):
        open_seat(Seat(model="langchain:parrot_class.Bare:x", key_env="PARROT_KEY"))


def test_such_a_seat_costs_and_carries_no_schema() -> None:
    seat = Seat(model=LINE)
    assert costs(seat)
    assert not takes_schema(seat)
    assert seat_identity(seat) != seat_identity(Seat(model="langchain:parrot_class.Parrot:other"))


def test_a_name_with_a_colon_and_an_at_sign_survives_the_line() -> None:
    for model in ("anthropic.claude-v1:0", "claude-sonnet@20250514", "50%@x"):
        seat = Seat.model_validate({"provider": "langchain:parrot_class.Parrot", "model": model})
        assert split_spec(seat.model) == ("langchain", f"parrot_class.Parrot:{model}", None)
        open_seat(seat)
        assert parrot_class.Parrot.made[-1]["model_name"] == model


async def test_the_doctor_opens_it_and_plays_a_turn(tmp_path: Path) -> None:
    sections = await probed(tmp_path, {"teacher": {"reason": LINE}})
    assert names(sections, "broken", "warning") == set()
    assert "100 prompt and 7 reply tokens" in the(sections, "usage").seen
    assert "calls 'search'" in the(sections, "call").seen
    sections = await probed(tmp_path, {"teacher": {"reason": "langchain:parrot_class.Bare:x"}})
    assert "no field for max_tokens" in the(sections, "not_passed_on").seen


def test_a_package_that_is_not_there_is_missed_before_a_teacher_is_paid(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"teacher": {"reason": "langchain:langchain_nobody.ChatNobody:x"}})
    found = [each for _, part in before_paying(run, ("collect",)) for each in part if each.severity == "broken"]
    assert [(each.name, each.step) for each in found] == [("package_missing", "pip install langchain-nobody")]


class Anthropic(BaseHTTPRequestHandler):
    """The protocol of api.anthropic.com, as far as a turn needs it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        content: list[dict[str, Any]] = [{"type": "text", "text": "I search."}]
        content.append({"type": "tool_use", "id": "toolu_1", "name": "search", "input": {"query": "heater_limit"}})
        usage = {"input_tokens": 90, "cache_read_input_tokens": 10, "output_tokens": 8}
        row = {"id": "m", "type": "message", "role": "assistant", "model": body["model"], "content": content}
        row |= {"stop_reason": "tool_use", "stop_sequence": None, "usage": usage}
        status = 529 if body["model"] == "busy" else 200
        said = json.dumps(
            row if status == 200 else {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}
        )
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@contextmanager
def anthropic() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Anthropic)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_the_package_of_anthropic_speaks_its_own_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_anthropic")
    monkeypatch.setenv("MY_KEY", KEY)
    with anthropic() as server:
        about = {
            "provider": "langchain:langchain_anthropic.ChatAnthropic",
            "url": f"http://127.0.0.1:{server.server_port}",
        }
        seat = Seat.model_validate({**about, "model": "claude-x@1", "key_env": "MY_KEY", "max_tokens": 50})
        reply, spent = await call(seat, "reason", asked(), tools=[SEARCH])
        path, headers, body = server.seen[0]
        with pytest.raises(ProviderError) as caught:
            await call(Seat.model_validate({**about, "model": "busy", "key_env": "MY_KEY"}), "reason", asked())
    assert path == "/v1/messages"
    assert any(value in (KEY, f"Bearer {KEY}") for value in headers.values())
    assert (body["model"], body["max_tokens"], body["tools"][0]["name"]) == ("claude-x@1", 50, "search")
    assert reply.content == "I search."
    assert reply.tool_calls[0]["args"] == {"query": "heater_limit"}
    assert reply.response_metadata["finish_reason"] == "tool_calls"
    assert (spent["prompt"], spent["completion"], spent["cached"]) == (100, 8, 10)
    assert (caught.value.kind, caught.value.status) == ("rate", 529)
