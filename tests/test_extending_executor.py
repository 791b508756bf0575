"""The executor of docs/extending/executor.md plays a collection: its parts share the budget and what stops them."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import little
import pytest
import silence
from kettle_run import CONFIG, folder_of

from agents.context import Seat
from agents.errors import ConfigError, TrustError
from agents.models.meter import Budget
from graphs.episode import Table
from graphs.runner.collect import collect, now
from graphs.runner.executors import IN_PROCESS, PROCESSES, by_workers, executors, suited
from graphs.runner.ledger import Ledger
from graphs.runner.loop import in_thread, run_loop
from graphs.runner.watch import Count, watched
from retort.cli import main
from retort.config import load_config
from retort.pipeline import Run
from retort.stages import looked_at

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending" / "executor.md"


@pytest.fixture
def threads(tmp_path: Path) -> str:
    """The page's example as a file; how a config names it."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert found is not None
    (tmp_path / "threads.py").write_text(found[1], encoding="utf-8")
    return f"{tmp_path / 'threads.py'}:Threads"


def test_it_plays_every_task_once_and_counts_what_all_have_spent(kettle: Path, tmp_path: Path, threads: str) -> None:
    table, tasks = Table.from_context(little.context(kettle)), little.lookups(little.library(), 30)
    counts: list[Count] = []
    with Ledger(tmp_path / "l.sqlite") as ledger, watched(counts.append):
        done = now(collect(tasks, table, ledger, executor=threads, workers=3, concurrency=6))
        assert (done.played, done.accepted, len(ledger)) == (30, 30, 30)
        assert done.accounts["reason"].calls == sum(t.usage.calls for t in ledger.trajectories())
        assert counts[-1] == ("collect", 30, 30, 30, 30) and len(counts) == 30
        again = now(collect(tasks, table, ledger, executor=threads, workers=3))
        assert (again.known, again.played) == (30, 0)
    with Ledger(tmp_path / "paused.sqlite") as ledger, pytest.raises(Exception, match="the budget is used up"):
        now(collect(tasks, table, ledger, executor=threads, workers=3, budget=Budget(tokens=2000)))


def test_what_it_refuses_is_an_error_of_collecting_and_played_here_by_the_exam(
    kettle: Path, tmp_path: Path, threads: str
) -> None:
    table = Table.from_context(little.context(kettle, Seat(model="openai:m@http://127.0.0.1:9/v1")))
    with Ledger(tmp_path / "l.sqlite") as ledger, pytest.raises(ConfigError, match="take the executor 'in process'"):
        now(collect(little.lookups(little.library(), 2), table, ledger, executor=threads, workers=2))
    assert suited(table, threads, 2) == IN_PROCESS
    here = Table.from_context(little.context(kettle, Seat(model="hf:tiny-base")))
    assert suited(here, threads, 2) == threads
    assert suited(here, None, 4) == IN_PROCESS and suited(table, None, 4) == PROCESSES
    assert (by_workers(1), by_workers(2)) == (IN_PROCESS, PROCESSES)
    assert executors.names()[:2] == [IN_PROCESS, PROCESSES]


async def test_a_blocking_call_works_in_a_running_loop_and_is_ended_from_outside(kettle: Path, tmp_path: Path) -> None:
    table, tasks = Table.from_context(little.context(kettle)), little.lookups(little.library(), 4)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert now(collect(tasks, table, ledger)).played == 4
    with pytest.raises(LookupError, match="nothing"):
        run_loop(failing())
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("it")

    waiting = asyncio.create_task(in_thread(lambda: run_loop(forever())))
    await asyncio.sleep(0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == ["it"]
    assert await in_thread(lambda: run_loop(asyncio.sleep(0, "done"))) == "done"


async def failing() -> None:
    raise LookupError("nothing")


def test_a_config_names_it_beside_itself(tmp_path: Path, threads: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder_of(tmp_path, CONFIG + '[collect]\nexecutor = "threads.py:Threads"\nworkers = 2\n')
    line = [str(tmp_path / "run.toml"), "--run", str(tmp_path / "run")]
    assert load_config(tmp_path / "run.toml").collect.executor == threads
    assert main(["index", *line]) == 2
    assert "the executor" in capsys.readouterr().err
    for stage in ("index", "exam", "collect"):
        assert main([stage, *line, "--trust"]) == 0
    with Ledger(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert len(ledger) == 60

    def state(config: str) -> str:
        (tmp_path / "run.toml").write_text(config, encoding="utf-8")
        return looked_at(Run(load_config(tmp_path / "run.toml"), tmp_path / "run"))["collect"].summary()

    named = CONFIG + '[collect]\nexecutor = "threads.py:Threads"\nworkers = 7\n'
    assert state(named) == "fresh"
    (tmp_path / "threads.py").write_text((tmp_path / "threads.py").read_text() + "# another\n", encoding="utf-8")
    assert state(named) == "stale (the executor Threads changed)"
    (tmp_path / "run.toml").write_text(CONFIG + '[collect]\nexecutor = "in proces"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="executor 'in proces' is not one of in process, worker processes"):
        load_config(tmp_path / "run.toml")


def test_an_own_executor_is_told_before_it_runs(tmp_path: Path, threads: str) -> None:
    from retort.trust import agree

    folder_of(tmp_path, CONFIG.replace("tasks = 6", f'tasks = 6\nexecutor = "{threads}"'))
    config = load_config(tmp_path / "run.toml")
    with pytest.raises(TrustError, match="the executor .*threads.py:Threads: the code of its file runs here"):
        agree(config, tmp_path, tmp_path / "run", trust=False, ask=False)


def test_an_installed_package_offers_one(tmp_path: Path, threads: str) -> None:
    about = tmp_path / "other-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[retort.executors]\nthreads = threads:Threads\n", encoding="utf-8")
    program = "from graphs.runner.executors import executors as e; print(e.names()[-1], e.get('threads').__name__)"
    environment = {**os.environ, "PYTHONPATH": silence.path(PAGE.parents[2], tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["threads", "Threads"], done.stderr
