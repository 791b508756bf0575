"""The runner against endpoints that break: nothing lost, nothing of a fault kept, all counted; and the budget."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import little
import pytest
from hostile_server import MARK, hostile
from openai_server import serving

from agents.context import Limits, Price, Seat
from agents.errors import BudgetError
from agents.models.meter import Budget
from agents.models.scripted import AnswerKey
from agents.task import Task
from distill.keep import sort_ledger
from graphs.episode import Table
from graphs.runner.collect import collect, now
from graphs.runner.ledger import Ledger

TASKS = 300
COUNTED = {
    "rate": ("rate", "rate_after"),
    "server": ("server",),
    "cut": ("cut",),
    "garbage": ("garbage",),
    "timeout": ("stall",),
    "malformed_call": ("malformed_call",),
    "duplicate_call": ("duplicate_call",),
    "empty": ("empty",),
}
"""Class in the run summary -> what the server did."""


@pytest.fixture(scope="module")
def many() -> list[Task]:
    """300 training tasks."""
    return little.lookups(little.library(), TASKS)


def test_300_tasks_at_a_hostile_endpoint(kettle: Path, tmp_path: Path, many: list[Task]) -> None:
    """Must show 1: 30 % of calls break; all is played, no fault's words are kept, each fault counted by class."""
    with hostile(AnswerKey(tasks=tuple(many)), rate=0.3) as server, Ledger(tmp_path / "l.sqlite") as ledger:
        seat = Seat(model=f"openai:m@{server.url}", timeout=1.0)
        table = Table.from_context(little.context(kettle, seat, verify="revise"))
        done = now(collect(many, table, ledger, concurrency=32))
        every = list(ledger.trajectories())
        assert (done.played, len(every), done.failures, ledger.failures()) == (TASKS, TASKS, {}, {})
        assert {t.task_id for t in every} == {task.id for task in many}
        broken: Counter[str] = server.broken
    assert set(broken) == {kind for kinds in COUNTED.values() for kind in kinds}, "every kind of fault happened"
    assert 0.2 < sum(broken.values()) / server.calls < 0.4
    counted = {name: sum(broken[kind] for kind in kinds) for name, kinds in COUNTED.items()}
    assert done.faults == counted
    result = sort_ledger({task.id: task for task in many}, every)
    assert len(result.kept) + len(result.dropped) == TASKS
    assert len(result.kept) > TASKS * 0.8
    for trajectory in result.kept:
        assert MARK not in trajectory.to_json()
        assert trajectory.verdict.correct
    assert done.lowest_in_flight is not None
    assert done.lowest_in_flight < 32, "429 halved what may be in flight"


def budgeted(kettle: Path, url: str, **limits: float) -> Table:
    """A table whose seat costs 1 USD a million prompt tokens, 10 a million reply tokens."""
    seat = Seat(model=f"openai:m@{url}", price=Price(prompt=1.0, completion=10.0))
    return Table.from_context(little.context(kettle, seat, verify="revise"))


@pytest.mark.parametrize("budget", [Budget(tokens=3000), Budget(usd=0.0075)])
def test_a_budget_stops_within_one_batch_of_calls_and_goes_on(
    kettle: Path, tmp_path: Path, many: list[Task], budget: Budget
) -> None:
    """Must show 4. The server counts 50 + 10 tokens a call: 50 calls are 3,000 tokens or 0.0075 USD."""
    tasks, together = many[:60], 8
    with serving(AnswerKey(tasks=tuple(tasks)), delay=0.01) as server, Ledger(tmp_path / "l.sqlite") as ledger:
        table = budgeted(kettle, server.url)
        with pytest.raises(BudgetError, match=r"the budget is used up \((tokens|usd): .* raise it in \[budget\]"):
            now(collect(tasks, table, ledger, concurrency=together, budget=budget))
        calls = len(server.seen)
        assert 50 <= calls <= 50 + together
        spent = ledger.accounts()["reason"]
        assert (spent.calls, spent.prompt + spent.completion) == (calls, 60 * calls)
        before = len(ledger)
        assert 0 < before < 60
        with pytest.raises(BudgetError):  # no token more while it is used up
            now(collect(tasks, table, ledger, concurrency=together, budget=budget))
        assert len(server.seen) == calls
        done = now(collect(tasks, table, ledger, concurrency=together, budget=Budget(tokens=10**6)))
        assert (done.known, done.played, len(ledger)) == (before, 60 - before, 60)
        assert len(server.seen) == 120, "what was begun went on where it was: two calls a task over both starts"
        assert done.usd == pytest.approx(120 * (50 * 1.0 + 10 * 10.0) / 1e6)
        assert all(t.verdict.accepted and len(t.searches) == 1 for t in ledger.trajectories())


def test_sampling_stops_when_enough_are_accepted(kettle: Path, tmp_path: Path, many: list[Task]) -> None:
    tasks = many[:10]
    with serving(AnswerKey(tasks=tuple(tasks))) as server, Ledger(tmp_path / "l.sqlite") as ledger:
        table = budgeted(kettle, server.url)
        done = now(collect(tasks, table, ledger, samples=4, enough=2))
        assert (done.wanted, done.played, done.not_needed, len(ledger)) == (40, 20, 20, 20)
        again = now(collect(tasks, table, ledger, samples=4, enough=3))
        assert (again.known, again.played, again.not_needed) == (20, 10, 10)
        kept = sort_ledger({task.id: task for task in tasks}, ledger.trajectories()).kept
        assert {t.agreement for t in kept} == {1.0}


def test_waiting_for_an_endpoint_is_not_the_players_time(kettle: Path, tmp_path: Path, many: list[Task]) -> None:
    """Two seconds an episode, and an endpoint that stalls most calls for one: no episode ends at limit:seconds."""
    with hostile(AnswerKey(tasks=tuple(many[:6])), rate=0.6, seed=5) as server, Ledger(tmp_path / "l.sqlite") as ledger:
        seat = Seat(model=f"openai:m@{server.url}", timeout=0.5)
        context = little.context(kettle, seat)
        board = context.board.model_copy(update={"limits": Limits(seconds=1.0)})
        done = now(collect(many[:6], Table.from_context(context.model_copy(update={"board": board})), ledger))
    assert "limit:seconds" not in done.stops
    assert done.played == 6


def test_workers_share_one_ledger(kettle: Path, tmp_path: Path, many: list[Task]) -> None:
    tasks = many[:40]
    with serving(AnswerKey(tasks=tuple(tasks)), delay=0.02) as server, Ledger(tmp_path / "l.sqlite") as ledger:
        table = budgeted(kettle, server.url)
        with pytest.raises(BudgetError, match=r"tokens: .* of 1200"):
            now(collect(tasks, table, ledger, concurrency=4, workers=2, budget=Budget(tokens=1200)))
        assert 20 <= len(server.seen) <= 24
        done = now(collect(tasks, table, ledger, concurrency=4, workers=2))
        assert (done.known + done.played, len(ledger), len(server.seen)) == (40, 40, 80)
        assert server.most_in_flight <= 4
        assert ledger.accounts()["reason"].calls == 80
