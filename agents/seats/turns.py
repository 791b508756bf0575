"""One reply after the other: an episode that got its reply goes on until it has sent its next request, then another.

An event loop works breadth-first: when a wave of replies comes in, all are read, then all are parsed, then all their
episodes go on, and the first next request leaves when the CPU of the whole wave is spent. With an endpoint of constant
latency the waves never dissolve, and every round takes the latency plus the wave (benchmarks/README.md: 256 calls in
flight came to 0.66 of the ideal rate). Here a reply waits for its turn, so that the first request leaves first.

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

TURN_SECONDS = 0.025
"""Some five times what an episode computes between two calls."""


class Turnstile:
    """Lets one slot at a time go on; belongs to one event loop."""

    def __init__(self) -> None:
        self._holder: object | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[tuple[object, asyncio.Future[None]]] = deque()

    async def take(self, slot: object) -> None:
        """Wait for a turn."""
        if self._holder is None or self._holder is slot:
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
        if self._holder is not slot:
            return
        self._holder = None
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting and self._holder is None:
            following, ticket = self._waiting.popleft()
            if not ticket.done():
                self._grant(following)
                ticket.set_result(None)

    def _grant(self, slot: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._holder = slot
        self._timer = asyncio.get_running_loop().call_later(TURN_SECONDS, self.give, slot)


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
