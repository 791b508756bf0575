"""One process's share of a run: what it plays, what it leaves out, what it tells, and what stops it."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import little
import pytest
from openai_server import serving

from agents.context import Board, Limits, Seat
from agents.models.meter import Budget, LocalSpendCounter, Meter
from agents.models.scripted import AnswerKey
from agents.task import Task
from graphs.episode import Table
from graphs.runner.ledger import Ledger
from graphs.runner.worker import HOPELESS, Order, Tally, play_tasks

TASKS = [task for task in little.tasks(little.library()) if task.split == "train"][:6]


class Notes:
    """Signals that are written down; `after` plays the sign to stop comes from elsewhere."""

    def __init__(self, after: int | None = None) -> None:
        self.told: list[tuple[int, int, int]] = []
        self.stopped = after == 0
        self._after = after

    def tell(self, played: int, accepted: int, not_needed: int) -> None:
        self.told.append((played, accepted, not_needed))
        self.stopped = self.stopped or len(self.told) == self._after

    def stopping(self) -> bool:
        return self.stopped

    def stop(self) -> None:
        self.stopped = True

    def total(self) -> tuple[int, ...]:
        """Played, accepted and not_needed in all."""
        return tuple(sum(column) for column in zip(*self.told, strict=True))


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with Ledger(tmp_path / "l.sqlite") as opened:
        yield opened


async def play_share(
    ledger: Ledger,
    table: Table,
    tasks: list[Task] = TASKS,
    *,
    notes: Notes | None = None,
    together: int = 2,
    **rest: Any,
) -> Tally:
    """A share with nothing special about it."""
    order, meter = rest.get("order", Order()), rest.get("meter", Meter())
    return await play_tasks(tasks, table, ledger, meter, order, notes or Notes(), concurrency=together)


@pytest.mark.parametrize("together", [1, 4, 50])
async def test_every_task_is_played_once_and_told(kettle: Path, ledger: Ledger, together: int) -> None:
    notes = Notes()
    tally = await play_share(ledger, Table.from_context(little.context(kettle)), notes=notes, together=together)
    assert (tally.played, tally.accepted, tally.not_needed, tally.stops) == (6, 6, 0, {"answered": 6})
    assert (tally.failures, tally.down, tally.paused, tally.lowest, tally.in_a_row) == ({}, None, None, None, 0)
    assert notes.told == [(1, 1, 0)] * 6 and not notes.stopped
    assert sorted(t.task_id for t in ledger.trajectories()) == sorted(task.id for task in TASKS)


async def test_what_the_ledger_has_is_not_played_again(kettle: Path, ledger: Ledger) -> None:
    table = Table.from_context(little.context(kettle))
    await play_share(ledger, table, TASKS[:4])
    notes = Notes()
    tally = await play_share(ledger, table, notes=notes)
    assert (tally.played, tally.not_needed) == (2, 0) and notes.total() == (2, 2, 0)
    again = await play_share(ledger, table, notes=(silent := Notes()))
    assert (again.played, silent.told) == (0, [])


async def test_an_episode_that_is_not_accepted_counts_as_played_alone(kettle: Path, ledger: Ledger) -> None:
    table = Table.from_context(little.context(kettle, board=Board(limits=Limits(steps=1))))
    tally = await play_share(ledger, table, TASKS[:2], notes=(notes := Notes()))
    assert (tally.played, tally.accepted, tally.stops) == (2, 0, {"limit:steps": 2})
    assert notes.told == [(1, 0, 0)] * 2


async def test_every_sample_is_an_episode_of_its_own(kettle: Path, ledger: Ledger) -> None:
    tally = await play_share(ledger, Table.from_context(little.context(kettle)), TASKS[:2], order=Order(samples=3))
    assert tally.played == 6
    assert Counter(t.sample for t in ledger.trajectories()) == {0: 2, 1: 2, 2: 2}
    assert len(ledger) == 6


async def test_a_task_with_enough_accepted_episodes_is_left_alone(kettle: Path, ledger: Ledger) -> None:
    table, notes = Table.from_context(little.context(kettle)), Notes()
    tally = await play_share(ledger, table, TASKS[:2], notes=notes, order=Order(samples=5, enough=2))
    assert (tally.played, tally.accepted, tally.not_needed) == (4, 4, 6)
    assert notes.total() == (4, 4, 6)
    assert Counter(t.sample for t in ledger.trajectories()) == {0: 2, 1: 2}
    more = await play_share(ledger, table, TASKS[:2], order=Order(samples=5, enough=3))
    assert (more.played, more.not_needed) == (2, 4)


async def test_episodes_that_are_not_accepted_are_not_enough(kettle: Path, ledger: Ledger) -> None:
    table = Table.from_context(little.context(kettle, board=Board(limits=Limits(steps=1))))
    tally = await play_share(ledger, table, TASKS[:1], order=Order(samples=3, enough=1))
    assert (tally.played, tally.not_needed) == (3, 0)


async def test_a_sign_to_stop_is_heeded_between_tasks(kettle: Path, ledger: Ledger) -> None:
    table = Table.from_context(little.context(kettle))
    assert (await play_share(ledger, table, notes=Notes(after=0))).played == 0
    stopped = await play_share(ledger, table, notes=Notes(after=2), together=1)
    assert (stopped.played, len(ledger), stopped.down, stopped.paused) == (2, 2, None, None)


async def test_a_budget_that_ends_pauses_the_share_and_the_next_one_goes_on(kettle: Path, ledger: Ledger) -> None:
    table, notes = Table.from_context(little.context(kettle)), Notes()
    first = await play_share(ledger, table, notes=notes, together=1, meter=Meter(Budget(tokens=1)))
    assert first.paused is not None and first.paused.startswith("tokens:")
    assert (first.played, notes.stopped, first.failures) == (0, True, {})
    begun = ledger.unfinished(table.key(TASKS[0]))
    assert begun is not None and "search" in begun
    assert sum(a.calls for a in ledger.accounts().values()) == 1
    rest = await play_share(ledger, table)
    assert (rest.played, rest.accepted, ledger.unfinished(table.key(TASKS[0]))) == (6, 6, None)
    assert sum(a.calls for a in ledger.accounts().values()) == 12, "the first turn was not paid for again"


async def test_a_budget_used_up_before_leaves_nothing_behind(kettle: Path, ledger: Ledger) -> None:
    table = Table.from_context(little.context(kettle))
    tally = await play_share(ledger, table, meter=Meter(Budget(usd=1.0), LocalSpendCounter(usd=2.0)))
    assert (tally.played, tally.paused) == (0, "usd: 2.00 of 1")
    assert ledger.unfinished(table.key(TASKS[0])) is None


async def test_what_calls_cost_is_written_down_with_each_episode(kettle: Path, ledger: Ledger) -> None:
    class Watching(Notes):
        def tell(self, played: int, accepted: int, not_needed: int) -> None:
            super().tell(played, accepted, not_needed)
            assert ledger.accounts()["reason"].calls >= 2 * len(self.told)

    await play_share(ledger, Table.from_context(little.context(kettle)), notes=Watching())
    every = list(ledger.trajectories())
    account = ledger.accounts()["reason"]
    assert account.calls == sum(t.usage.calls for t in every) == 12
    assert account.prompt == sum(t.usage.prompt for t in every) > 0


def at(kettle: Path, url: str) -> Table:
    """A table at an endpoint."""
    return Table.from_context(little.context(kettle, Seat(model=f"openai:m@{url}")))


@pytest.mark.parametrize(("status", "kind"), [(401, "auth"), (400, "request")])
async def test_a_failure_that_no_repetition_mends_stops_at_once(
    kettle: Path, ledger: Ledger, status: int, kind: str
) -> None:
    assert kind in HOPELESS

    def fault(number: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return status, {"error": {"message": "no"}}

    with serving(AnswerKey(tasks=tuple(TASKS)), fault=fault) as server:
        table, notes = at(kettle, server.url), Notes()
        tally = await play_share(ledger, table, notes=notes, together=1)
        assert len(server.seen) == 1
    assert tally.down is not None and (tally.down_kind, tally.failures, notes.stopped) == (kind, {kind: 1}, True)
    assert (tally.played, tally.in_a_row, len(ledger)) == (0, 1, 0)
    assert ledger.failures() == {table.key(TASKS[0]): f"provider:{kind}"}


async def test_episodes_that_failed_are_tried_once_more_at_the_end_and_stay_to_be_played(
    kettle: Path, ledger: Ledger
) -> None:
    """Nothing listens at port 9; some ten seconds, since every call is repeated four times."""
    table, notes = at(kettle, "http://127.0.0.1:9/v1"), Notes()
    playing = asyncio.create_task(play_share(ledger, table, TASKS[:2], notes=notes, together=5))
    while not playing.done() and not ledger.faults():
        await asyncio.sleep(0.05)
    assert not playing.done(), "faults are written down while it goes on: a kill costs no more than the last seconds"
    tally = await playing
    assert (tally.played, tally.failures, tally.in_a_row) == (0, {"refused": 2}, 4)
    assert (tally.down, tally.paused, notes.told, notes.stopped) == (None, None, [], False)
    assert ledger.failures() == dict.fromkeys((table.key(task) for task in TASKS[:2]), "provider:refused")
    assert ledger.faults()["refused"] >= 16


async def test_as_many_failures_in_a_row_as_there_are_in_flight_mean_that_the_endpoint_is_down(
    kettle: Path, ledger: Ledger
) -> None:
    """Some six seconds."""
    table, notes = at(kettle, "http://127.0.0.1:9/v1"), Notes()
    tally = await play_share(ledger, table, TASKS[:4], together=4, notes=notes)
    assert tally.down is not None and "127.0.0.1:9" in tally.down
    assert (tally.down_kind, tally.in_a_row, notes.stopped) == ("refused", 4, True)
    assert (tally.failures, len(ledger.failures())) == ({"refused": 1}, 4)


async def test_the_fewest_calls_in_flight_that_an_endpoint_allowed_are_told(kettle: Path, ledger: Ledger) -> None:
    def fault(number: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        return (429, {"error": {"message": "slowly"}}) if number == 1 else None

    seat = AnswerKey(tasks=tuple(TASKS))
    with serving(seat, fault=fault) as one, serving(seat) as two:
        team = [Seat(model=f"openai:{name}@{each.url}", concurrency=8) for name, each in (("a", one), ("b", two))]
        for player in team:
            tally = await play_share(ledger, Table.from_context(little.context(kettle, player)), TASKS[:1])
            assert (tally.played, tally.lowest) == (1, 1.0), "of all gates that there are"
    assert tally.failures == {}


async def test_a_mistake_in_the_program_comes_out_as_it_is(kettle: Path, ledger: Ledger) -> None:
    class Broken(Notes):
        def tell(self, played: int, accepted: int, not_needed: int) -> None:
            raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await play_share(ledger, Table.from_context(little.context(kettle)), notes=Broken())
    assert ledger.accounts()["reason"].calls > 0


def test_two_tallies_are_added_and_the_first_reason_to_stop_is_kept() -> None:
    one = Tally(played=3, accepted=2, not_needed=1, stops=Counter(answered=3), failures=Counter(cut=1), lowest=8.0)
    two = Tally(
        played=5, accepted=4, not_needed=6, stops=Counter(answered=4, loop=1), failures=Counter(cut=2, rate=1),
        down="it is down", down_kind="auth", paused="usd", lowest=2.0,
    )  # fmt: skip
    both = one.plus(two)
    assert (both.played, both.accepted, both.not_needed) == (8, 6, 7)
    assert both.stops == {"answered": 7, "loop": 1} and both.failures == {"cut": 3, "rate": 1}
    assert (both.down, both.down_kind, both.paused, both.lowest) == ("it is down", "auth", "usd", 10.0)
    other = two.plus(Tally(down="so is this", down_kind="quota", paused="tokens"))
    assert (other.down, other.down_kind, other.paused, other.lowest) == ("it is down", "auth", "usd", 2.0)
    nothing = Tally().plus(Tally())
    assert nothing == Tally() and (nothing.lowest, nothing.down_kind) == (None, "refused")
