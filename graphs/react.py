"""THE graph: reason, act, repair, verify. Who sits in it and by which rules is runtime context.

::

    START -> reason --call------> act (search subgraph) ----> reason
                    --bad call--> repair --------------------> reason     (at most `repairs`)
                    --answer----> verify --accept, reject----> END
                                         --revise-----------> reason     (at most `revisions`)
                    --limit, loop ---------------------------> END

Limits end an episode by name in `stop`; none is ever written as an answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from agents import reason as reasoner
from agents import verify as verifier
from agents.answers import Final, gave_up, match_option, parse_final
from agents.context import Context
from agents.prompts import prompt
from agents.state import Episode

from .library import open_library
from .policies import PROVIDER_RETRY
from .search import graph as search_graph

NODE_SECONDS = 600.0
"""No node takes longer, whatever the context's limits say; an episode's own `seconds` end it long before."""


def over_limit(state: Episode, context: Context) -> str | None:
    """The limit that another turn would pass, by name; None where there is room."""
    limits = context.board.limits
    if state.get("steps", 0) >= limits.steps:
        return "limit:steps"
    if state.get("prompt_tokens", 0) + state.get("completion_tokens", 0) >= limits.tokens:
        return "limit:tokens"
    if time.monotonic() - state.get("started", time.monotonic()) >= limits.seconds:
        return "limit:seconds"
    return None


async def reason(state: Episode, runtime: Runtime[Context]) -> dict[str, Any]:
    """One turn of the reasoning agent, unless a limit is reached."""
    context = runtime.context
    update: dict[str, Any] = {"started": state.get("started", time.monotonic())}
    limit = over_limit(state, context)
    if limit:
        return {**update, "stop": limit}
    history = list(state.get("messages") or [])
    fresh: list[Any] = []
    if not history:
        fresh = list(reasoner.opening(state["question"], state.get("options") or [], context.mode))
    left = context.board.limits.seconds - (time.monotonic() - update["started"])
    try:
        reply = await asyncio.wait_for(reasoner.reason(context, history + fresh), timeout=max(left, 0.001))
    except TimeoutError:
        return {**update, "messages": fresh, "stop": "limit:seconds"}
    usage = reply.usage_metadata or {"input_tokens": 0, "output_tokens": 0}
    update |= {
        "messages": [*fresh, reply],
        "steps": state.get("steps", 0) + 1,
        "prompt_tokens": state.get("prompt_tokens", 0) + usage["input_tokens"],
        "completion_tokens": state.get("completion_tokens", 0) + usage["output_tokens"],
    }
    if reply.response_metadata.get("finish_reason") == "context":
        update["stop"] = "limit:context"
    elif repeated(history, reply):
        update["stop"] = "loop"
    return update


def repeated(history: list[Any], reply: AIMessage) -> bool:
    """Whether the reply makes the very calls of the turn before it."""
    before = next((m for m in reversed(history) if isinstance(m, AIMessage)), None)
    if before is None or not reply.tool_calls:
        return False
    return [(c["name"], c["args"]) for c in before.tool_calls] == [(c["name"], c["args"]) for c in reply.tool_calls]


def after_reason(state: Episode, runtime: Runtime[Context]) -> Literal["act", "repair", "verify", "__end__"]:
    """Where a turn leads."""
    if state.get("stop"):
        return "__end__"
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)
    if reasoner.malformed(last, runtime.context.mode):
        return "repair"
    return "act" if last.tool_calls else "verify"


async def act(state: Episode, runtime: Runtime[Context]) -> dict[str, Any]:
    """Run the turn's tool calls, one after the other; one search too many ends the episode."""
    context = runtime.context
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)
    done = len(state.get("searches") or [])
    searches: list[dict[str, Any]] = []
    observations: list[Any] = []
    used_in, used_out = state.get("prompt_tokens", 0), state.get("completion_tokens", 0)
    stop: str | None = None
    for call in last.tool_calls:
        if done + len(searches) >= context.board.limits.searches:
            stop = "limit:searches"
            break
        runtime.stream_writer({"search": call["args"]["query"]})
        found = await search_graph.ainvoke({"query": call["args"]["query"]}, context=context)
        used_in, used_out = used_in + found["prompt_tokens"], used_out + found["completion_tokens"]
        hits = [{"chunk": name, "score": score} for name, score in found["hits"]]
        searches.append(
            {"query": found["query"], "rewritten": found["rewritten"], "hits": hits, "extract": found["extract"]}
        )
        observations.append(ToolMessage(found["extract"], tool_call_id=call["id"] or "", name=call["name"]))
    return {
        "messages": observations,
        "searches": searches,
        "stop": stop,
        "prompt_tokens": used_in,
        "completion_tokens": used_out,
    }


async def repair(state: Episode, runtime: Runtime[Context]) -> dict[str, Any]:
    """Send a malformed call back with what is wrong with it, or end the episode as `malformed`."""
    repairs = state.get("repairs", 0)
    if repairs >= runtime.context.board.limits.repairs:
        return {"stop": "malformed"}
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)
    problem = reasoner.malformed(last, runtime.context.mode) or ""
    said = prompt("repair").format(error=problem)
    # The turn goes on record as text: an unreadable call sent back as a call is refused by most endpoints.
    calls = [*last.invalid_tool_calls, *last.tool_calls]
    text = "\n".join([str(last.content), *(f"{c['name'] or ''} {c['args']}".strip() for c in calls)]).strip()
    plain = AIMessage(content=text, id=last.id, additional_kwargs={"malformed": problem})
    return {"messages": [plain, HumanMessage(said, additional_kwargs={"node": "repair"})], "repairs": repairs + 1}


async def verify(state: Episode, runtime: Runtime[Context]) -> dict[str, Any]:
    """Judge the final message; in mode `revise` send a failing one back while critiques are left."""
    context = runtime.context
    final = closing(state["messages"])
    options = state.get("options") or []
    update: dict[str, Any] = {
        "answer": final.answer,
        "choice": match_option(final.answer, options),
        "quotes": list(final.quotes),
    }
    if gave_up(final.answer):
        return {**update, "stop": "gave_up"}
    stop = "malformed" if final.answer is None else "answered"
    if context.verify == "off":
        return {**update, "stop": stop}
    passages = await asyncio.to_thread(retrieved, state, context)
    searched = bool(state.get("searches"))
    failed = verifier.failed_checks(final, options, passages, searched)
    revisions = state.get("revisions", 0)
    if failed and context.verify == "revise" and revisions < context.board.limits.revisions:
        message = HumanMessage(verifier.critique(failed), additional_kwargs={"node": "verify"})
        return {**update, "messages": [message], "revisions": revisions + 1}
    return {**update, "verdict": verifier.judge(final, options, state.get("gold"), passages, searched), "stop": stop}


def closing(messages: Sequence[AnyMessage]) -> Final:
    """The final message taken apart, with the quotes that turns noted down while they searched."""
    final = parse_final(str(messages[-1].content))
    acting = (m for m in messages if isinstance(m, AIMessage) and m.tool_calls)
    noted = [quote for message in acting for quote in parse_final(str(message.content)).quotes]
    return Final(answer=final.answer, quotes=(*noted, *final.quotes))


def retrieved(state: Episode, context: Context) -> list[str]:
    """Title and text of every chunk that this episode's searches brought."""
    library = open_library(context)
    names = {hit["chunk"] for search in state.get("searches") or [] for hit in search["hits"]}
    return [f"{chunk.title}\n{chunk.text}" for chunk in (library.chunk(name) for name in sorted(names))]


def going_on(state: Episode) -> Literal["reason", "__end__"]:
    """Back to reasoning unless the episode has stopped."""
    return "__end__" if state.get("stop") else "reason"


builder = StateGraph(Episode, context_schema=Context)
builder.add_node("reason", reason, retry_policy=PROVIDER_RETRY, timeout=NODE_SECONDS)
builder.add_node("act", act, timeout=NODE_SECONDS)
builder.add_node("repair", repair)
builder.add_node("verify", verify, timeout=NODE_SECONDS)
builder.add_edge(START, "reason")
builder.add_conditional_edges("reason", after_reason, ["act", "repair", "verify", END])
builder.add_conditional_edges("act", going_on, ["reason", END])
builder.add_conditional_edges("repair", going_on, ["reason", END])
builder.add_conditional_edges("verify", going_on, ["reason", END])

graph = builder.compile(name="retort")
"""THE graph, without a checkpointer: `langgraph dev` brings its own and refuses one compiled in."""
