"""What collecting says of itself: the summary, its one line, the progress bar, and why a run ended before its end."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections import Counter
from pathlib import Path
from typing import Any

import little
import pytest

from agents.bars import bars_shown
from agents.context import Board, Limits, Price, Seat
from agents.errors import PROVIDER_KINDS, BudgetError, ConfigError, ProviderError
from agents.models.meter import Budget, RunAccount
from graphs.episode import Table
from graphs.runner.collect import Collected, collect, now, stopped, ticking
from graphs.runner.ledger import Ledger
from graphs.runner.worker import SETTLE_SECONDS, Tally

TASKS = [task for task in little.tasks(little.library()) if task.split == "train"][:6]


def done(**changes: Any) -> Collected:
    """A summary of ten episodes, of which four were there before and five were played."""
    return Collected.model_validate({"wanted": 10, "known": 4, "played": 5, "accepted": 3} | changes)


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with Ledger(tmp_path / "l.sqlite") as opened:
        yield opened


def test_costs_of_all_roles_are_added_up_estimates_too() -> None:
    reason = RunAccount(prompt=100, completion=10, usd=0.5, estimated=2, estimated_prompt=7, estimated_completion=3)
    judge = RunAccount(prompt=20, completion=2, usd=0.25, estimated=1, estimated_prompt=1, estimated_usd=0.125)
    summary = done(accounts={"reason": reason, "judge": judge})
    assert (summary.tokens, summary.usd) == (143, 0.875)
    assert summary.estimated == (3, 11, 0.125)
    assert (done().tokens, done().usd, done().estimated) == (0, 0, (0, 0, 0))


def test_the_line_for_the_person_who_waits_says_only_what_there_is_to_say() -> None:
    assert done().summary() == "5 played, 4 known, 3 of the played accepted"
    assert done(labels={"accepted": 9}).summary() == done().summary()
    account = RunAccount(usd=1.239, estimated=3, estimated_prompt=1000, estimated_completion=500, estimated_usd=0.5)
    whole = done(
        not_needed=2,
        labels={"accepted": 5, "loop": 1, "wrong": 4},
        faults={"rate": 7, "cut": 1},
        accounts={"reason": account},
    )
    assert whole.summary() == (
        "5 played, 4 known, 3 of the played accepted; 2 not needed; wrong 4, loop 1; "
        "endpoint faults outlived: rate 7, cut 1; "
        "3 failed calls counted as billed, by estimate: 1,500 tokens and 0.50 USD at the most; 1.74 USD in all"
    )
    free = done(accounts={"reason": RunAccount(estimated=1, estimated_prompt=5)})
    assert free.summary().endswith("1 failed calls counted as billed, by estimate: 5 tokens at the most")


def test_what_is_still_to_be_played_is_told_by_kind_with_what_the_first_one_said() -> None:
    summary = done(failures={"refused": 2, "rate": 1}, causes={"refused": "is the server running?"})
    assert summary.failed() == [
        "  refused, 2 episodes: is the server running?",
        f"  rate, 1 episode: {PROVIDER_KINDS['rate']}",
    ]
    assert done().failed() == []


def test_a_run_that_came_to_its_end_raises_nothing() -> None:
    stopped(done(), Tally(failures=Counter(rate=1)), "collect")


@pytest.mark.parametrize(
    ("kind", "status", "why"),
    [
        ("refused", None, "the endpoint is down"),
        ("server", 500, "the endpoint is down"),
        ("auth", None, "the endpoint refuses the key"),
        ("auth", 401, "the endpoint refuses the key (401)"),
        ("request", 404, "the endpoint knows no such model or path (404)"),
        ("request", 400, "the endpoint refuses the request (400)"),
        ("quota", 402, "the endpoint asks for payment (402)"),
        ("quota", 429, "the account's quota is used up (429)"),
        ("rate", 429, "the endpoint takes no more requests (429)"),
        ("garbage", 200, "what the endpoint answers is no chat completion (200)"),
    ],
)
def test_an_endpoint_that_ended_the_run_is_named_by_what_it_did(kind: str, status: int | None, why: str) -> None:
    tally = Tally(down="it said no", down_kind=kind, down_status=status)
    with pytest.raises(ProviderError) as caught:
        stopped(done(not_needed=1, wanted=12), tally, "evaluate")
    assert str(caught.value) == (
        f"evaluate stopped: {why}. 5 episodes recorded, 2 left: it said no. "
        "Then run the same command again to continue."
    )
    assert (caught.value.kind, caught.value.status) == (kind, status)


def test_a_budget_that_is_used_up_says_what_to_raise() -> None:
    with pytest.raises(BudgetError) as caught:
        stopped(done(), Tally(paused="tokens: 5 of 5"), "collect")
    assert str(caught.value) == (
        "collect paused: the budget is used up (tokens: 5 of 5). 5 episodes recorded, 1 left; "
        "raise it in [budget] and run the same command again to continue."
    )


async def test_the_summary_of_a_run(kettle: Path, ledger: Ledger) -> None:
    table, told = Table.from_context(little.context(kettle)), list[Collected]()
    first = await collect(TASKS[:2], table, ledger)
    again = await collect(TASKS, table, ledger, samples=3, enough=2, on_summary=told.append)
    assert (first.wanted, first.known, first.played, first.accepted, first.not_needed) == (2, 0, 2, 2, 0)
    assert (again.wanted, again.known, again.played, again.not_needed) == (18, 2, 10, 6)
    assert told == [again]
    assert again.labels == {"accepted": 12} and again.stops == {"answered": 10}
    assert (again.failures, again.causes, again.faults, again.lowest_in_flight) == ({}, {}, {}, None)
    assert again.accounts == ledger.accounts() and again.accounts["reason"].calls == 24
    assert 0 <= again.seconds <= 60 and again.seconds == round(ledger.seconds(), 1)


async def test_labels_are_of_what_was_asked_for_and_the_most_frequent_comes_first(
    kettle: Path, ledger: Ledger, tmp_path: Path
) -> None:
    await collect(TASKS, Table.from_context(little.context(kettle, board=Board(limits=Limits(steps=1)))), ledger)
    player = little.seat(tmp_path, [{"reply": f"I recall it.\nAnswer: {TASKS[0].gold}"}])
    found = await collect(TASKS, Table.from_context(little.context(kettle, player, mode="cot")), ledger)
    assert list(found.labels.items()) == [("wrong", 5), ("accepted", 1)] and found.known == 0


async def test_wall_time_is_written_down_as_it_passes_and_the_rest_at_the_end(ledger: Ledger) -> None:
    begun = time.monotonic()
    clock = asyncio.create_task(ticking(ledger))
    await asyncio.sleep(0.3)
    assert ledger.seconds() == 0.0, f"only every {SETTLE_SECONDS} s"
    clock.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await clock
    assert 0.3 <= ledger.seconds() <= time.monotonic() - begun
    clock = asyncio.create_task(ticking(ledger))
    before = ledger.seconds()
    while ledger.seconds() == before:
        await asyncio.sleep(0.05)
    assert ledger.seconds() - before == pytest.approx(SETTLE_SECONDS, abs=2.0)
    clock.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await clock
    assert ledger.seconds() <= time.monotonic() - begun


async def test_earlier_starts_count_against_the_budget(kettle: Path, ledger: Ledger) -> None:
    table = Table.from_context(little.context(kettle))
    first = await collect(TASKS[:2], table, ledger)
    with pytest.raises(BudgetError, match=rf"tokens: {first.tokens} of {first.tokens}\). 0 episodes recorded, 4 left"):
        await collect(TASKS, table, ledger, budget=Budget(tokens=first.tokens))
    kept = await collect(TASKS, table, ledger, budget=Budget(tokens=10 * first.tokens))
    assert (kept.known, kept.played) == (2, 4)


async def test_the_summary_is_told_of_a_run_that_is_stopped_too(kettle: Path, ledger: Ledger) -> None:
    told: list[Collected] = []
    table = Table.from_context(little.context(kettle))
    with pytest.raises(BudgetError, match="^judging paused"):
        await collect(
            TASKS, table, ledger, budget=Budget(tokens=1), title="judging", on_summary=told.append, concurrency=1
        )
    (summary,) = told
    assert (summary.played, summary.wanted) == (0, 6) and summary.accounts["reason"].calls == 1


async def test_seats_and_budgets_that_cannot_work_are_refused_before_anything_is_played(
    kettle: Path, ledger: Ledger
) -> None:
    here = Table.from_context(little.context(kettle, Seat(model="vllm:some-folder")))
    with pytest.raises(ConfigError, match=r"seat 'vllm:some-folder' lives in this process .* workers = 1 \(given: 3\)"):
        await collect(TASKS, here, ledger, workers=3)
    remote = Table.from_context(little.context(kettle, Seat(model="openai:m@http://127.0.0.1:9/v1")))
    with pytest.raises(ConfigError, match="has no price"):
        await collect(TASKS, remote, ledger, budget=Budget(usd=1.0))
    priced = Seat(model="openai:m@http://127.0.0.1:9/v1", price=Price(prompt=1, completion=1))
    assert (
        await collect([], Table.from_context(little.context(kettle, priced)), ledger, budget=Budget(usd=1.0))
    ).wanted == 0
    assert len(ledger) == 0


class Terminal(io.StringIO):
    """A terminal to write on."""

    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_and_nowhere_else(kettle: Path, tmp_path: Path) -> None:
    """A library that is called from a terminal draws nothing."""
    table = Table.from_context(little.context(kettle))
    cases = ((Terminal(), bars_shown(), True), (io.StringIO(), bars_shown(), False))
    for number, (stream, command, shown) in enumerate([*cases, (Terminal(), contextlib.nullcontext(), False)]):
        with command, contextlib.redirect_stderr(stream), Ledger(tmp_path / f"{number}.sqlite") as ledger:
            now(collect(TASKS[:2], table, ledger))
            now(collect(TASKS, table, ledger, samples=2, enough=1, title="playing"))
        lines = stream.getvalue().replace("\r", "\n").splitlines()
        assert any("playing" in line and "12/12" in line and "accepted=100%" in line for line in lines) is shown
        assert any("collect" in line and "2/2" in line for line in lines) is shown
        assert any("playing" in line and "2/12" in line for line in lines) is shown, (
            "what is known counts from the start"
        )
        assert bool(lines) is shown
