"""What failed calls may be billed: estimated on the meter, the ledger and the budget, and marked as estimates."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import little
import pytest
import silence
from langchain_core.messages import AIMessage, HumanMessage
from openai_server import Server, serving

from agents.context import Price, Seat
from agents.errors import BudgetError, ProviderError
from agents.models.desk import call
from agents.models.estimate import prompt_tokens
from agents.models.meter import Budget, Meter, RunAccount, metered
from agents.models.scripted import AnswerKey, LineScript
from agents.task import Task
from agents.tools import SEARCH
from graphs.episode import Table
from graphs.runner.collect import Collected, collect, now
from graphs.runner.ledger import Ledger
from retort.cli import main
from retort.pilot import forecast_part

HERE = Path(__file__).resolve().parent
PROGRAM = """
import signal, sys; sys.path.insert(0, sys.argv[5])
from pathlib import Path
import little
from agents.context import Seat
from graphs.runner.collect import collect, now
from graphs.runner.ledger import Ledger
from graphs.episode import Table
signal.signal(signal.SIGINT, signal.default_int_handler)
table = Table.from_context(little.context(Path(sys.argv[1]), Seat(model="openai:m@" + sys.argv[3])))
with Ledger(Path(sys.argv[2])) as ledger:
    now(collect(little.lookups(little.library(), 40), table, ledger, concurrency=4, workers=int(sys.argv[4])))
"""
PRICE = Price(prompt=1.0, completion=10.0)
ASKED = [HumanMessage("How long does the kettle take?" * 10)]


def seated(server: Server, **changes: Any) -> Seat:
    """A seat with a price at a server."""
    values: dict[str, Any] = {"model": f"openai:m@{server.url}", "price": PRICE, "max_tokens": 100, "timeout": 0.3}
    return Seat.model_validate(values | changes)


async def spent_on(fault: object, seconds: float | None = None) -> tuple[RunAccount, Meter]:
    """What one call of an endpoint with a fault puts on the meter."""
    meter = Meter()
    with serving(LineScript(rows=[]), fault=lambda number, body: fault) as server, metered(meter):
        with pytest.raises((ProviderError, TimeoutError)):
            await call(seated(server), "reason", ASKED, tools=(SEARCH,), seconds=seconds)
        tokens, usd = meter.spend_counter.totals()
        accounts, _ = meter.unsettled()
        account = accounts["reason"]
        assert (account.tokens, account.money) == (tokens, usd), "the budget sees what the account sees"
    return account, meter


@pytest.mark.parametrize("fault", ["stall", "cut", (500, {}), (504, {}), (200, {"choices": None}), (200, [])])
async def test_a_call_that_may_be_billed_is_estimated(fault: object) -> None:
    account, _ = await spent_on(fault)
    assert (account.calls, account.prompt, account.completion, account.usd) == (0, 0, 0, 0.0), "nothing was answered"
    assert (account.failed, account.estimated) == (1, 1)
    sent = len(str(ASKED[0].content)) + len(json.dumps([SEARCH]))
    assert account.estimated_prompt == pytest.approx(sent / 4, abs=2)
    assert account.estimated_completion == 100
    assert account.estimated_usd == pytest.approx((account.estimated_prompt + 10 * 100) / 1e6)


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 503])
async def test_a_call_that_was_turned_away_is_not(status: int) -> None:
    account, _ = await spent_on((status, {"error": {"message": "no"}}))
    assert (account.failed, account.estimated, account.tokens, account.money) == (1, 0, 0, 0.0)


async def test_no_connection_is_no_call() -> None:
    meter = Meter()
    with metered(meter), pytest.raises(ProviderError):
        await call(Seat(model="openai:m@http://127.0.0.1:9/v1"), "reason", ASKED)
    assert meter.unsettled() == ({}, {"refused": 1})


async def test_the_episodes_own_deadline_and_a_cancelled_call_are_billed_too() -> None:
    account, meter = await spent_on("stall", seconds=0.1)
    assert account.estimated == 1
    with serving(LineScript(rows=[]), fault=lambda number, body: "stall") as server, metered(meter):
        task = asyncio.create_task(call(seated(server, timeout=30), "judge", ASKED))
        while not server.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    accounts, faults = meter.unsettled()
    assert (accounts["judge"].estimated, faults) == (1, {})


def test_everything_that_is_sent_is_estimated() -> None:
    call_made = {"name": "search", "args": {"query": "x" * 400}, "id": "1"}
    turn = AIMessage("y" * 400, tool_calls=[call_made], additional_kwargs={"reasoning_content": "z" * 400})
    assert 300 <= prompt_tokens([turn]) <= 320
    assert prompt_tokens([turn], [SEARCH], {"extra_body": {"response_format": "f" * 400}}) >= 400 + 20
    assert prompt_tokens([HumanMessage("水" * 400)]) == 300, "a script of short tokens"


@pytest.fixture(scope="module")
def some() -> list[Task]:
    """40 training tasks."""
    return little.lookups(little.library(), 40)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_budget_ends_at_an_endpoint_that_breaks_off_every_other_reply(
    kettle: Path, tmp_path: Path, some: list[Task], workers: int
) -> None:
    """Without the estimate the money would be twice what was allowed before the run stops."""

    def fault(number: int, body: dict[str, Any]) -> str | None:
        return "cut" if number % 2 else None

    budget = Budget(usd=0.02)
    with serving(AnswerKey(tasks=tuple(some)), fault=fault) as server, Ledger(tmp_path / "l.sqlite") as ledger:
        table = Table.from_context(little.context(kettle, seated(server, timeout=5)))
        with pytest.raises(BudgetError, match=r"usd: 0\.02 of 0\.02"):
            now(collect(some, table, ledger, concurrency=4, budget=budget, workers=workers))
        account = ledger.accounts()["reason"]
        assert account.calls + account.failed == len(server.seen), "each call that was sent stands in the ledger"
        assert account.failed == account.estimated == ledger.faults()["cut"]
        assert account.estimated_usd > account.usd, "a broken reply is taken to be as long as it may be"
        assert 0.02 <= account.money < 0.02 + 8 * (account.money / len(server.seen)) * 2
        calls = len(server.seen)
        with pytest.raises(BudgetError):  # by the ledger: the next start knows what failed calls cost
            now(collect(some, table, ledger, concurrency=4, budget=budget))
        assert len(server.seen) == calls


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_in_flight_at_control_c_is_written_down(
    kettle: Path, tmp_path: Path, some: list[Task], workers: int
) -> None:
    with serving(AnswerKey(tasks=tuple(some)), fault=lambda number, body: "stall") as server:
        path = tmp_path / "l.sqlite"
        command = [sys.executable, "-c", PROGRAM, str(kettle), str(path), server.url, str(workers), str(HERE)]
        environment = {**os.environ, "PYTHONPATH": silence.path(HERE.parent, HERE)}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while len(server.seen) < 4 and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert len(server.seen) == 4, said
        with Ledger(path) as ledger:
            account = ledger.accounts()["reason"]
        assert (account.calls, account.failed, account.estimated) == (0, 4, 4)


def test_estimates_are_said_as_estimates() -> None:
    account = RunAccount(
        calls=3, prompt=100, completion=10, usd=0.5, failed=3, estimated=2, estimated_prompt=2000, estimated_usd=0.25
    )
    done = Collected(wanted=1, known=0, played=1, accepted=1, accounts={"reason": account})
    assert (done.tokens, done.usd) == (2110, 0.75)
    assert "2 failed calls counted as billed, by estimate: 2,000 tokens and 0.25 USD at the most" in done.summary()
    assert done.summary().endswith("0.75 USD in all")


def test_a_pilot_counts_what_was_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third reply breaks off: the forecast holds the calls that were sent, and what they may be billed."""
    monkeypatch.chdir(tmp_path)

    def fault(number: int, body: dict[str, Any]) -> str | None:
        return None if number % 3 else "cut"

    with serving(AnswerKey(tasks=()), fault=fault) as server:
        path = tmp_path / "run.toml"
        seat = f'{{ model = "openai:m@{server.url}", price = {{ prompt = 1.0, completion = 10.0 }}, max_tokens = 100 }}'
        little.write_microdomain(tmp_path)
        text = f'name = "k"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n[teams.teacher]\nreason = {seat}\n'
        path.write_text(text + "[exam]\ntrain = 60\ntest = 20\n[collect]\nchoice = 0\n")
        for stage in ("index", "exam"):
            assert main([stage, str(path)]) == 0
        assert main(["plan", str(path), "--pilot", "10"]) == 0
        said = capsys.readouterr().out
        sent = len(server.seen)
    rows = {line.split("  ")[1]: line.split() for line in said.splitlines() if line.startswith("  ")}
    with Ledger(tmp_path / "runs" / "k" / "ledger.sqlite") as ledger:
        account = ledger.accounts()["reason"]
        assert account.failed == sent // 3
        assert rows["calls"][1] == f"{sent:,}"
        assert rows["prompt tokens"][2] == f"{account.prompt + account.estimated_prompt:,}"
        assert float(rows["usd"][1]) == pytest.approx(account.money, abs=0.006)
    assert (
        f"of {sent} calls sent so far {sent // 3} failed (cut {sent // 3}); {sent // 3} of these may be billed" in said
    )


def test_a_pilot_of_which_nothing_came_says_so() -> None:
    assert forecast_part("react", [], 60, 4, {}).lines() == [
        "  pilot react: no task of 60 could be played to its end, so that nothing can be forecast"
    ]
