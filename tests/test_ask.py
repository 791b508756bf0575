"""`retort ask`: a question of one's own played live, every turn printed as it comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import little
import pytest
import silence

from agents.context import Mode
from agents.errors import StageError
from agents.files import write_text
from retort.ask import ask
from retort.config import load_config, write_resolved

ROOT = Path(__file__).resolve().parents[1]
QUESTION = "What is the default of `heater_limit`?"
LOOK = {"turn": 0, "reply": "I look it up.", "call": {"arguments": {"query": "heater_limit default"}}}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Makes a run folder whose student plays a script; without one it is still to be trained."""

    def made(script: list[dict[str, Any]] | None = None) -> Path:
        little.write_microdomain(tmp_path)
        folder = little.write_run(tmp_path / "run")
        student = ""
        if script is not None:
            student = f'[student]\nstages = []\n[teams.student]\nreason = "{little.seat(tmp_path, script).model}"\n'
        write_text(
            tmp_path / "run.toml",
            'name = "kettle"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n'
            f'[teams.teacher]\nreason = "scripted:answer-key"\n{student}',
        )
        write_resolved(load_config(tmp_path / "run.toml"), folder)
        return folder

    return made


def asked(
    run: Path, question: str = QUESTION, team: str = "student", options: tuple[str, ...] = (), mode: Mode = "react"
) -> tuple[int, list[str]]:
    """Exit status, and the pieces in the order in which they came."""
    pieces: list[str] = []
    return ask(run, question, team, options, mode, pieces.append), pieces


def test_the_teacher_answers_turn_by_turn(make: Callable[..., Path]) -> None:
    status, pieces = asked(make(), team="teacher", options=("10", "3"))
    assert status == 0
    assert "teacher (scripted:answer-key@" in pieces[0]
    assert pieces[1] == f"user:\n    {QUESTION}\n    A) 10\n    B) 3"
    call = '-> search({"query": "heater_limit default"})'
    assert pieces[2] == f"assistant:\n    I look up default of heater_limit.\n    {call}"
    assert pieces[3].startswith("tool search:\n    [1] The heater > heater_limit\n    Default: 3")
    assert pieces[4] == "assistant:\n    Quote: Default: 3\n    The manual says so.\n    Answer: 3"
    assert len(pieces) == 6
    ending = pieces[5].splitlines()[1:]
    assert ending[:4] == ["answer  3", "option  3", "quote   Default: 3", "        in The heater > heater_limit"]
    assert ending[4].startswith("2 turns, 1 tool calls, ")


def test_quotes_from_nowhere_and_text_that_would_steer_the_terminal(make: Callable[..., Path]) -> None:
    said = "\x1b[2JSo.\nQuote: Default: 4\x1b]0;x\x07\nAnswer: 4\u202e"
    status, pieces = asked(make([LOOK, {"turn": 1, "reply": said}]))
    assert status == 0
    text = "\n".join(pieces)
    assert not [c for c in text if c != "\n" and not c.isprintable()]
    assert "\\x1b[2JSo." in text
    assert "        in nothing that was retrieved" in text
    assert "check   a quote does not stand in anything that you found" in text


def test_a_malformed_call_is_shown_once(make: Callable[..., Path]) -> None:
    script = [{"turn": 0, "reply": "I look.", "raw_call": "{"}, {**LOOK, "turn": 1}]
    status, pieces = asked(make([*script, {"turn": 2, "reply": "Quote: Default: 3\nAnswer: 3"}]))
    assert status == 0
    assert sum("I look." in piece for piece in pieces) == 1
    assert "not JSON" in pieces[2]
    assert pieces[3].startswith("user:\n")
    assert "not JSON" in pieces[3]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([{"reply": "Answer: I don't know"}], ["answer  I don't know", "stop    gave_up"]),
        ([{"reply": "I wonder."}], ["no answer: malformed", "check   there is no line that starts with Answer:"]),
        ([LOOK, {**LOOK, "turn": 1}], ["no answer: loop"]),
    ],
)
def test_no_answer_is_status_1(make: Callable[..., Path], script: list[dict[str, Any]], expected: list[str]) -> None:
    status, pieces = asked(make(script))
    assert status == 1
    assert pieces[-1].splitlines()[1 : 1 + len(expected)] == expected


def test_closed_book(make: Callable[..., Path]) -> None:
    status, pieces = asked(make(), team="teacher", mode="cot")
    assert status == 0
    assert "tool" not in pieces[2]
    assert "1 turns, 0 tool calls" in pieces[-1]


def test_what_is_missing_is_named(make: Callable[..., Path], tmp_path: Path) -> None:
    run = make()
    with pytest.raises(StageError, match="run the stage 'sft' first"):
        asked(run)
    with pytest.raises(StageError, match="'nobody'; there are base, cpt, student, teacher"):
        asked(run, team="nobody")
    with pytest.raises(StageError, match="is no run folder"):
        asked(tmp_path / "absent")
    (run / "library").rename(run / "gone")
    with pytest.raises(StageError, match="run the stage 'index' first"):
        asked(run, team="teacher")


def test_control_c_ends_it_cleanly(make: Callable[..., Path]) -> None:
    """A model that never answers, and a person who has waited long enough."""
    run = make()
    program = f"""
import signal, socket, sys, threading
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from retort.ask import ask
silent = socket.create_server(("127.0.0.1", 0))
def hold():
    kept.append(silent.accept())
    kept[0][0].recv(1)  # asked, not only connected: asyncio cannot be interrupted in the middle of its connect callback
    print("called", flush=True)
kept = []
threading.Thread(target=hold, daemon=True).start()
config = Path({str(run / "run.toml")!r})
seat = f"openai:silent@http://127.0.0.1:{{silent.getsockname()[1]}}/v1"
config.write_text(config.read_text().replace("scripted:answer-key", seat))
status = ask(config.parent, "Why?", "teacher", (), "react", lambda said: print(said, flush=True))
for held, _ in kept:
    held.close()
silent.close()
sys.exit(status)
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": silence.path(ROOT), "OPENAI_API_KEY": "x"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    said = ""
    while not said.endswith("called\n"):
        line = process.stdout.readline()
        assert line, f"{said}{process.stderr.read()}"
        said += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    watchdog.cancel()
    assert said.startswith("teacher (openai:silent@")
    assert (out, err, process.returncode) == ("stopped\n", "", 130)
