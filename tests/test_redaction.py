"""Keys stay out of errors, files and replies: whole, cut, encoded, in URLs; and the config refuses to hold one."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from urllib.parse import quote

import little
import pytest
from langchain_core.messages import HumanMessage
from openai_server import Server, serving
from pydantic import ValidationError

from agents.context import Context, Seat
from agents.errors import ConfigError, ProviderError
from agents.models import open_seat
from agents.models.desk import call
from agents.models.failures import MAX_QUOTED
from agents.models.scripted import LineScript
from agents.redaction import PART, redacted, secret_name, secrets_of_url, without
from graphs.episode import Table
from graphs.runner.collect import collect, now
from graphs.runner.ledger import Ledger
from retort.cli import main
from retort.config import load_config
from retort.doctor.line import Address

KEY = "sk-proj-Zq8+w/7Lm=Xy2TtRr5Kk9Bb1"
"""With characters that encodings change."""
PLAIN = "q7Vd2mXw9LtR4kZb8NcH"
"""Of no form that could be told from a name."""


def parts(key: str) -> list[str]:
    """Everything of a key that must not be read: each run of eight characters at its head and tail."""
    return [key[:PART], key[-PART:]]


@pytest.mark.parametrize("key", [KEY, PLAIN])
@pytest.mark.parametrize(
    "written",
    [
        lambda k: k,
        lambda k: f"Authorization: Bearer {k}",
        lambda k: f"Illegal header value b'Bearer {k}\\n'",
        lambda k: json.dumps({"key": k}),
        lambda k: quote(k, safe=""),
        lambda k: re.sub("%..", lambda match: match[0].lower(), quote(k, safe="")),
        lambda k: base64.b64encode(k.encode()).decode(),
        lambda k: base64.urlsafe_b64encode(k.encode()).decode(),
        lambda k: base64.b64encode(f"user:{k}".encode()).decode(),
        lambda k: base64.b64encode(f"me:{k}:rest".encode()).decode(),
        lambda k: k.encode().hex(),
        lambda k: f"{k[:PART]}... is no key",
        lambda k: f"a key that ends in ...{k[-PART:]}",
        lambda k: f"{k[: len(k) // 2]}\u2026",
        lambda k: f"https://host/v1?subscription-key={k}&api-version=2024-02-01",
    ],
)
def test_a_key_is_taken_out_however_it_is_written(key: str, written: object) -> None:
    text = written(f"{key}")  # type: ignore[operator]
    said = redacted(f"before {text} after", [key])
    assert said.startswith("before ")
    assert said.endswith(" after")
    for form in (key, quote(key, safe=""), key.encode().hex(), base64.b64encode(key.encode()).decode()):
        assert not any(part in said for part in parts(form)), said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("connect to https://me:pw@host/v1 failed", "connect to https://[key]@host/v1 failed"),
        ("GET /v1?api-version=2024-02-01&sig=abc%2Fdef", "GET /v1?api-version=2024-02-01&sig=[key]"),
        ("authorization: Basic bWU6cHc=", "authorization: Basic [key]"),
        ("{'x-api-key': 'abcdef123456'}", "{'x-api-key': '[key]'}"),
        ("You sent Bearer abc.def-123.", "You sent Bearer [key]"),
        ("api_key=abcdef123456 is wrong", "api_key=[key] is wrong"),
        ("sk-abcdefghijkl is no key", "[key] is no key"),
    ],
)
def test_what_looks_like_a_key_is_taken_for_one(text: str, said: str) -> None:
    assert redacted(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "maximum context length is 4096 tokens, you asked for max_tokens=5000",
        "https://host/v1?api-version=2024-02-01&page=2",
        "Basic authentication is refused",
        "the model `gpt-5` does not exist",
        "is the key in the environment variable that `key_env` names?",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert redacted(text, [KEY]) == text


def test_short_values_are_no_secrets() -> None:
    assert without("none of it", ["none", "", "of"]) == "none of it"


def test_secrets_of_a_url() -> None:
    assert set(secrets_of_url("https://me:pw@h/v1?api-version=1&key=abc,http://x/v1")) >= {"me:pw", "pw", "abc"}
    assert secrets_of_url("https://host:8000/v1?api-version=2024-02-01") == []
    names = ["api-version", "page", "design", "keyspace", "max_tokens"]
    assert not [name for name in names if secret_name(name)]
    assert all(
        secret_name(name) for name in ("key", "api-key", "apiKey", "accessToken", "sig", "subscription-key", "code")
    )


@pytest.mark.parametrize("at", range(MAX_QUOTED - 60, MAX_QUOTED + 5, 4))
async def test_a_key_across_the_cut_of_an_error_leaves_no_head(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """An error repeats 300 characters of what an endpoint says: the key begins before the cut and ends behind it."""
    monkeypatch.setenv("RETORT_TEST_KEY", PLAIN)

    def fault(number: int, body: object) -> tuple[int, bytes]:
        return 500, b"x" * at + b" " + PLAIN.encode() + b" y"

    served = serving(LineScript(rows=[]), fault=fault)
    with served as server, pytest.raises(ProviderError) as caught:
        await call(Seat(model=f"openai:m@{server.url}", key_env="RETORT_TEST_KEY"), "reason", [HumanMessage("q")])
    assert PLAIN[:4] not in str(caught.value)


async def test_a_reply_that_repeats_the_key_is_recorded_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETORT_TEST_KEY", PLAIN)
    rows: list[dict[str, object]] = [{"reply": f"My key is {PLAIN}.", "call": {"arguments": {"query": f"a {PLAIN}"}}}]
    with serving(LineScript(rows=rows), thought=f"I know {PLAIN}") as server:
        reply = await open_seat(Seat(model=f"openai:m@{server.url}", key_env="RETORT_TEST_KEY")).ainvoke("q")
    assert reply.content == "My key is [key]."
    assert PLAIN not in repr(reply)


async def test_the_word_that_a_local_server_takes_for_a_key_stays_in_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETORT_TEST_KEY", "ollama")
    with serving(LineScript(rows=[{"reply": "Start ollama first."}])) as server:
        reply = await open_seat(Seat(model=f"openai:m@{server.url}", key_env="RETORT_TEST_KEY")).ainvoke("q")
    assert reply.content == "Start ollama first."


def test_a_collection_at_an_endpoint_that_shouts_the_key_leaves_no_trace(
    kettle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETORT_TEST_KEY", KEY)
    tasks = little.lookups(little.library(), 4)

    def fault(number: int, body: object) -> tuple[int, dict[str, object]]:
        said = f"{'x' * 250} {KEY} {quote(KEY, safe='')} {base64.b64encode(KEY.encode()).decode()} {KEY[:12]}..."
        return (401 if number > 2 else 200), {"error": {"message": said}}

    path = tmp_path / "l.sqlite"
    with serving(LineScript(rows=[]), fault=fault) as server, Ledger(path) as ledger:
        table = Table.from_context(
            little.context(kettle, Seat(model=f"openai:m@{server.url}", key_env="RETORT_TEST_KEY"))
        )
        with pytest.raises(ProviderError) as caught:
            now(collect(tasks, table, ledger, concurrency=1))
    found = str(caught.value) + path.read_bytes().decode("latin-1")
    for form in (KEY, quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode()):
        assert not any(part in found for part in parts(form))


def config(folder: Path, seat: str) -> Path:
    """A run.toml with one seat."""
    little.write_microdomain(folder)
    path = folder / "run.toml"
    head = 'name = "k"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n'
    path.write_text(f"{head}[teams.teacher]\nreason = {seat}\n", encoding="utf-8")
    return path


def test_errors_of_the_context_do_not_repeat_it_either() -> None:
    """A context may come from Studio, and its error goes to whoever sent it."""
    team = {"name": "t", "reason": {"model": "openai:m@https://me:hunter2secret@host/v1"}}
    with pytest.raises(ValidationError) as caught:
        Context.model_validate({"team": team, "library": "x"})
    assert "hunter2secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("seat", "said"),
    [
        ('"openai:m@https://me:hunter2secret@host/v1"', "holds a user or a password"),
        ('"openai:m@http://a/v1,https://hunter2secret@host/v1"', "holds a user or a password"),
        ('"opnai:m@https://me:hunter2secret@host/v1"', "holds a user or a password"),
        ('"vllm:m@https://me:hunter2secret@host/v1"', "holds a user or a password"),
        ('"openai:m@https://host/v1?api-key=hunter2secret"', "a secret in the parameter 'api-key'"),
        ('"openai:m@https://host/v1?x=sk-hunter2secret"', "a secret in the parameter 'x'"),
        ('{ model = "openai:m@https://host/v1", key_env = "sk-hunter2secret" }', "maybe a key"),
        ('{ model = "openai:m@https://host/v1", key_env = "sk_hunter2secret_0123456789" }', "maybe a key"),
        ('{ model = "openai:m@https://host/v1", key_env = "hunter2secret-x" }', "maybe a key"),
        ('{ model = "openai:m@https://host/v1", key_env = "HUNTER2SECRET' + "X" * 60 + '" }', "maybe a key"),
        ('{ model = "openai:m@https://host/v1", key_env = "" }', "maybe a key"),
        ('{ model = "sk-hunter2secret" }', "expected provider:model"),
    ],
)
def test_a_config_with_a_key_in_it_is_refused_and_never_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seat: str, said: str
) -> None:
    path = config(tmp_path, seat)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert said in str(caught.value)
    assert "hunter2secret" not in str(caught.value).lower()
    if "expected" not in said:
        assert "key_env" in str(caught.value)
    assert main(["run", str(path), "--run", str(tmp_path / "run")]) == 2
    out = capsys.readouterr()
    assert "hunter2secret" not in (out.err + out.out).lower()
    assert not (tmp_path / "run").exists(), "nothing was written"


@pytest.fixture
def azure() -> Server:
    """An endpoint."""
    with serving(LineScript(rows=[{"reply": "Answer: 3"}])) as server:
        yield server


async def test_parameters_that_are_no_secret_are_sent(tmp_path: Path, azure: Server) -> None:
    """Azure's way: the URL of the chat completions, with the version of the protocol as a parameter."""
    model = f"openai:m@{azure.url}/deployments/d?api-version=2024-02-01"
    assert load_config(config(tmp_path, f'"{model}"')).teams["teacher"].reason.model == model
    reply, _ = await call(Seat(model=model), "reason", [HumanMessage("q")])
    assert reply.content == "Answer: 3"
    assert Address(f"{azure.url}/d?api-version=1", "m", "").at("/models") == f"{azure.url}/d/models?api-version=1"
    assert azure.seen[0]["path"] == "/v1/deployments/d/chat/completions?api-version=2024-02-01"


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "MY_KEY", "_k", "hf_token", "Key2", "SK_KEY_2"])
def test_names_of_variables_are_names(name: str) -> None:
    assert Seat(model="openai:m", key_env=name).key_env == name
