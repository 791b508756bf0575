"""What one model call cost: the row that every role adds to the state of an episode. Imports nothing heavy."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Spent(TypedDict):
    """What one model call cost, and what it said."""

    role: str
    prompt: int
    completion: int
    cached: int
    """Of the prompt tokens, those that the endpoint had cached."""
    usd: float
    seconds: float
    """From sending the request that succeeded to its last byte; in process, its share of the batch it was made in."""
    call: NotRequired[dict[str, Any]]
    """`graphs.trajectory.Call` as plain values, without what it cost."""
