"""LangGraph's retry policies for nodes that call an endpoint, one a class of failure.

Only failures of the endpoint are repeated; a refused key or a request that the endpoint rejects fails at once. At an
endpoint where 30 % of all calls fail, a call still fails eight times in a row in 7 of 100,000 cases. Waits double and
are jittered; an endpoint's own `Retry-After` is kept at its gate (agents/models/gate.py) on top of them. What lasts
longer ends the episode without a record, and the next run plays it again.
"""

from __future__ import annotations

from collections.abc import Callable

from langgraph.types import RetryPolicy

from agents.errors import ProviderError

PATIENCE = {
    # kind: attempts in all, first wait in seconds, longest wait in seconds
    "rate": (10, 0.5, 20.0),
    "server": (8, 0.25, 8.0),
    "cut": (8, 0.1, 4.0),
    "garbage": (8, 0.1, 4.0),
    "timeout": (6, 0.1, 4.0),
    "refused": (5, 0.25, 2.0),
}
"""Kind of failure -> how often and after how long the call is repeated; LangGraph counts attempts over all kinds."""


def of_kind(kind: str) -> Callable[[Exception], bool]:
    """A test for one kind of provider failure."""

    def fits(error: Exception) -> bool:
        return isinstance(error, ProviderError) and error.kind == kind

    return fits


PROVIDER_RETRIES = tuple(
    RetryPolicy(
        initial_interval=first,
        backoff_factor=2.0,
        max_interval=longest,
        max_attempts=attempts,
        jitter=True,
        retry_on=of_kind(kind),
    )
    for kind, (attempts, first, longest) in PATIENCE.items()
)
