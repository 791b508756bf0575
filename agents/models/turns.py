"""One reply after the other: an episode that got its reply goes on until it has sent its next request, then another.

An event loop works breadth-first: when a wave of replies comes in, all are read, then all are parsed, then all their
episodes go on, and the first next request leaves when the CPU of the whole wave is spent. With an endpoint of constant
latency the waves never dissolve, and every round takes the latency plus the wave (benchmarks/README.md: 256 calls in
flight came to 0.32 of the ideal rate). Here a reply waits for its turn, so that the first request leaves first.

A turn ends with the episode's next request, or after `TURN_SECONDS` where the episode waits for something else. It is
an order of work and nothing more: without a slot there are no turns.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakKeyDictionary

AT_ONCE = 8
"""Slots that go on side by side: with one alone each of its steps costs a round of the event loop (one process came to
0.84 of the ideal rate at 256 in flight, and to 0.92 with eight)."""
TURN_SECONDS = 0.1
"""Some four times what eight episodes compute between two calls."""


class Turnstile:
    """Lets `AT_ONCE` slots at a time go on; belongs to one event loop."""

    def __init__(self) -> None:
        self._turns: dict[object, asyncio.TimerHandle] = {}
        self._waiting: deque[tuple[object, asyncio.Future[None]]] = deque()

    async def take(self, slot: object) -> None:
        """Wait for a turn; one that the slot has begins anew."""
        if slot in self._turns or len(self._turns) < AT_ONCE:
            self._grant(slot)
            return
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((slot, ticket))
        try:
            await ticket
        except asyncio.CancelledError:
            self.give(slot)
            raise

    def give(self, slot: object) -> None:
        """End the slot's turn, if it has one."""
        timer = self._turns.pop(slot, None)
        if timer is None:
            return
        timer.cancel()
        while self._waiting and len(self._turns) < AT_ONCE:
            following, ticket = self._waiting.popleft()
            if not ticket.done():
                self._grant(following)
                ticket.set_result(None)

    def _grant(self, slot: object) -> None:
        if slot in self._turns:
            self._turns[slot].cancel()
        self._turns[slot] = asyncio.get_running_loop().call_later(TURN_SECONDS, self.give, slot)


_slot: ContextVar[object | None] = ContextVar("retort_slot", default=None)
_turnstiles: WeakKeyDictionary[asyncio.AbstractEventLoop, Turnstile] = WeakKeyDictionary()


@contextmanager
def in_turns() -> Iterator[None]:
    """What is awaited within, in tasks started within too, takes turns with other such blocks of the event loop."""
    slot = object()
    token = _slot.set(slot)
    try:
        yield
    finally:
        _slot.reset(token)
        turnstile().give(slot)


def turnstile() -> Turnstile:
    """The running event loop's."""
    return _turnstiles.setdefault(asyncio.get_running_loop(), Turnstile())


async def my_turn() -> None:
    """Wait for this block's turn; outside of one there is nothing to wait for."""
    slot = _slot.get()
    if slot is not None:
        await turnstile().take(slot)


def turn_over() -> None:
    """This block waits for something now: let another go on."""
    slot = _slot.get()
    if slot is not None:
        turnstile().give(slot)
