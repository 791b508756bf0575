"""The gate before an endpoint: halving, growing, keeping away; and the meter with its budget."""

from __future__ import annotations

import asyncio
import time

import pytest

from agents.models.gate import Gate
from agents.models.meter import Budget, LocalSpendCounter, Meter, current_meter, metered
from agents.models.turns import AT_ONCE, TURN_SECONDS, Turnstile
from agents.spent import Spent


def row(prompt: int = 100, completion: int = 20, usd: float = 0.01) -> Spent:
    """One call on the account of the reason seat."""
    return Spent(role="reason", prompt=prompt, completion=completion, cached=0, usd=usd, seconds=1.0)


async def test_a_full_gate_lets_nobody_through_until_one_leaves() -> None:
    gate = Gate(2)
    await gate.enter()
    await gate.enter()
    third = asyncio.create_task(gate.enter())
    await asyncio.sleep(0.01)
    assert (gate.in_flight, third.done()) == (2, False)
    gate.leave()
    await asyncio.wait_for(third, 1)
    assert gate.in_flight == 2


async def test_refusals_of_one_burst_halve_once_and_successes_grow_by_one_a_round() -> None:
    gate = Gate(16)
    for _ in range(16):
        await gate.enter()
    for _ in range(10):
        gate.refused(None)
    assert (gate.limit, gate.lowest) == (8.0, 8.0)
    for _ in range(8):  # one round of eight successes at a full gate adds about one
        gate.succeeded()
    assert 8.9 < gate.limit < 9.0
    for _ in range(1000):
        gate.succeeded()
    assert gate.limit == 16.0, "never above its ceiling"


async def test_halving_starts_from_what_is_in_flight() -> None:
    gate = Gate(1024)
    for _ in range(10):
        await gate.enter()
    gate.refused(None)
    assert gate.limit == 5.0


async def test_a_gate_goes_down_to_one_and_no_further() -> None:
    gate = Gate(1)
    await gate.enter()
    gate.refused(None)
    gate.leave()
    await asyncio.wait_for(gate.enter(), 1)
    assert gate.limit == 1.0


async def test_retry_after_keeps_everybody_away_as_long_as_it_says() -> None:
    gate = Gate(4)
    await gate.enter()
    gate.refused(0.2)
    gate.leave()
    assert gate.room == float("-inf")
    begun = time.monotonic()
    await asyncio.wait_for(gate.enter(), 2)
    assert 0.19 < time.monotonic() - begun < 1.0


async def test_a_cancelled_waiter_takes_no_place() -> None:
    gate = Gate(1)
    await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    gate.leave()  # the place is given to the waiter, which is cancelled before it wakes
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(gate.enter(), 1)
    assert gate.in_flight == 1


@pytest.mark.parametrize(
    ("budget", "said"),
    [(Budget(tokens=240), "tokens: 240 of 240"), (Budget(usd=0.02), "usd: 0.02 of 0.02"), (Budget(), None)],
)
def test_a_budget_is_used_up_by_calls_of_this_run_and_of_earlier_ones(budget: Budget, said: str | None) -> None:
    meter = Meter(budget, LocalSpendCounter(tokens=120, usd=0.01))
    assert meter.used_up() is None
    meter.paid(row())
    assert meter.used_up() == said


def test_hours_count_over_all_starts() -> None:
    assert Meter(Budget(hours=1.0), seconds=3500).used_up() is None
    assert Meter(Budget(hours=1.0), seconds=3601).used_up() == "hours: 1.00 of 1"


def test_what_is_settled_is_not_settled_again() -> None:
    meter = Meter()
    meter.paid(row())
    meter.paid(row(prompt=1))
    meter.fault("rate")
    accounts, faults = meter.unsettled()
    assert accounts["reason"].calls == 2
    assert accounts["reason"].prompt == 101
    assert faults == {"rate": 1}
    assert meter.unsettled() == ({}, {})


async def test_tasks_started_within_find_the_meter() -> None:
    meter = Meter()

    async def look() -> Meter | None:
        return current_meter()

    with metered(meter):
        assert await asyncio.create_task(look()) is meter
    assert await asyncio.create_task(look()) is None


async def test_replies_take_turns_and_a_turn_that_waits_ends() -> None:
    """One more slot than turns: it goes on when another sends its next request, or when a turn has run out."""
    stile = Turnstile()
    slots = [object() for _ in range(AT_ONCE + 2)]
    for slot in slots[:AT_ONCE]:
        await asyncio.wait_for(stile.take(slot), 1)
    waiting = [asyncio.create_task(stile.take(slot)) for slot in slots[AT_ONCE:]]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)
    stile.give(slots[0])
    await asyncio.wait_for(waiting[0], 1)
    assert not waiting[1].done()
    begun = time.monotonic()
    await asyncio.wait_for(waiting[1], 2)
    assert TURN_SECONDS * 0.5 < time.monotonic() - begun < 1.0, "nobody waits for one who waits for something else"


async def test_a_cancelled_slot_holds_nobody_up() -> None:
    stile = Turnstile()
    for _ in range(AT_ONCE):
        await stile.take(object())
    gone, last = object(), object()
    cancelled = asyncio.create_task(stile.take(gone))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await asyncio.wait_for(stile.take(last), 2)
