"""Why calls failed is said in words with what to do, in small runs too, and a refused key is no dead endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import little
import pytest
from openai_server import serving

from agents.context import Seat
from agents.errors import ProviderError
from agents.models.scripted import LineScript
from graphs.episode import Table
from graphs.runner.collect import Collected, collect, now
from graphs.runner.ledger import Ledger
from retort.cli import main

CONFIG = """
name = "k"
[corpus]
manuals = "manual"
facts = "facts.jsonl"
[exam]
train = 20
test = 20
[collect]
tasks = 3
[student]
stages = []
[evaluate]
tasks = 2
[teams.teacher]
reason = "TEACHER"
[teams.student]
reason = "STUDENT"
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the kettle, and a run with its exam."""
    folder = tmp_path_factory.mktemp("causes")
    little.write_microdomain(folder)
    return folder


def started(folder: Path, teacher: str, student: str, *commands: str) -> int:
    """The exit status of the last command of a run."""
    (folder / "run.toml").write_text(CONFIG.replace("TEACHER", teacher).replace("STUDENT", student), encoding="utf-8")
    status = 0
    for command in ("index", "exam", *commands):
        status = main([*command.split(), str(folder / "run.toml"), "--run", str(folder / "run")])
    return status


NOBODY = "openai:m@http://127.0.0.1:9/v1"
SAID = "episodes: endpoint 127.0.0.1:9 model 'm': no connection: [Errno 111] Connect call failed ('127.0.0.1', 9); is "
STEP = "the server running, and is the URL right?"


def test_a_small_run_says_why_its_calls_failed(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fewer episodes than may be in flight: the endpoint is not taken to be down, and its failure is said."""
    assert started(prepared, NOBODY, NOBODY, "collect") == 2
    said = capsys.readouterr().err
    assert "3 of 3 episodes failed at the endpoint" in said
    assert said.splitlines()[-1] == f"  refused, 3 {SAID}{STEP}"


def test_an_evaluation_says_why_its_calls_failed(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert started(prepared, "scripted:answer-key", NOBODY, "collect", "dataset", "evaluate") == 2
    said = capsys.readouterr().err
    assert "2 episodes of arm 'student' failed at the endpoint" in said
    assert said.splitlines()[-1] == f"  refused, 2 {SAID}{STEP}"


def test_each_class_of_failure_has_its_line() -> None:
    """With what the first one said, or, of a run before, with what the class means."""
    done = Collected(
        wanted=9, known=0, played=1, accepted=1, failures={"garbage": 5, "cut": 1}, causes={"garbage": "HTML; see URL"}
    )
    assert done.failed() == ["  garbage, 5 episodes: HTML; see URL", "  cut, 1 episode: the answer broke off"]


@pytest.mark.parametrize(
    ("status", "told", "step"),
    [
        (401, "the endpoint refuses the key (401)", "is the key in the environment variable that `key_env` names?"),
        (403, "the endpoint refuses the key (403)", "may this key use this model?"),
        (
            404,
            "the endpoint knows no such model or path (404)",
            "is the model's name right, and does the URL end in /v1?",
        ),
        (402, "the endpoint asks for payment (402)", "top up the account"),
        (400, "the endpoint refuses the request (400)", "model name, tools, or parameters"),
    ],
)
def test_what_is_refused_is_told_as_what_it_is(kettle: Path, tmp_path: Path, status: int, told: str, step: str) -> None:
    tasks = little.lookups(little.library(), 6)

    def fault(number: int, body: dict[str, Any]) -> tuple[int, Any]:
        return status, {"error": {"message": "no"}}

    with serving(LineScript(rows=[]), fault=fault) as server, Ledger(tmp_path / "l.sqlite") as ledger:
        table = Table.from_context(little.context(kettle, Seat(model=f"openai:m@{server.url}")))
        with pytest.raises(ProviderError) as caught:
            now(collect(tasks, table, ledger, concurrency=2))
    assert f"collect stopped: {told}" in str(caught.value)
    assert step in str(caught.value)
    assert "is down" not in str(caught.value)
    assert str(caught.value).endswith("Then run the same command again to continue.")
    assert (caught.value.status, len(server.seen) <= 2) == (status, True)


def test_a_dead_endpoint_is_down(kettle: Path, tmp_path: Path) -> None:
    tasks = little.lookups(little.library(), 6)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        table = Table.from_context(little.context(kettle, Seat(model="openai:m@http://127.0.0.1:9/v1")))
        with pytest.raises(ProviderError, match="collect stopped: the endpoint is down") as caught:
            now(collect(tasks, table, ledger, concurrency=4))
    assert "is the server running, and is the URL right?" in str(caught.value)
