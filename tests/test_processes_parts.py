"""What several processes share: signals, spending, the ceilings of a table, tallies over a pipe, a worker's life."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import little
import pytest

from agents.context import Seat, Team
from agents.errors import LedgerError, RetortError, SeatError
from agents.models.meter import Budget
from agents.task import Task
from graphs.episode import Table
from graphs.runner.ledger import Ledger
from graphs.runner.loop import run_loop
from graphs.runner.processes import SharedSignals, gather, play_in_processes, split_ceilings, work
from graphs.runner.worker import Order, Tally

TASKS = [task for task in little.tasks(little.library()) if task.split == "train"][:5]
Told = list[tuple[int, ...]]


def test_signals_begin_with_what_was_spent_before_and_add_up() -> None:
    signals = SharedSignals(100.0, 2.5)
    assert signals.totals() == (100.0, 2.5)
    assert list(signals.numbers[:3]) == [0, 0, 0] and not signals.stopping()
    signals.add(7, 0.25)
    signals.add(3, 0.25)
    assert signals.totals() == (110.0, 3.0)
    signals.tell(1, 0, 2)
    signals.tell(2, 1, 3)
    assert list(signals.numbers[:3]) == [3, 1, 5] and not signals.stopping()
    signals.stop()
    assert signals.stopping()
    assert signals.totals() == (110.0, 3.0) and list(signals.numbers[:3]) == [3, 1, 5]


def test_a_narrowed_table_splits_the_ceilings_and_keeps_every_key(kettle: Path) -> None:
    demonstrator = little.context(kettle).team.reason
    team = Team(
        name="teacher",
        reason=demonstrator.model_copy(update={"concurrency": 10, "temperature": 0.5}),
        judge=Seat(model="openai:m@http://127.0.0.1:9/v1", concurrency=2),
    )
    table = Table.from_context(little.context(kettle, team=team))
    found = split_ceilings(table, 4)
    assert found.context.team.reason.concurrency == 3  # 10 over 4, and nobody is left without
    assert found.context.team.judge is not None and found.context.team.judge.concurrency == 1
    assert found.context.team.reason.temperature == 0.5 and found.context.team.search is None
    assert (found.board, found.team) == (table.board, table.team)
    assert [found.key(task) for task in TASKS] == [table.key(task) for task in TASKS]
    assert Table.from_context(found.context).key(TASKS[0]) == table.key(TASKS[0])
    assert found.context.library == table.context.library
    assert table.context.team.reason.concurrency == 10


def pipes(*sent: object) -> list[Any]:
    """One reading end a worker, with what it has sent; None = it ended without a word."""
    ends = []
    for each in sent:
        here, there = multiprocessing.Pipe()
        if each is not None:
            there.send(each)
        there.close()
        ends.append(here)
    return ends


async def test_the_tallies_of_all_workers_are_added_and_progress_is_looked_at() -> None:
    signals, looks = SharedSignals(0, 0), Told()
    signals.tell(3, 2, 1)
    one, two = Tally(played=1, accepted=1, stops=Counter(answered=1)), Tally(played=2, accepted=1, not_needed=1)
    whole = await gather(pipes(one, two), signals, lambda *so_far: looks.append(so_far))
    assert whole == one.plus(two)
    assert looks[-1] == (3, 2, 1) and all(type(number) is int for number in looks[-1])


async def test_a_worker_that_takes_longer_is_waited_for() -> None:
    here, there = multiprocessing.Pipe()
    looks = Told()

    async def later() -> None:
        while len(looks) < 3:
            await asyncio.sleep(0.01)
        there.send(Tally(played=5))

    sending = asyncio.create_task(later())
    whole = await gather([here, *pipes(Tally(played=1))], SharedSignals(0, 0), lambda *so_far: looks.append(so_far))
    await sending
    assert whole.played == 6 and len(looks) >= 3
    for end in (here, there):
        end.close()


async def test_what_a_worker_ended_with_is_raised() -> None:
    with pytest.raises(LedgerError, match="it is full"):
        await gather(pipes(Tally(), LedgerError("it is full")), SharedSignals(0, 0), lambda *so_far: None)
    with pytest.raises(RetortError, match=r"^a worker process ended without a word .*fewer `workers`$"):
        await gather(pipes(None), SharedSignals(0, 0), lambda *so_far: None)
    assert await gather([], SharedSignals(0, 0), lambda *so_far: None) == Tally()


def test_a_loop_of_its_own_returns_what_was_played_and_leaves_the_collector_as_it_was() -> None:
    before = gc.get_threshold()
    inside: list[tuple[int, int, int]] = []

    async def playing() -> str:
        inside.append(gc.get_threshold())
        await asyncio.sleep(0)
        return "played"

    async def failing() -> str:
        raise LookupError("no such thing")

    assert run_loop(playing()) == "played"
    assert inside[0][0] > before[0], "garbage is collected less often meanwhile"
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0
    with pytest.raises(LookupError):
        run_loop(failing())
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0


@pytest.fixture
def quiet() -> Iterator[None]:
    """Gives Control-C back after a worker's life in this process."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def worker(kettle: Path, path: Path, tasks: list[Task], *, budget: Budget | None = None, **rest: Any) -> Any:
    """Live a worker's life in this process; returns what it sent."""
    here, there = multiprocessing.Pipe()
    here.send(tasks)
    table = rest.get("table") or Table.from_context(little.context(kettle))
    signals = rest.get("signals") or SharedSignals(0, 0)
    seconds, order = rest.get("seconds", 0.0), rest.get("order", Order())
    work(there, table, path, budget or Budget(), seconds, order, signals.numbers, 2)
    assert here.poll(), "it sent nothing"
    found = here.recv()
    here.close()
    there.close()
    return found


def test_a_worker_plays_what_it_is_sent_into_the_ledger_and_sends_its_tally(
    kettle: Path, tmp_path: Path, quiet: None
) -> None:
    path, signals = tmp_path / "l.sqlite", SharedSignals(10.0, 0.0)
    found = worker(kettle, path, TASKS[:2], signals=signals, order=Order(samples=2, enough=1))
    assert isinstance(found, Tally) and (found.played, found.accepted, found.not_needed) == (2, 2, 2)
    assert list(signals.numbers[:4]) == [2, 2, 2, 0]
    with Ledger(path) as ledger:
        account = ledger.accounts()["reason"]
        assert len(ledger) == 2 and account.calls == 4
        assert signals.totals()[0] == 10 + account.prompt + account.completion
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


@pytest.mark.parametrize(
    ("budget", "seconds", "said"),
    [(Budget(tokens=10), 0.0, "tokens: 10 of 10"), (Budget(hours=1.0), 3700.0, "hours: 1.03 of 1")],
)
def test_a_worker_heeds_what_all_have_spent_and_the_time_of_earlier_starts(
    kettle: Path, tmp_path: Path, quiet: None, budget: Budget, seconds: float, said: str
) -> None:
    signals = SharedSignals(10.0, 0.0)
    found = worker(kettle, tmp_path / "l.sqlite", TASKS[:2], budget=budget, signals=signals, seconds=seconds)
    assert isinstance(found, Tally) and (found.played, found.paused) == (0, said)
    assert signals.stopping()


def test_a_worker_sends_what_went_wrong(kettle: Path, tmp_path: Path, quiet: None) -> None:
    notes = tmp_path / "notes"
    notes.write_text("somebody's notes " * 100)
    assert isinstance(worker(kettle, notes, TASKS[:1]), LedgerError)
    found = worker(kettle, tmp_path / "l.sqlite", [None])  # type: ignore[list-item]
    assert type(found) is RuntimeError
    assert str(found).startswith("in a worker process:\nTraceback") and "NoneType" in str(found)


async def test_a_crew_plays_every_task_once_and_raises_what_a_worker_ended_with(kettle: Path, tmp_path: Path) -> None:
    """Two processes are started twice: some ten seconds."""
    table, looks, processes = Table.from_context(little.context(kettle)), Told(), set()
    with Ledger(tmp_path / "l.sqlite") as ledger:

        def look(*so_far: int) -> None:
            looks.append(so_far)
            processes.update((each.name, each.daemon) for each in multiprocessing.active_children())

        async def played(at: Table, budget: Budget) -> Tally:
            return await play_in_processes(TASKS, at, ledger, budget, Order(), concurrency=3, workers=2, look=look)

        tally = await played(table, Budget())
        assert (tally.played, tally.accepted, tally.down) == (5, 5, None)
        assert sorted(t.task_id for t in ledger.trajectories()) == sorted(task.id for task in TASKS)
        assert looks[-1] == (5, 5, 0)
        assert processes == {("retort-0", True), ("retort-1", True)}, "they end with this process, and have a name"
        spent = sum(account.prompt + account.completion for account in ledger.accounts().values())
        other = Table.from_context(little.context(kettle, mode="cot"))
        paused = await played(other, Budget(tokens=spent))
        assert (paused.played, paused.paused) == (0, f"tokens: {spent} of {spent}")
        gone = little.seat(tmp_path, [{"reply": "Answer: 3"}])
        lost = Table.from_context(little.context(kettle, gone))
        Path(gone.model.partition("@")[2]).unlink()
        with pytest.raises(SeatError, match="script-"):
            await played(lost, Budget())
    assert not [each for each in multiprocessing.active_children() if each.name.startswith("retort-")]
