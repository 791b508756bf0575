"""The gate before an endpoint: how many calls may be in flight there, found by trying.

Additive increase, multiplicative decrease, as TCP does it (Chiu and Jain 1989): every call that succeeds at a full gate
adds 1 / limit, a 429 or 503 halves the limit, at most once a second so that one burst of refusals counts once. While a
`Retry-After` runs, nobody is let through.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

CUT_SECONDS = 1.0
"""Refusals within this time of a cut belong to the same overload."""


class Gate:
    """One endpoint's gate; belongs to one event loop.

    Attributes:
        limit: calls that may be in flight now, a float so that it can grow by fractions.
        in_flight: calls in flight now.
        lowest: the lowest limit there was.
    """

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.limit = float(ceiling)
        self.lowest = float(ceiling)
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed_until = 0.0
        self._cut_at = float("-inf")

    @property
    def room(self) -> float:
        """Calls that may still be sent now; negative while the gate is closed."""
        if time.monotonic() < self._closed_until:
            return float("-inf")
        return self.limit - self.in_flight - len(self._waiting)

    async def enter(self) -> None:
        """Wait for room. Each `enter` must be followed by one `leave`."""
        if self._waiting or not self._open():
            ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(ticket)
            self._wake()
            try:
                await ticket
            except asyncio.CancelledError:
                if ticket.done() and not ticket.cancelled():  # let in and cancelled at once: the place goes on
                    self.leave()
                elif ticket in self._waiting:
                    self._waiting.remove(ticket)
                raise
        else:
            self.in_flight += 1

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._wake()

    def succeeded(self) -> None:
        """A call succeeded: where the gate was full, let a little more through."""
        if self.limit < self.ceiling and self.in_flight >= int(self.limit):
            self.limit = min(float(self.ceiling), self.limit + 1.0 / self.limit)

    def refused(self, retry_after: float | None) -> None:
        """The endpoint has too much to do."""
        now = time.monotonic()
        if now - self._cut_at >= CUT_SECONDS:
            self._cut_at = now
            # Of what is really in flight: halving a ceiling that was never reached would change nothing.
            self.limit = max(1.0, min(self.limit, float(self.in_flight)) / 2)
            self.lowest = min(self.lowest, self.limit)
        if retry_after:
            self.close(retry_after)

    def close(self, seconds: float) -> None:
        """Let nobody through for `seconds`."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)
        asyncio.get_running_loop().call_later(seconds + 0.001, self._wake)

    def _open(self) -> bool:
        return self.in_flight < int(self.limit) and time.monotonic() >= self._closed_until

    def _wake(self) -> None:
        while self._waiting and self._open():
            ticket = self._waiting.popleft()
            if not ticket.done():
                self.in_flight += 1
                ticket.set_result(None)
