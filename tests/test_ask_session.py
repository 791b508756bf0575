"""`retort ask` without a question: a session of questions, from a pipe or at a terminal, with models kept open."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import little
import pytest
import silence
from openai_server import serving

from agents.files import write_json, write_text
from agents.models.scripted import LineScript
from retort.ask import PROMPT, ask
from retort.config import load_config, write_resolved

ROOT = Path(__file__).resolve().parents[1]
FIRST, SECOND = "What is the default of `heater_limit`?", "What is love?"
ROWS = [
    {
        "turn": 0,
        "reply": "I look it up.",
        "when": "heater_limit",
        "call": {"arguments": {"query": "heater_limit default"}},
    },
    {"turn": 1, "reply": "Quote: Default: 3\nAnswer: 3"},
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a library, whose teacher is the demonstrator."""
    return folder(tmp_path, "scripted:answer-key")


def folder(root: Path, teacher: str) -> Path:
    little.write_microdomain(root)
    made = little.write_run(root / "run")
    write_text(
        root / "run.toml",
        'name = "kettle"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n'
        f'[teams.teacher]\nreason = "{teacher}"\n',
    )
    write_resolved(load_config(root / "run.toml"), made)
    write_json(made / "run.json", {"config": "run.toml"})
    return made


def test_every_question_of_a_session_is_answered(run: Path) -> None:
    pieces: list[str] = []
    questions: Iterator[str | None] = iter([FIRST, "  ", SECOND, None])
    status = ask(run, None, "teacher", (), "react", pieces.append, lambda: next(questions))
    text = "\n".join(pieces)
    assert status == 1  # the second one is none of the manual's
    assert text.count("teacher (scripted:answer-key@") == 1
    assert text.index("answer  3") < text.index(SECOND) < text.index("stop    gave_up")


def test_an_endpoint_that_fails_ends_no_session(tmp_path: Path) -> None:
    """The seat is opened once; a refused request costs one question."""

    def fault(number: int, body: object) -> tuple[int, object] | None:
        return (400, {"error": {"message": "no"}}) if number == 1 else None

    with serving(LineScript(rows=ROWS), fault=fault) as server:
        run = folder(tmp_path, f"openai:m@{server.url}")
        pieces: list[str] = []
        questions: Iterator[str | None] = iter([FIRST, FIRST, None])
        status = ask(run, None, "teacher", (), "react", pieces.append, lambda: next(questions))
    text = "\n".join(pieces)
    assert status == 2
    assert "failed  endpoint" in text
    assert text.index("failed  endpoint") < text.index("answer  3")


def command(run: Path) -> list[str]:
    return [sys.executable, "-m", "retort", "ask", str(run), "--team", "teacher", "--trust"]


def test_a_pipe_brings_one_question_a_line(run: Path) -> None:
    done = subprocess.run(
        command(run),
        input=f"{FIRST}\n\n{FIRST}",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": silence.path(ROOT)},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("answer  3") == 2
    assert PROMPT not in done.stdout


def test_a_terminal_gets_a_prompt_and_control_d_ends_it(run: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(run),
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": silence.path(ROOT), "TERM": "dumb"},
    )
    os.close(theirs)
    said = ""

    def until(words: str, times: int = 1) -> None:
        nonlocal said
        ends = time.monotonic() + 60
        while said.count(words) < times and time.monotonic() < ends:
            said += os.read(ours, 4096).decode()
        assert said.count(words) >= times, said

    until(PROMPT)
    os.write(ours, f"{FIRST}\n".encode())
    until("answer  3")
    until(PROMPT, 2)
    os.write(ours, b"\x04")
    assert process.wait(60) == 0
    assert process.stderr is not None
    process.stderr.close()
    os.close(ours)
