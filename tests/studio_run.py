"""A small run with stored episodes, and `retort studio` over it as a process, for the tests of Studio."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import little
import silence

from agents.files import write_text
from agents.models import close_seats
from graphs.episode import Table, play
from graphs.runner.ledger import Ledger
from graphs.trajectory import Trajectory
from retort.config import load_config, write_resolved
from retort.folders import claim
from retort.pipeline import Run
from retort.studio_server import checked_port

ROOT = Path(__file__).resolve().parents[1]
ASTRAY = [
    {"turn": 0, "reply": "I look it up.", "call": {"arguments": {"query": "pump_rate default"}}},
    {"turn": 1, "reply": "The manual says so.\nQuote: Default: 3\nAnswer: 3"},
]
"""A student that answers right, from a page that it did not find: its quote stands in nothing that it retrieved."""


class Served(NamedTuple):
    """A running `retort studio RUN`, and what it printed."""

    url: str
    """With the token in its path, as an SDK is given it."""
    run: Path
    said: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        """The server's port."""
        found = re.match(r"http://127\.0\.0\.1:(\d+)", self.url)
        assert found is not None
        return int(found[1])

    @property
    def prefix(self) -> str:
        """The path that stands before every route: `/TOKEN`."""
        return self.url.partition(f":{self.port}")[2]


def write_run(folder: Path, more: str = "") -> Path:
    """A run over the kettle in `folder`/run with two collected episodes and one of the student's exam.

    Args:
        more: lines at the end of its run.toml.
    """
    little.write_microdomain(folder)
    made = little.write_run(folder / "run")
    script = little.seat(folder, ASTRAY)
    write_text(
        folder / "run.toml",
        f'name = "kettle"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n[student]\nstages = []\n'
        f'[teams.teacher]\nreason = "scripted:answer-key"\n[teams.student]\nreason = "{script.model}"\n{more}',
    )
    write_resolved(load_config(folder / "run.toml"), made)
    claim(made, folder / "run.toml")
    return made


def play_episodes(made: Path) -> Path:
    """Collect two episodes into a run's ledger, and play one of the student's exam."""
    opened = Run(load_config(made), made)
    tasks = opened.tasks()

    async def both() -> None:
        with Ledger(made / "ledger.sqlite") as ledger:
            for task in (tasks[0], tasks[-1]):
                ledger.add(await play(task, Table.from_context(opened.collecting("react"))))
        with Ledger(made / "scores" / "ledger.sqlite") as ledger:
            ledger.add(
                await play(tasks[0], Table.from_context(opened.context("student", "react", "score", held_out=False)))
            )
        await close_seats()

    with asyncio.Runner() as runner:
        runner.run(both())
    return made


def trajectories(run: Path, ledger: str = "ledger.sqlite") -> list[Trajectory]:
    """The episodes of one ledger of a run."""
    with Ledger(run / ledger) as opened:
        return list(opened.trajectories())


@contextmanager
def running(
    run: Path, trajectory: str | None, cwd: Path, env: Mapping[str, str] | None = None, *, own_port: bool = True
) -> Iterator[Served]:
    """The command itself, started from another folder; in the end a signal stops it and it leaves nothing behind.

    Args:
        own_port: on a free port; else the command chooses, which two at once would do alike.
    """
    port = checked_port(0) if own_port else None
    program = (
        "import sys; from pathlib import Path; from retort.studio_server import studio; "
        f"sys.exit(studio(Path({str(run)!r}), {trajectory!r}, {port!r}, False))"
    )
    secret = re.compile("KEY|TOKEN|LANGSMITH")
    kept = {name: value for name, value in os.environ.items() if not secret.search(name)}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=cwd,
        env={
            **kept,
            "PYTHONPATH": silence.path(ROOT),
            "LANGSMITH_API_KEY": "not to be seen by the server",
            **(env or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(300, process.kill)
    watchdog.start()
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if line.startswith("Control-C"):
                break
        else:
            raise AssertionError(f"the server did not start:\n{said}")
        found = re.search(r"^server +(http://127\.0\.0\.1:\d+\S*)", said, re.MULTILINE)
        assert found is not None, said
        served = Served(found[1], run, said, process)
        yield served
        process.send_signal(signal.SIGTERM)  # as Control-C, which a shell's background job would not get
        assert process.wait(40) == 0
        assert process.stdout.read() == "\nstopped\n"
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", served.port)) != 0
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
