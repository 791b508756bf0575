"""One process a run folder: a second one is refused by name, readers are not, and a killed one leaves no lock."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of
from openai_server import Server, serving

from agents.errors import StageError
from agents.models.scripted import Scripted, open_scripted
from graphs.runner.ledger import Ledger
from retort.cli import SINGLE, main
from retort.lock import LOCK, OWNER, alone

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["run", *SINGLE])
def test_who_works_on_a_run_has_it_alone(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path)
    with alone(root / "run"):
        assert main([name, str(root / "run.toml"), "--run", str(root / "run")]) == 2
    said = capsys.readouterr().err
    assert str(root / "run") in said
    assert f"process {os.getpid()}" in said
    assert socket.gethostname() in said
    assert "pytest" in said
    assert sorted(path.name for path in (root / "run").iterdir()) == [LOCK]


def test_a_pilot_needs_it_and_readers_do_not(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, run = str(copied / "run.toml"), str(copied / "run")
    with alone(copied / "run"):
        assert main(["plan", config, "--run", run, "--pilot", "3"]) == 2
        assert "in use" in capsys.readouterr().err
        assert main(["plan", config, "--run", run]) == 0
        assert main(["show", run]) == 0
        assert main(["ask", run, "What is the default of `heater_limit`?", "--team", "teacher"]) in (0, 1)
        assert (copied / "run" / OWNER).exists()
    assert main(["plan", config, "--run", run, "--pilot", "3"]) == 0


def test_two_folders_are_two_locks(tmp_path: Path) -> None:
    with alone(tmp_path / "a"), alone(tmp_path / "b"):
        pass
    with alone(tmp_path / "a"):
        pass


def test_what_a_killed_process_left_is_not_told_as_the_owner(tmp_path: Path) -> None:
    """Between taking the lock and writing down who holds it, the file still names the one that was killed."""
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        pass
    with alone(tmp_path):
        (tmp_path / OWNER).write_text(f'{{"pid": {ended.pid}, "host": "{socket.gethostname()}"}}')
        with pytest.raises(StageError, match="another process, which has just begun"), alone(tmp_path):
            pass


def test_an_owner_on_another_machine_is_named(tmp_path: Path) -> None:
    with alone(tmp_path):
        (tmp_path / OWNER).write_text('{"pid": 1, "host": "elsewhere", "command": "retort run x", "since": "then"}')
        with pytest.raises(StageError, match="process 1 on elsewhere.*retort run x.*then"), alone(tmp_path):
            pass


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    got: list[int] = []
    refused: list[str] = []
    start, over = threading.Barrier(8), threading.Event()

    def take() -> None:
        start.wait()
        try:
            with alone(tmp_path):
                got.append(1)
                over.wait(30)
        except StageError as error:
            refused.append(str(error))
            if len(refused) == 7:
                over.set()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)


def collecting(root: Path) -> subprocess.Popen[str]:
    """`retort collect` in a process of its own."""
    command = [sys.executable, "-m", "retort", "collect", str(root / "run.toml"), "--run", str(root / "run")]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def waited(server: Server, calls: int) -> None:
    """Wait until the endpoint has been asked so often."""
    end = time.monotonic() + 60
    while len(server.seen) < calls and time.monotonic() < end:
        time.sleep(0.05)
    assert len(server.seen) >= calls


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_it_leaves_no_lock_and_nothing_is_paid_twice(workers: int, tmp_path: Path) -> None:
    root = folder_of(tmp_path)
    for stage in ("index", "exam"):
        assert main([stage, str(root / "run.toml"), "--run", str(root / "run")]) == 0
    seat = open_scripted("answer-key", str(root / "run" / "exam.jsonl"))
    assert isinstance(seat, Scripted)
    with serving(seat, delay=0.1) as server:
        collect = (
            f'[collect]\nconcurrency = 2\nworkers = {workers}\n[teams.teacher]\nreason = "openai:m@{server.url}"\n'
        )
        (root / "run.toml").write_text(CONFIG + collect, encoding="utf-8")
        first = collecting(root)
        waited(server, 8)
        second = collecting(root)
        said = second.communicate(timeout=60)[1]
        assert second.returncode == 2
        assert f"process {first.pid}" in said
        assert "retort collect" in said
        assert f"kill {first.pid}" in said
        first.send_signal(signal.SIGKILL)
        first.communicate(timeout=60)
        third = collecting(root)
        said = third.communicate(timeout=120)[1]
        assert third.returncode == 0, said
    with Ledger(root / "run" / "ledger.sqlite") as ledger:
        played = len(ledger)
        turns = sum(t.usage.calls for t in ledger.trajectories())
    assert played > 8
    # What was in flight when it was killed is played again: at most two episodes of three calls.
    assert turns <= len(server.seen) <= turns + 6
    assert not (root / "run" / OWNER).exists()
