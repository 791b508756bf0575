"""The act node: runs a turn's tool calls, one after the other, and writes down what each brought.

`search` is the search agent's subgraph; every other tool is of the kit (agents/tools). What goes wrong in a tool is an
observation. While collecting, faults may be put in on purpose (`Context.faults`); their rows carry the fault's name,
and count as retrieved only what the player was really shown.
"""

from __future__ import annotations

import json
import time
from typing import Any

from langchain_core.messages import AIMessage, ToolCall, ToolMessage
from langgraph.runtime import Runtime

from agents.context import Context
from agents.models.meter import OutOfBudget
from agents.search import NOTHING, nearest_lines
from agents.spent import Spent
from agents.state import Episode
from agents.tools.faults import planned, spoiled
from agents.tools.kit import use
from agents.tools.schemas import ARGUMENT

from .library import library_of
from .search import find


async def act(state: Episode, runtime: Runtime[Context]) -> dict[str, Any]:
    """Run the calls of the last message; one look into the manual too many ends the episode."""
    context = runtime.context
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)
    rows: list[dict[str, Any]] = []
    observations: list[ToolMessage] = []
    spent: list[Spent] = []
    waited, stop = 0.0, None
    before = state.get("tool_uses") or []
    for call in last.tool_calls:
        looked = sum(row["tool"] in ARGUMENT for row in [*before, *rows])
        if call["name"] in ARGUMENT and looked >= context.board.limits.searches:
            stop = "limit:searches"
            break
        runtime.stream_writer({call["name"]: shown(call)})
        begun = time.monotonic()
        used = sum(row["seconds"] for row in [*(state.get("spent") or []), *spent]) + state.get("tool_seconds", 0.0)
        try:
            left = None if context.board.limits.seconds is None else context.board.limits.seconds - used
            row, cost = await one(call, state, context, [*before, *rows], left)
        except TimeoutError:  # a seat of the search: tools have a deadline of their own, and say so in words
            stop = "limit:seconds"
            break
        except OutOfBudget:  # nothing of this turn is written down: it is played again when there is budget
            return {"stop": "paused"}
        if call["name"] != "search":  # what a search takes beside its models is milliseconds
            waited += time.monotonic() - begun
        rows.append(row)
        spent += cost
        status: Any = "error" if row["error"] else "success"
        text = ToolMessage(row["extract"], tool_call_id=call["id"] or "", name=call["name"], status=status)
        observations.append(text)
    return {
        "messages": observations,
        "tool_uses": rows,
        "stop": stop,
        "spent": spent,
        "tool_seconds": state.get("tool_seconds", 0.0) + waited,
    }


def shown(call: ToolCall) -> str:
    """A call's arguments on its row: the one that matters of the manual's tools, JSON of others."""
    name = ARGUMENT.get(call["name"])
    return str(call["args"].get(name, "")) if name else json.dumps(call["args"], ensure_ascii=False, sort_keys=True)


async def one(
    call: ToolCall, state: Episode, context: Context, earlier: list[dict[str, Any]], seconds: float | None
) -> tuple[dict[str, Any], list[Spent]]:
    """Run one call; its row (graphs.trajectory.ToolUse as plain values) and what it cost.

    Args:
        seconds: what the episode has left; None = there is no limit.

    Raises:
        TimeoutError: they have passed in a call of the search's seats.
    """
    name = call["name"]
    row: dict[str, Any] = {
        "tool": name,
        "query": shown(call),
        "rewritten": "",
        "hits": [],
        "error": None,
        "fault": None,
    }
    fault = None
    if context.faults is not None:
        fault = planned(context.faults, name, state["question"], state.get("sample", 0), len(earlier))
    spent: list[Spent] = []
    if fault in (None, "truncated", "stale"):
        if name == "search":
            found = await find(context, row["query"], seconds)
            hits, spent = found["hits"], list(found.get("spent") or [])
            row |= {"rewritten": found["rewritten"], "extract": found["extract"]}
        else:
            seen = await use(context, await library_of(context), name, call["args"])
            hits = list(seen.hits)
            row |= {"extract": seen.text, "error": seen.error}
        row["hits"] = [{"chunk": chunk, "score": score} for chunk, score in hits]
    if fault is not None:
        old = await stale(context, row["query"], earlier) if fault == "stale" else ""
        text, error = spoiled(fault, name, row.get("extract", ""), old, context.board.limits.tool_seconds)
        row |= {"extract": text, "error": error, "fault": fault, "hits": []}
    return row, spent


async def stale(context: Context, query: str, earlier: list[dict[str, Any]]) -> str:
    """What an outdated answer would be: the one before, or at the first call the passages after the best ones."""
    if earlier:
        return str(earlier[-1]["extract"])
    top = context.board.top_k
    found, _ = await (await library_of(context)).asearch(query, 2 * top)
    rest = enumerate(found[top:], 1)
    parts = [f"[{n}] {chunk.title}\n{nearest_lines(query, chunk, 2)}" for n, (chunk, _) in rest]
    return "\n\n".join(parts) or NOTHING
