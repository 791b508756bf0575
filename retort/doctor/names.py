"""Whether the model that a seat names is the one that answers: listed, not just any name, and no idle adapter."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from .findings import Finding
from .line import Line, Reply
from .script import opening
from .turns import turn_tokens

Asked = Sequence[tuple[list[BaseMessage], Reply | None]]

NOBODY = "retort-doctor-no-such-model"
MOST_LISTED = 8
COMPARED_TOKENS = 64


def row_of(rows: Sequence[Mapping[str, Any]] | None, model: str) -> Mapping[str, Any] | None:
    """The model's row of GET /models."""
    return next((row for row in rows or () if row["id"] == model), None)


def base_of(rows: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> str | None:
    """The base that an adapter's row names and that is served beside it; None for a full model."""
    ids = {other["id"] for other in rows} - {row["id"]}
    return next((value for key in ("parent", "root") if (value := row.get(key)) in ids), None)


def listing(rows: Sequence[Mapping[str, Any]]) -> str:
    """Names of what is listed, bounded."""
    more = f" and {len(rows) - MOST_LISTED} more" if len(rows) > MOST_LISTED else ""
    return ", ".join(repr(row["id"][:60]) for row in rows[:MOST_LISTED]) + more if rows else "nothing"


def not_there(line: Line, rows: Sequence[Mapping[str, Any]] | None, reply: Reply) -> Finding | None:
    """The finding for a refused call where the model is not listed; None where the refusal has another cause."""
    model = line.address.model
    if reply.kind != "request" or rows is None or row_of(rows, model) is not None:
        return None
    near = difflib.get_close_matches(model, [row["id"] for row in rows], n=1, cutoff=0.5)
    step = f"name {near[0]!r} in the seat" if near else "load it in the server, or name one that is listed"
    seen = f"{model!r} is not served ({reply.status}: {reply.said}); listed: {listing(rows)}"
    return Finding("adapter_not_loaded", "broken", seen, step)


async def name_findings(
    line: Line, rows: Sequence[Mapping[str, Any]] | None, options: Mapping[str, Any], asked: Asked
) -> list[Finding]:
    """Findings on the name, for an endpoint that answers under it.

    Args:
        line: the endpoint.
        rows: what GET /models lists; None where it lists nothing.
        options: of each call: the tools offered, the words that stop it.
        asked: conversations with the greedy reply that the model gave already, None where it is still to be asked.
    """
    model = line.address.model
    row = row_of(rows, model)
    if rows is None or row is None:
        wrong = await line.say(opening(), model=NOBODY)
        listed = f"listed: {listing(rows)}" if rows is not None else "GET /models lists nothing"
        if not wrong.kind:
            seen = f"the server answers for any name ({NOBODY!r} too), so nothing says that {model!r} plays; {listed}"
            return [Finding("adapter_not_loaded", "broken", seen, "load the model, or name what is listed")]
        return [Finding("model", "fine", f"{model!r} is served, another name is refused ({wrong.status}); {listed}")]
    base = base_of(rows, row)
    if base is None:
        return [Finding("model", "fine", f"{model!r} is listed")]
    return [await compared(line, model, base, options, asked)]


async def compared(line: Line, model: str, base: str, options: Mapping[str, Any], asked: Asked) -> Finding:
    """Whether an adapter's greedy replies differ from its base's."""

    async def both(messages: list[BaseMessage], mine: Reply | None) -> tuple[Reply, Reply]:
        most = COMPARED_TOKENS if mine is None else turn_tokens(line)  # as many as were let for the known reply
        theirs = line.say(messages, most=most, model=base, temperature=0.0, **options)
        if mine is not None:
            return mine, await theirs
        one, other = await asyncio.gather(line.say(messages, most=most, temperature=0.0, **options), theirs)
        return one, other

    played = await asyncio.gather(*(both(messages, mine) for messages, mine in asked))
    pairs = [pair for pair in played if not (pair[0].kind or pair[1].kind)]
    if len(pairs) < 2:
        seen = f"{model!r} is an adapter on {base!r}; {len(pairs)} of {len(asked)} comparisons came back"
        return Finding("model", "warning", seen, "run the doctor again")
    same = sum(_said(one) == _said(other) for one, other in pairs)
    seen = f"{same} of {len(pairs)} greedy replies of the adapter {model!r} are those of its base {base!r}"
    if same == len(pairs):
        seen += f", word for word ({sum(len(''.join(_said(one))) for one, _ in pairs)} characters)"
        return Finding("adapter_not_loaded", "broken", seen, "the adapter does nothing: load it again, or train it")
    return Finding("model", "fine", seen)


def _said(reply: Reply) -> tuple[str, str, str]:
    """Text, thought and arguments, without the calls' ids."""
    functions = [call.get("function") for call in reply.calls if isinstance(call, dict)]
    arguments = " ".join(str(each.get("arguments")) for each in functions if isinstance(each, dict))
    return reply.content.strip(), reply.thought.strip(), arguments
