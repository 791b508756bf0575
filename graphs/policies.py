"""LangGraph's retry policy for nodes that call an endpoint.

Only failures of the endpoint are repeated; a refused key or a request that the endpoint rejects fails at once. Five
attempts with waits of 0.25, 0.5, 1 and 2 s (jittered) outlast a short overload; a longer one ends the episode without a
record, and the next run plays it again.
"""

from __future__ import annotations

from langgraph.types import RetryPolicy

from agents.errors import ProviderError

TRANSIENT = frozenset({"refused", "rate", "server", "timeout"})


def transient(error: Exception) -> bool:
    """Whether the same call may succeed later."""
    return isinstance(error, ProviderError) and error.kind in TRANSIENT


PROVIDER_RETRY = RetryPolicy(
    initial_interval=0.25, backoff_factor=2.0, max_interval=8.0, max_attempts=5, jitter=True, retry_on=transient
)
