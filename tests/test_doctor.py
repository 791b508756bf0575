"""The doctor: each planted fault is named, a healthy endpoint has nothing broken, and nothing costs minutes or keys."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from doctor_probes import names, probed, run_of, seat, the
from faulty_server import FAULTS, ailing

from retort.doctor import doctor
from retort.doctor.findings import Finding, Section, line_of, table, without


@pytest.mark.parametrize("reasons", [False, True])
async def test_a_healthy_endpoint_has_nothing_to_mend(tmp_path: Path, reasons: bool) -> None:
    with ailing(reasons=reasons) as server:
        sections = await probed(tmp_path, {"teacher": seat(server.url)})
        calls = len(server.seen)
    assert len(sections) == 1
    assert names(sections, "broken", "warning") == set()
    assert {"call", "conversation", "thought", "history", "context", "model", "usage"} <= names(sections, "fine")
    assert sections[0].account.calls == calls <= 12
    assert sections[0].account.prompt > 4000  # the long prompt among them


PLANTED: list[tuple[tuple[str, ...], dict[str, Any], str, str, str]] = [
    (("thought_lost",), {}, "thought_lost", "content beside the call cost 0 prompt tokens", 'transport = "text"'),
    (("arguments_as_string",), {}, "arguments_as_string", "1 of 1 calls: arguments are a JSON string", "text"),
    (("prose",), {}, "narrated_call", "no tool_calls through native; the text tells the call", 'transport = "text"'),
    (("thought_dropped",), {}, "history_rendered_differently", "and 0 once a further user message follows", "text"),
    ((), {"context": 800}, "context_too_short", "maximum context length is 800 tokens", "board.limits.steps"),
    (("idle_adapter",), {}, "adapter_not_loaded", "3 of 3 greedy replies", "does nothing"),
]


@pytest.mark.parametrize(("faults", "options", "name", "seen", "step"), PLANTED, ids=[each[2] for each in PLANTED])
async def test_each_of_six_planted_faults_is_named(
    faults: tuple[str, ...], options: dict[str, Any], name: str, seen: str, step: str, tmp_path: Path
) -> None:
    """The planted fault is named, and nothing else is."""
    with ailing(*faults, **options) as server:
        sections = await probed(tmp_path, {"teacher": seat(server.url, "student")})
    assert names(sections, "broken", "warning") == {name}
    found = the(sections, name)
    assert seen in found.seen
    assert step in found.step


VARIANTS: list[tuple[tuple[str, ...], dict[str, Any], str, str, str]] = [
    (("reasoning_lost",), {"reasons": True}, "thought_lost", "broken", "reasoning_content beside the call cost 0"),
    (("reasoning_dropped",), {"reasons": True}, "history_rendered_differently", "warning", "and 0 once a further"),
    (("arguments_as_object",), {}, "arguments_as_string", "warning", "a JSON dict where the protocol has a string"),
    (("narrated",), {}, "narrated_call", "warning", "Retort mends it each time, and counts it"),
    (("tools_refused",), {}, "tools_refused", "broken", "--enable-auto-tool-choice"),
    (("cut",), {"context": 800}, "context_too_short", "broken", "cut without a word"),
    ((), {"context": 800, "declares": True}, "context_too_short", "broken", "declares 800 tokens"),
    ((), {"context": 3000, "declares": True}, "context_too_short", "warning", "declares 3,000 tokens"),
    (("no_usage",), {}, "no_usage", "warning", "no token counts"),
    (("no_usage", "thought_lost"), {}, "thought_lost", "broken", "the one in the thought is not"),
    (("no_usage", "cut"), {"context": 800}, "context_too_short", "broken", "a code word that opens"),
    (("doubles",), {}, "parallel_duplicates", "warning", "1 of 2 calls"),
    (("no_thought",), {}, "empty_content", "warning", "no thought stands beside the call"),
    (("empty",), {}, "empty_content", "broken", "the first turn has neither text nor a call"),
    (("fails",), {}, "endpoint_fails", "broken", "CUDA error"),
    (("shaky",), {}, "shaky", "warning", "rate 429"),
    (("garbage",), {}, "no_completion", "broken", "It works!"),
    (("wordy",), {}, "max_tokens_ignored", "warning", "were the most that was asked for"),
]


@pytest.mark.parametrize(("faults", "options", "name", "severity", "seen"), VARIANTS)
async def test_other_faults_are_named(
    faults: tuple[str, ...], options: dict[str, Any], name: str, severity: str, seen: str, tmp_path: Path
) -> None:
    with ailing(*faults, **options) as server:
        sections = await probed(tmp_path, {"teacher": seat(server.url)})
        assert len(server.seen) <= 12
    found = the(sections, name)
    assert found.severity == severity
    assert seen in found.seen
    assert found.step


async def test_without_counts_a_code_word_clears_the_thought(tmp_path: Path) -> None:
    with ailing("no_usage") as server:
        sections = await probed(tmp_path, {"teacher": seat(server.url)})
    assert names(sections, "broken") == set()
    assert "a code word from the thought" in the(sections, "thought").seen


async def test_the_transport_that_is_recommended_works(tmp_path: Path) -> None:
    with ailing("narrated") as server:
        told = the(await probed(tmp_path, {"teacher": seat(server.url)}), "narrated_call")
        assert told.step == 'transport = "text"'
        sections = await probed(tmp_path, {"teacher": seat(server.url, transport="text")})
    assert names(sections, "broken", "warning") == set()
    assert "through text" in the(sections, "call").seen


@pytest.mark.parametrize(
    ("faults", "model", "severity", "seen"),
    [
        ((), "studnet", "broken", "listed: 'base', 'student'"),
        (("any_name",), "studnet", "broken", "answers for any name"),
        ((), "student", "fine", "0 of 3 greedy replies"),
        (("no_models",), "base", "fine", "another name is refused (404)"),
        (("no_models", "any_name"), "base", "broken", "GET /models lists nothing"),
    ],
)
async def test_the_model_that_is_named_is_the_one_that_answers(
    faults: tuple[str, ...], model: str, severity: str, seen: str, tmp_path: Path
) -> None:
    with ailing(*faults) as server:
        sections = await probed(tmp_path, {"teacher": seat(server.url, model)})
    found = the(sections, "model" if severity == "fine" else "adapter_not_loaded")
    assert found.severity == severity
    assert seen in found.seen
    assert (found.step == "name 'student' in the seat") == (model == "studnet" and not faults)


@pytest.mark.parametrize(
    ("fault", "structured", "name", "severity"),
    [
        (None, "auto", "json_schema", "fine"),
        ("schema_refused", "auto", "json_schema_unsupported", "warning"),
        ("schema_ignored", "json_schema", "json_schema_unsupported", "broken"),
        ("schema_refused", "prompt", "json_schema", "fine"),
    ],
)
async def test_a_judge_needs_schemas_and_no_tools(
    fault: str | None, structured: str, name: str, severity: str, tmp_path: Path
) -> None:
    with ailing(*([fault] if fault else [])) as server:
        judge = {"model": f"openai:base@{server.url}", "structured": structured}
        reason = {"model": f"scripted:lines@{tmp_path / 'x.jsonl'}"}
        sections = await probed(tmp_path, {"teacher": {"reason": reason, "judge": judge}})
        assert not any(body.get("tools") for body in server.seen)
    found = the(sections, name)
    assert found.severity == severity
    assert ('structured = "prompt"' in found.step) == (name == "json_schema_unsupported")


@pytest.mark.parametrize("values", [{"temperature": 0.7}, {"transport": "text"}])
async def test_an_idle_adapter_is_told_in_other_seats_too(values: dict[str, Any], tmp_path: Path) -> None:
    with ailing("idle_adapter") as server:
        sections = await probed(tmp_path, {"teacher": seat(server.url, "student", **values)})
        assert {body["temperature"] for body in server.seen[-8:-2]} == {0.0}
    assert names(sections, "broken") == {"adapter_not_loaded"}
    with ailing() as server:
        sections = await probed(tmp_path, {"teacher": seat(server.url, "student", **values)})
    assert names(sections, "broken") == set()


async def test_roles_that_share_a_seat_are_probed_once_and_urls_each(tmp_path: Path) -> None:
    with ailing() as one, ailing("thought_lost") as other:
        both = f"openai:base@{one.url},{other.url}"
        team = {"reason": {"model": both}, "search": {"model": both, "max_tokens": 32}}
        sections = await probed(tmp_path, {"teacher": team})
    assert len(sections) == 2
    assert sections[0].title.startswith("student.reason, student.search, teacher.reason, teacher.search: 'base' at")
    assert [names([section], "broken") for section in sections] == [set(), {"thought_lost"}]


def test_a_dead_port_costs_seconds(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        begun = time.monotonic()
        text, status = doctor(run_of(tmp_path, {"teacher": seat(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")}))
    assert time.monotonic() - begun < 10
    assert status == 1
    assert "endpoint_refused" in text
    assert "is the server running" in text


async def test_a_stalling_endpoint_costs_one_call(tmp_path: Path) -> None:
    with ailing("stalls") as server:
        begun = time.monotonic()
        sections = await probed(tmp_path, {"teacher": seat(server.url)}, seconds=0.5)
        assert time.monotonic() - begun < 8
        assert len(server.seen) == 1
    assert "no answer in 0.5 s" in the(sections, "endpoint_stalls").seen


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000/v1", "ftp://127.0.0.1/v1", "http://[::1/v1", "http://127.0.0.1:99999/v1"]
)
async def test_a_url_that_is_none_is_told(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a URL can come from the environment alone: run.toml is refused with it."""
    monkeypatch.setenv("A_KEY", "sk-some-key")
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    sections = await probed(tmp_path, {"teacher": {"reason": {"model": "openai:base", "key_env": "A_KEY"}}})
    assert names(sections, "broken") == {"endpoint_refused"}


def test_a_refused_key_is_named_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "sk-very-secret-key")
    with ailing("unauthorized") as server:
        text, status = doctor(run_of(tmp_path, {"teacher": seat(server.url, key_env="A_KEY")}))
    assert status == 1
    assert "key_refused" in text
    assert "Incorrect API key provided: [key]" in text
    assert "secret" not in text


@pytest.mark.parametrize(("key", "seen"), [("", "is empty"), ("sk-secret\n", "holds blanks"), ("sk-sécret", "holds")])
async def test_a_key_that_cannot_be_sent_is_not_sent(
    key: str, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", key)
    sections = await probed(tmp_path, {"teacher": seat("https://host.invalid/v1", key_env="A_KEY")})
    found = the(sections, "key_missing")
    assert seen in found.seen
    assert "'A_KEY'" in found.seen
    assert "cret" not in table(sections)


def test_what_endpoints_say_does_not_steer_the_terminal(tmp_path: Path) -> None:
    with ailing("escapes", "prose") as one, ailing("escapes", "fails") as other:
        text, _ = doctor(run_of(tmp_path, {"teacher": seat(one.url), "other": seat(other.url)}))
    assert "owned" in text
    assert "CUDA error" in text
    assert all(c.isprintable() or c == "\n" for c in text)


def test_columns_are_bounded() -> None:
    assert len(line_of("x" * 10**6)) <= 400
    assert line_of("a\x1b[2J\u202eb\nc") == "a\\x1b[2J\\u202eb c"
    assert without("no: 'sk-12345\\n'", "sk-12345\n") == "no: '[key]'"
    text = table([Section("t", (Finding("a", "fine", "x" * 999), Finding("b", "broken", "y", "z")))])
    assert text.splitlines()[1].split() == ["broken", "b", "y", "->", "z"]
    assert text.splitlines()[-1].startswith("1 broken, 0 warning, 1 fine; the doctor spent 0 calls")


async def test_a_budget_needs_counts_and_prices(tmp_path: Path) -> None:
    with ailing("no_usage") as server:
        sections = await probed(tmp_path, {"teacher": seat(server.url)}, budget={"usd": 5.0})
        assert names(sections, "broken") == {"no_usage", "no_price"}
    with ailing() as server:
        priced = seat(server.url, price={"prompt": 1.0, "completion": 2.0})
        sections = await probed(tmp_path, {"teacher": priced}, budget={"usd": 5.0})
    assert names(sections, "broken") == set()
    assert sections[0].account.usd == pytest.approx(
        (sections[0].account.prompt + 2 * sections[0].account.completion) / 1e6
    )


def test_every_fault_of_the_server_is_planted_somewhere() -> None:
    used = {name for case in [*PLANTED, *VARIANTS] for name in case[0]}
    used |= {"any_name", "no_models", "schema_refused", "schema_ignored", "unauthorized", "stalls", "escapes"}
    assert used == set(FAULTS)
