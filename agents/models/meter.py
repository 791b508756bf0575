"""The meter: what model calls cost by role, which faults endpoints made by class, and whether the budget is used up.

A run lays its meter into the context of its tasks (`metered`); the desk finds it there. Without one nothing is counted.
Calls that failed after they were sent may be billed all the same: an upper estimate of them counts against the budget,
in counters of its own.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field

from ..spent import Spent


class Budget(BaseModel):
    """[budget]: what the collecting and the evaluating of a run may each spend, over all their starts; None = any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: float | None = Field(None, gt=0)
    """By the seats' prices, failed calls that may be billed included."""
    tokens: int | None = Field(None, ge=1)
    """Prompt and completion tokens over all roles, estimated ones of failed calls included."""
    hours: float | None = Field(None, gt=0)
    """Wall time."""


class OutOfBudget(Exception):
    """No call is made any more: the budget is used up. Not an error: the episode pauses and goes on later."""


class Account(BaseModel):
    """What calls have cost: those of one role in an episode or over a run, or those of the doctor."""

    model_config = ConfigDict(frozen=True)

    calls: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    """In calls that succeeded."""

    def plus(self, row: Spent) -> Self:
        """The account with one more call on it."""
        return self.model_copy(
            update={
                "calls": self.calls + 1,
                "prompt": self.prompt + row["prompt"],
                "completion": self.completion + row["completion"],
                "cached": self.cached + row["cached"],
                "usd": self.usd + row["usd"],
                "seconds": round(self.seconds + row["seconds"], 4),
            }
        )

    def __add__(self, other: Self) -> Self:
        """Both accounts together."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields}
        return self.model_copy(update=sums)


class Lost(NamedTuple):
    """A call that was sent and brought no reply, with what it may be billed at the most."""

    role: str
    billed: bool
    """Whether it may be billed; not where the endpoint turned it away (429, 401, 503)."""
    prompt: int = 0
    completion: int = 0
    usd: float = 0.0


class RunAccount(Account):
    """What one role has cost over a run: answered calls as the endpoint counted them, and failed ones by estimate."""

    failed: int = 0
    """Calls that were sent and brought no reply; those that found no connection are not among them."""
    estimated: int = 0
    """Of these, calls that may be billed all the same: they timed out, were cut, or came as no chat completion."""
    estimated_prompt: int = 0
    """Their prompt tokens, 4 characters each."""
    estimated_completion: int = 0
    """Their reply tokens, `max_tokens` each."""
    estimated_usd: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens, estimated ones included."""
        return self.prompt + self.completion + self.estimated_prompt + self.estimated_completion

    @property
    def money(self) -> float:
        """USD, estimated ones included."""
        return self.usd + self.estimated_usd

    def with_failed(self, call: Lost) -> RunAccount:
        """The account with one more failed call on it."""
        return self.model_copy(
            update={
                "failed": self.failed + 1,
                "estimated": self.estimated + call.billed,
                "estimated_prompt": self.estimated_prompt + call.prompt,
                "estimated_completion": self.estimated_completion + call.completion,
                "estimated_usd": self.estimated_usd + call.usd,
            }
        )


class SpendCounter(Protocol):
    """What is spent so far, shared by the processes of a run."""

    def add(self, tokens: int, usd: float) -> None:
        """Spend."""

    def totals(self) -> tuple[float, float]:
        """Tokens and USD spent, earlier starts of the run included."""


class LocalSpendCounter:
    """The spend_counter of a run in one process; any of its threads may add to it."""

    def __init__(self, tokens: float = 0.0, usd: float = 0.0) -> None:
        self._tokens, self._usd = tokens, usd
        self._lock = threading.Lock()

    def add(self, tokens: int, usd: float) -> None:
        """Spend."""
        with self._lock:
            self._tokens += tokens
            self._usd += usd

    def totals(self) -> tuple[float, float]:
        """Tokens and USD spent."""
        return self._tokens, self._usd


class Meter:
    """Counts one run.

    Args:
        spend_counter: what was spent before and by others.
        seconds: wall time that earlier starts of the run took.
    """

    def __init__(
        self, budget: Budget | None = None, spend_counter: SpendCounter | None = None, seconds: float = 0.0
    ) -> None:
        self.budget = budget or Budget()
        self.spend_counter = spend_counter or LocalSpendCounter()
        self._before = seconds
        self._begun = time.monotonic()
        self._accounts: dict[str, RunAccount] = {}
        self._faults: Counter[str] = Counter()

    @property
    def seconds(self) -> float:
        """Wall time of the run, earlier starts included."""
        return self._before + time.monotonic() - self._begun

    def paid(self, row: Spent) -> None:
        """A call succeeded."""
        self._accounts[row["role"]] = self._accounts.get(row["role"], RunAccount()).plus(row)
        self.spend_counter.add(row["prompt"] + row["completion"], row["usd"])

    def lost(self, call: Lost) -> None:
        """A call was sent and brought no reply."""
        self._accounts[call.role] = self._accounts.get(call.role, RunAccount()).with_failed(call)
        self.spend_counter.add(call.prompt + call.completion, call.usd)

    def fault(self, kind: str) -> None:
        """An endpoint failed, or a reply had to be mended."""
        self._faults[kind] += 1

    def unsettled(self) -> tuple[dict[str, RunAccount], dict[str, int]]:
        """Accounts and faults since the last call of this, to be written down."""
        accounts, faults = self._accounts, dict(self._faults)
        self._accounts, self._faults = {}, Counter()
        return accounts, faults

    def put_back(self, accounts: Mapping[str, RunAccount], faults: Mapping[str, int]) -> None:
        """What `unsettled` gave could not be written down: it is still to be."""
        for role, account in accounts.items():
            self._accounts[role] = self._accounts.get(role, RunAccount()) + account
        self._faults.update(faults)

    def used_up(self) -> str | None:
        """Which part of the budget is used up, in words; None where there is some left."""
        budget = self.budget
        tokens, usd = self.spend_counter.totals()
        if budget.tokens is not None and tokens >= budget.tokens:
            return f"tokens: {tokens:.0f} of {budget.tokens}"
        if budget.usd is not None and usd >= budget.usd:
            return f"usd: {usd:.2f} of {budget.usd:g}"
        if budget.hours is not None and self.seconds >= budget.hours * 3600:
            return f"hours: {self.seconds / 3600:.2f} of {budget.hours:g}"
        return None


_METER: ContextVar[Meter | None] = ContextVar("retort_meter", default=None)


def current_meter() -> Meter | None:
    """The meter of the run that this task belongs to."""
    return _METER.get()


def count(*names: str) -> None:
    """Count what was wrong with a reply on the meter of the run that this task belongs to."""
    meter = current_meter()
    if meter is not None:
        for name in names:
            meter.fault(name)


@contextmanager
def metered(meter: Meter) -> Iterator[Meter]:
    """Count what is called within on `meter`, in tasks started within too."""
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)
