"""Worker processes, several endpoints of one seat, and the pilot that measures before much is spent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import little
import pytest
import silence
import synthetic_run
from openai_server import Server, serving

from agents.context import Price, Seat
from agents.errors import ConfigError, RetortError
from agents.files import write_text
from agents.models.scripted import AnswerKey
from agents.task import Task
from graphs.episode import Table
from graphs.runner.collect import collect, now
from graphs.runner.ledger import Ledger
from graphs.trajectory import Usage
from retort.cli import main
from retort.pilot import forecast

HERE = Path(__file__).resolve().parent
PROGRAM = """
import signal, sys; sys.path.insert(0, sys.argv[4])
from pathlib import Path
import little
from agents.context import Seat
from graphs.runner.collect import collect, now
from graphs.runner.ledger import Ledger
from graphs.episode import Table

if __name__ == "__main__":
    # A shell that starts the suite in the background hands down an ignored Control-C; a terminal does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    table = Table.from_context(little.context(Path(sys.argv[1]), Seat(model="openai:m@" + sys.argv[3])))
    with Ledger(Path(sys.argv[2])) as ledger:
        now(collect(little.lookups(little.library(), 60), table, ledger, concurrency=4, workers=2))
"""


@pytest.fixture(scope="module")
def sixty() -> list[Task]:
    """60 training tasks."""
    return little.lookups(little.library(), 60)


def at(kettle: Path, url: str) -> Table:
    """A table at an endpoint."""
    return Table.from_context(little.context(kettle, Seat(model=f"openai:m@{url}")))


def grown(ledger: Path, count: int) -> None:
    """Wait until a ledger holds `count` episodes."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if ledger.exists():
            with Ledger(ledger) as opened:
                if len(opened) >= count:
                    return
        time.sleep(0.05)
    pytest.fail(f"{ledger} did not grow to {count}")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_runner_and_the_next_run_goes_on(
    kettle: Path, tmp_path: Path, sixty: list[Task], how: signal.Signals
) -> None:
    """An orphan would go on paying for episodes that nobody reads."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": silence.path(HERE.parent, HERE)}
    path = tmp_path / "l.sqlite"
    with serving(AnswerKey(tasks=tuple(sixty)), delay=0.2) as server:
        command = [sys.executable, str(program), str(kettle), str(path), server.url, str(HERE)]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        grown(path, 4)
        process.send_signal(how)
        process.wait(20)
        time.sleep(0.6)  # what was in flight is answered by now
        calls = len(server.seen)
        time.sleep(1.0)
        assert len(server.seen) == calls, "a worker went on"
        with Ledger(path) as ledger:
            before = len(ledger)
            assert 4 <= before < 60
            done = now(collect(sixty, at(kettle, server.url), ledger, concurrency=8))
            assert (done.known, done.played, len(ledger)) == (before, 60 - before, 60)


def test_a_worker_that_is_killed_is_named(kettle: Path, tmp_path: Path, sixty: list[Task]) -> None:
    with serving(AnswerKey(tasks=tuple(sixty)), delay=0.2) as server, Ledger(tmp_path / "l.sqlite") as ledger:

        def kill() -> None:
            grown(tmp_path / "l.sqlite", 4)
            (worker,) = [each for each in multiprocessing.active_children() if each.name == "retort-0"]
            worker.kill()

        thread = threading.Thread(target=kill)
        thread.start()
        with pytest.raises(RetortError, match="a worker process ended without a word"):
            now(collect(sixty, at(kettle, server.url), ledger, concurrency=4, workers=2))
        thread.join()


def test_seats_of_this_process_are_not_shared(kettle: Path, tmp_path: Path, sixty: list[Task]) -> None:
    with Ledger(tmp_path / "l.sqlite") as ledger, pytest.raises(ConfigError, match="workers = 1"):
        table = Table.from_context(little.context(kettle, Seat(model="vllm:some-folder")))
        now(collect(sixty, table, ledger, workers=2))


def test_calls_go_to_every_endpoint_of_a_seat(kettle: Path, tmp_path: Path, sixty: list[Task]) -> None:
    seat = AnswerKey(tasks=tuple(sixty))
    with serving(seat, delay=0.01) as one, serving(seat, delay=0.01) as two, Ledger(tmp_path / "l.sqlite") as ledger:
        done = now(collect(sixty, at(kettle, f"{one.url},{two.url}"), ledger, concurrency=8))
    assert done.played == 60
    assert min(len(one.seen), len(two.seen)) > 40


def test_an_endpoint_that_is_down_is_left_alone_while_there_are_others(
    kettle: Path, tmp_path: Path, sixty: list[Task]
) -> None:
    with serving(AnswerKey(tasks=tuple(sixty))) as one, Ledger(tmp_path / "l.sqlite") as ledger:
        done = now(collect(sixty, at(kettle, f"http://127.0.0.1:9/v1,{one.url}"), ledger, concurrency=8))
    assert (done.played, done.failures) == (60, {})
    assert 0 < done.faults["refused"] <= 20, "found out a few times, not at every call"


def config(folder: Path, server: Server) -> Path:
    """A run over the kettle whose teacher sits at an endpoint with prices."""
    little.write_microdomain(folder)
    seat = f'{{ model = "openai:m@{server.url}", price = {{ prompt = 1.0, completion = 10.0 }} }}'
    text = f'name = "k"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n[teams.teacher]\nreason = {seat}\n'
    write_text(folder / "run.toml", text + "[exam]\ntrain = 60\ntest = 20\n[collect]\nchoice = 0\n[budget]\nusd = 5\n")
    return folder / "run.toml"


def test_a_pilot_plays_a_few_and_forecasts_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exam = tmp_path / "runs" / "k" / "exam.jsonl"
    with serving(AnswerKey(tasks=())) as server:
        path = config(tmp_path, server)
        assert main(["index", str(path)]) == 0
        assert main(["exam", str(path)]) == 0
        assert exam.exists()
        assert main(["plan", str(path)]) == 0
        said = capsys.readouterr().out
        assert "budget of each: usd 5" in said
        assert len(server.seen) == 0, "a plan spends nothing"
        assert main(["plan", str(path), "--pilot", "12"]) == 0
        said = capsys.readouterr().out
        assert "pilot react: 12 of" in said
        calls = len(server.seen)
        assert calls >= 12
        (usd,) = [line.split() for line in said.splitlines() if line.strip().startswith("usd")]
        assert float(usd[1]) == pytest.approx(calls * (50 * 1 + 10 * 10) / 1e6, abs=0.01)
        assert main(["plan", str(path), "--pilot", "12"]) == 0
        assert len(server.seen) == calls, "the same pilot again is in the ledger"


def test_a_forecast_holds_what_it_says() -> None:
    """200 tasks of known cost: the interval from 40 of them holds the true rest."""
    costs = [100 + 37 * (n * 7919 % 13) for n in range(200)]
    one = synthetic_run.episode(synthetic_run.make_task(0), "t", None)
    played = [one.model_copy(update={"usage": Usage(prompt=cost)}) for cost in costs[:40]]
    (row,) = [each for each in forecast([[t] for t in played], 160, 16) if each.name == "prompt tokens"]
    assert row.spent == sum(costs[:40])
    assert row.low < sum(costs[40:]) < row.high
    assert row.high - row.low < 0.3 * row.left


def test_prices_make_money() -> None:
    price = Price(prompt=2.0, completion=8.0, cached=0.5)
    assert price.usd(1_000_000, 0) == 2.0
    assert price.usd(1_000_000, 100_000, cached=500_000) == pytest.approx(1.0 + 0.25 + 0.8)
