"""What the players share during one episode: the graph's state, messages and plain values only.

Plain values keep checkpoints readable in Studio and safe to load. `gold` travels here for the verifier's last check; no
prompt is made from it.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

from .spent import Spent


class Episode(TypedDict, total=False):
    """State of THE graph."""

    question: str
    options: list[str]
    gold: str | None
    aliases: list[str]
    """Other spellings of `gold`."""
    parts: list[str]
    """The gold's parts in order, where it has several."""
    stated: list[str]
    """What the manual says at each hop; a quote has to bear it. Like `gold` for the last check only."""
    messages: Annotated[list[AnyMessage], add_messages]
    tool_uses: Annotated[list[dict[str, Any]], operator.add]
    """`graphs.trajectory.ToolUse` as plain values."""
    sample: int
    """Which sample of the task this is; seeds of injected faults are made from it."""
    steps: int
    repairs: int
    revisions: int
    spent: Annotated[list[Spent], operator.add]
    """One row a model call that succeeded."""
    tool_seconds: float
    """Seconds in tools so far."""
    mended: Annotated[list[str], operator.add]
    """What the transport mended in replies, by name, once each time."""
    answer: str | None
    choice: str | None
    quotes: list[str]
    verdict: dict[str, Any] | None
    stop: str | None
    """Why the episode ended; None while it runs."""


class Lookup(TypedDict, total=False):
    """State of the search agent's subgraph."""

    query: str
    seconds: float | None
    """What the episode has left for its seats; None = only their own `timeout` counts."""
    rewritten: str
    hits: list[tuple[str, float]]
    """Chunk id and score, best first."""
    extract: str
    spent: Annotated[list[Spent], operator.add]
