"""The search agent as a subgraph: rewrite (where a seat does it) -> retrieve -> extract (where a seat does it).

Extraction by words needs no call, and happens where the passages are at hand: one super-step instead of two.
"""

from __future__ import annotations

from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from agents import search
from agents.context import Context
from agents.state import Lookup

from .library import library_of
from .policies import PROVIDER_RETRIES


async def begin(state: Lookup, runtime: Runtime[Context]) -> Literal["rewrite", "retrieve"]:
    """Queries go in as written where nobody sits to rewrite them."""
    return "retrieve" if runtime.context.team.search is None else "rewrite"


def left(state: Lookup) -> float | None:
    """What the episode has left of its seconds, the calls of this search taken off; None where none are given."""
    seconds = state.get("seconds")
    return None if seconds is None else seconds - sum(row["seconds"] for row in state.get("spent") or [])


async def rewrite(state: Lookup, runtime: Runtime[Context]) -> dict[str, Any]:
    """Query -> the words to retrieve with."""
    rewritten, spent = await search.rewrite(runtime.context, state["query"], seconds=left(state))
    return {"rewritten": rewritten, "spent": spent}


async def retrieve(state: Lookup, runtime: Runtime[Context]) -> dict[str, Any]:
    """Words -> the best `top_k` chunks, and the observation where no seat is asked for it."""
    return await looked_up(runtime.context, state["query"], state.get("rewritten") or state["query"])


async def looked_up(context: Context, query: str, rewritten: str) -> dict[str, Any]:
    """What `retrieve` finds, as state of the subgraph."""
    library = await library_of(context)
    found, spent = await library.asearch(rewritten, context.board.top_k)
    update: dict[str, Any] = {"rewritten": rewritten, "hits": [(chunk.id, round(score, 4)) for chunk, score in found]}
    if spent:
        update["spent"] = spent
    if context.board.extract != "seat":
        update["extract"] = search.extract(context, query, [chunk for chunk, _ in found])
    return update


async def after_retrieve(state: Lookup, runtime: Runtime[Context]) -> Literal["extract", "__end__"]:
    """Passages are read by a seat where the board says so."""
    return "extract" if runtime.context.board.extract == "seat" else "__end__"


async def extract(state: Lookup, runtime: Runtime[Context]) -> dict[str, Any]:
    """Chunks -> the observation, by the extract seat."""
    library = await library_of(runtime.context)
    passages = [library.chunk(name) for name, _ in state["hits"]]
    text, spent = await search.read(runtime.context, state["query"], passages, seconds=left(state))
    return {"extract": text, "spent": spent}


builder = StateGraph(Lookup, context_schema=Context)
builder.add_node("rewrite", rewrite, retry_policy=PROVIDER_RETRIES)
builder.add_node("retrieve", retrieve, retry_policy=PROVIDER_RETRIES)
builder.add_node("extract", extract, retry_policy=PROVIDER_RETRIES)
builder.add_conditional_edges(START, begin, ["rewrite", "retrieve"])
builder.add_edge("rewrite", "retrieve")
builder.add_conditional_edges("retrieve", after_retrieve, ["extract", END])
builder.add_edge("extract", END)

graph = builder.compile(name="search")


async def find(context: Context, query: str, seconds: float | None = None) -> dict[str, Any]:
    """The subgraph's last state for a query.

    Where no endpoint takes part, all of it is one function, which is called without the graph round it: of 1.8 ms of
    CPU a call that LangGraph took, 0.3 were the subgraph's.

    Args:
        seconds: what the episode has left for its seats; None = only their own `timeout` counts.

    Raises:
        ProviderError: an endpoint failed for good.
        TimeoutError: `seconds` have passed.
    """
    seated = context.team.search is not None or context.board.extract == "seat"
    if not seated and not (await library_of(context)).index.remote:
        return await looked_up(context, query, query)
    found: dict[str, Any] = await graph.ainvoke({"query": query, "seconds": seconds}, context=context)
    return found
