"""The search agent as a subgraph: rewrite -> retrieve -> extract."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from agents import search
from agents.context import Context
from agents.state import Lookup

from .library import open_library
from .policies import PROVIDER_RETRY


async def rewrite(state: Lookup, runtime: Runtime[Context]) -> dict[str, Any]:
    """Query -> the words to retrieve with."""
    rewritten, prompt_tokens, completion_tokens = await search.rewrite(runtime.context, state["query"])
    return {"rewritten": rewritten, "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}


async def retrieve(state: Lookup, runtime: Runtime[Context]) -> dict[str, Any]:
    """Words -> the best `top_k` chunks; in a thread, since opening an index reads files."""
    library = await asyncio.to_thread(open_library, runtime.context)
    found = library.search(state["rewritten"], runtime.context.board.top_k)
    return {"hits": [(chunk.id, round(score, 4)) for chunk, score in found]}


async def extract(state: Lookup, runtime: Runtime[Context]) -> dict[str, Any]:
    """Chunks -> the observation."""
    library = await asyncio.to_thread(open_library, runtime.context)
    passages = [library.chunk(name) for name, _ in state["hits"]]
    text, used_in, used_out = await search.extract(runtime.context, state["query"], passages)
    return {
        "extract": text,
        "prompt_tokens": state["prompt_tokens"] + used_in,
        "completion_tokens": state["completion_tokens"] + used_out,
    }


builder = StateGraph(Lookup, context_schema=Context)
builder.add_node("rewrite", rewrite, retry_policy=PROVIDER_RETRY)
builder.add_node("retrieve", retrieve)
builder.add_node("extract", extract, retry_policy=PROVIDER_RETRY)
builder.add_edge(START, "rewrite")
builder.add_edge("rewrite", "retrieve")
builder.add_edge("retrieve", "extract")
builder.add_edge("extract", END)

graph = builder.compile(name="search")
