"""The extractor with a schema: which lines of a passage answer a query, as a language model copies them out.

A model that is asked for a list cannot talk round it, and an endpoint with structured outputs returns nothing else. As
in the plain form only what stands in the passage word for word is kept.
"""

from __future__ import annotations

from typing import Annotated, Any

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from .answers import fold, stands_in
from .context import Seat
from .models.structured import ask_structured, fenced
from .prompts import prompt
from .spent import Spent

LATE = "extract:late"
"""What is mended where the episode's seconds ran out (agents/models/structured.py)."""


def as_list(value: Any) -> Any:
    """Lines given as one text as a list."""
    return value.splitlines() if isinstance(value, str) else value


class Copied(BaseModel):
    """Lines copied from a passage."""

    model_config = ConfigDict(frozen=True)

    lines: Annotated[
        list[str],
        BeforeValidator(as_list),
        Field(description="lines of the passage, word for word; empty if none helps"),
    ]


async def extracted_lines(
    seat: Seat, query: str, title: str, text: str, *, seconds: float | None = None
) -> tuple[list[str], list[Spent], list[str]]:
    """What the extract seat copies out of one passage.

    Args:
        title: the passage's title; the model sees it, and it counts for nothing when lines are checked.
        text: the passage.
        seconds: what the episode has left; None = only the seat's own `timeout` counts.

    Returns:
        Lines that stand in `text` word for word (white space folded), each once, in the model's order; what the calls
        cost; names of what was mended, `extract:not_verbatim` once for each line that was thrown away among them.

    Raises:
        ProviderError: the endpoint failed; the node's retry policy decides what follows.
    """
    asked = fenced([("query", query), ("passage", f"{title}\n{text}")])
    messages = [SystemMessage(prompt("extract_structured")), HumanMessage(asked)]
    copied, rows, mended = await ask_structured(seat, "extract", messages, Copied, seconds=seconds)
    copied_lines = [fold(line) for entry in (copied.lines if copied else ()) for line in entry.splitlines()]
    kept: list[str] = []
    for line in filter(None, copied_lines):
        if not stands_in(line, text):
            mended.append("extract:not_verbatim")
        elif line not in kept:
            kept.append(line)
    return kept, rows, mended
