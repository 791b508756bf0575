"""The ledger and the runner: each episode once, resumed after a kill, provider failures never recorded."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import little
import pytest
import silence
from openai_server import serving

from agents.context import Seat
from agents.errors import LedgerError, ProviderError, SeatError
from agents.files import read_jsonl
from agents.models.scripted import Scripted, open_scripted
from agents.task import Task
from distill.keep import sort_ledger, write_sorted
from graphs.episode import Table, play
from graphs.runner.collect import collect
from graphs.runner.ledger import Ledger

HERE = Path(__file__).resolve().parent


def training(kettle: Path) -> list[Task]:
    """The kettle's training tasks."""
    return [t for t in (Task.model_validate(row) for row in read_jsonl(kettle / "exam.jsonl")) if t.split == "train"]


async def test_the_ledger_records_a_key_once(kettle: Path, tmp_path: Path) -> None:
    table = Table.from_context(little.context(kettle))
    trajectory = await play(training(kettle)[0], table)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.add(trajectory)
        assert not ledger.add(trajectory.model_copy(update={"stop": "loop"}))
        assert len(ledger) == 1
        assert ledger.get(trajectory.key[:6]) == trajectory
        assert ledger.get("nothing") is None
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert list(ledger.trajectories()) == [trajectory]


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    path.write_text("not a database, but somebody's notes " * 50)
    with pytest.raises(LedgerError, match="move it away"):
        Ledger(path)
    assert path.read_text().startswith("not a database")


def test_a_ledger_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with Ledger(path):
        pass
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '99'")
    db.close()
    with pytest.raises(LedgerError, match="'99'"):
        Ledger(path)


async def test_collecting_twice_plays_nothing_twice(kettle: Path, tmp_path: Path) -> None:
    tasks = training(kettle)
    table = Table.from_context(little.context(kettle, without=str(kettle / "held_out.json")))
    with Ledger(tmp_path / "l.sqlite") as ledger:
        first = await collect(tasks[:20], table, ledger)
        again = await collect(tasks, table, ledger)
        assert (first.played, again.known, again.played) == (20, 20, len(tasks) - 20)
        assert first.accepted == 20
        assert {t.task_id for t in ledger.trajectories()} == {t.id for t in tasks}


async def test_other_seats_rules_and_samples_are_other_episodes(kettle: Path, tmp_path: Path) -> None:
    task = training(kettle)[0]
    base = Table.from_context(little.context(kettle))
    keys = {
        base.key(task),
        base.key(task, 1),
        Table.from_context(little.context(kettle, mode="cot")).key(task),
        Table.from_context(little.context(kettle, verify="revise")).key(task),
        Table.from_context(little.context(kettle, little.seat(tmp_path, [{"reply": "x"}]))).key(task),
        base.key(task.model_copy(update={"question": "another?"})),
    }
    assert len(keys) == 6


def test_kill_minus_nine_and_run_again(kettle: Path, tmp_path: Path) -> None:
    """Killed while it collects, the run ends with the very kept.jsonl of a run that nobody killed."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[4]); from pathlib import Path; import little\n"
        "from test_collect import training; from agents.context import Seat\n"
        "from graphs.runner.collect import collect, now\n"
        "from graphs.runner.ledger import Ledger; from graphs.episode import Table\n"
        "kettle = Path(sys.argv[1])\n"
        "table = Table.from_context(little.context(kettle, Seat(model='openai:m@' + sys.argv[3])))\n"
        "with Ledger(Path(sys.argv[2])) as ledger:\n"
        "    done = now(collect(training(kettle), table, ledger, concurrency=4)); print(done.played, flush=True)\n"
    )
    seat = open_scripted("answer-key", str(kettle / "exam.jsonl"))
    assert isinstance(seat, Scripted)
    environment = {**os.environ, "PYTHONPATH": silence.path(HERE.parent, HERE)}
    with serving(seat, delay=0.05) as server:

        def start(ledger: Path) -> subprocess.Popen[str]:
            command = [sys.executable, "-c", program, str(kettle), str(ledger), server.url, str(HERE)]
            return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

        killed = tmp_path / "killed.sqlite"
        process = start(killed)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if killed.exists():
                with Ledger(killed) as ledger:
                    if len(ledger) >= 5:
                        break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        with Ledger(killed) as ledger:
            before = ledger.keys()
        assert 5 <= len(before) < len(training(kettle)), "it was to be killed half-way"
        outputs = []
        for path in (killed, tmp_path / "whole.sqlite"):
            with start(path) as process:
                outputs.append(int(process.communicate(timeout=120)[0]))
    assert outputs == [len(training(kettle)) - len(before), len(training(kettle))]
    tasks = {task.id: task for task in training(kettle)}
    for name in ("killed", "whole"):
        with Ledger(tmp_path / f"{name}.sqlite") as ledger:
            every = list(ledger.trajectories())
        assert len({t.key for t in every}) == len(every) == len(tasks)
        write_sorted(sort_ledger(tasks, every), tmp_path / name)
    kept = (tmp_path / "killed" / "kept.jsonl").read_bytes()
    assert kept == (tmp_path / "whole" / "kept.jsonl").read_bytes()
    assert kept.count(b"\n") == len(tasks)


def scripted(kettle: Path) -> Scripted:
    """The demonstrator, to serve."""
    seat = open_scripted("answer-key", str(kettle / "exam.jsonl"))
    assert isinstance(seat, Scripted)
    return seat


async def test_passing_failures_are_retried_and_lose_nothing(kettle: Path, tmp_path: Path) -> None:
    """Every third call fails with 429, 500 or 503; every episode is played, and no failure's words are in it."""

    def fault(number: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        status = {0: 429, 3: 500, 6: 503}.get(number % 9)
        return (status, {"error": {"message": "the endpoint is unwell"}}) if status else None

    tasks = training(kettle)[:12]
    with serving(scripted(kettle), fault=fault) as server, Ledger(tmp_path / "l.sqlite") as ledger:
        table = Table.from_context(little.context(kettle, Seat(model=f"openai:m@{server.url}")))
        done = await collect(tasks, table, ledger, concurrency=4)
        assert (done.played, done.accepted, done.failures) == (12, 12, {})
        assert not any("unwell" in t.to_json() for t in ledger.trajectories())
        assert server.most_in_flight <= 4


async def test_an_endpoint_that_is_down_stops_the_run_and_says_so(kettle: Path, tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite") as ledger:
        table = Table.from_context(little.context(kettle, Seat(model="openai:m@http://127.0.0.1:9/v1")))
        with pytest.raises(ProviderError, match=r"0 episodes recorded, 37 left.*127\.0\.0\.1:9.*again to continue"):
            await collect(training(kettle), table, ledger, concurrency=4)
        assert len(ledger) == 0


async def test_a_refused_key_stops_at_once_and_is_never_shown(
    kettle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETORT_TEST_KEY", "sk-very-secret-0123456789")

    def fault(number: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 401, {"error": {"message": "Incorrect API key provided: sk-very-secret-0123456789"}}

    with serving(scripted(kettle), fault=fault) as server, Ledger(tmp_path / "l.sqlite") as ledger:
        seat = Seat(model=f"openai:m@{server.url}", key_env="RETORT_TEST_KEY")
        table = Table.from_context(little.context(kettle, seat))
        with pytest.raises(ProviderError) as caught:
            await collect(training(kettle), table, ledger, concurrency=2)
        assert server.seen[0]["authorization"] == "Bearer sk-very-secret-0123456789"
    assert caught.value.kind == "auth"
    assert "secret" not in str(caught.value)
    assert "key_env" in str(caught.value)
    assert len(server.seen) <= 2
    assert b"secret" not in (tmp_path / "l.sqlite").read_bytes()


async def test_a_seat_that_cannot_be_opened_is_said_before_anything_is_played(kettle: Path, tmp_path: Path) -> None:
    table = Table.from_context(little.context(kettle, Seat(model=f"scripted:lines@{tmp_path / 'none.jsonl'}")))
    with Ledger(tmp_path / "l.sqlite") as ledger, pytest.raises(SeatError, match=r"none\.jsonl"):
        await collect(training(kettle), table, ledger)
