"""THE graph: reason, act, repair, verify. Who sits in it and by which rules is runtime context.

::

    START -> reason --call------> act (search subgraph) ----> reason
                    --bad call--> repair --------------------> reason     (at most `repairs`)
                    --answer----> verify --accept, reject----> END
                                         --revise-----------> reason     (at most `revisions`)
                    --limit, loop ---------------------------> END

Limits end an episode by name in `stop`; none is ever written as an answer. An episode may begin in the middle: one that
paused for want of budget goes on where it was, and so does a thread forked in Studio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime, get_runtime

from agents import reason as reasoner
from agents import verify as verifier
from agents.answers import Final, gave_up, match_option, parse_final
from agents.context import Context
from agents.judge import critique_of, judge
from agents.models.meter import OutOfBudget, count
from agents.prompts import prompt
from agents.state import Episode
from agents.tools import offering

from .act import act
from .library import library_of
from .policies import PROVIDER_RETRIES

Node = Literal["reason", "act", "repair", "verify", "__end__"]


def seconds_left(state: Episode, context: Context) -> float | None:
    """What the episode has left of its seconds, None = no limit: only calls that succeeded and tools have used them."""
    if context.board.limits.seconds is None:
        return None
    used = sum(row["seconds"] for row in state.get("spent") or []) + state.get("tool_seconds", 0.0)
    return context.board.limits.seconds - used


def over_limit(state: Episode, context: Context) -> str | None:
    """The limit that another turn would pass, by name; None where there is room."""
    limits = context.board.limits
    if state.get("steps", 0) >= limits.steps:
        return "limit:steps"
    if sum(row["prompt"] + row["completion"] for row in state.get("spent") or []) >= limits.tokens:
        return "limit:tokens"
    left = seconds_left(state, context)
    if left is not None and left <= 0:
        return "limit:seconds"
    return None


async def reason(state: Episode, runtime: Runtime[Context]) -> dict[str, Any]:
    """One turn of the reasoning agent, unless a limit is reached."""
    context = runtime.context
    limit = over_limit(state, context)
    if limit:
        return {"stop": limit}
    history = list(state.get("messages") or [])
    fresh: list[Any] = []
    if not history:
        fresh = list(reasoner.opening(state["question"], state.get("options") or [], context.mode))
    try:
        turn = await reasoner.reason(context, history + fresh, seconds=seconds_left(state, context))
    except TimeoutError:
        return {"messages": fresh, "stop": "limit:seconds"}
    except OutOfBudget:
        return {"stop": "paused"}
    message, again = own_ids(history, turn.message)
    *before, row = turn.spent
    row = {**row, "call": {**row["call"], "turn": len(history) + len(fresh)}}
    mended = [*turn.mended, *again]
    count(*mended)
    return {
        "messages": [*fresh, message],
        "steps": state.get("steps", 0) + 1,
        "spent": [*before, row],
        "mended": mended,
        "stop": ended(state, history, message),
    }


def own_ids(history: Sequence[AnyMessage], reply: AIMessage) -> tuple[AIMessage, list[str]]:
    """The reply with ids of its calls that no earlier turn used: some servers count from 0 in every reply."""
    used = {call["id"] for message in history if isinstance(message, AIMessage) for call in message.tool_calls}
    if not used or not any(call["id"] in used for call in reply.tool_calls):
        return reply, []
    calls = [{**call, "id": f"{call['id']}-{len(history)}"} for call in reply.tool_calls]
    return reply.model_copy(update={"tool_calls": calls}), ["call_id"]


def ended(state: Episode, history: Sequence[AnyMessage], reply: AIMessage) -> str | None:
    """Why a reply ends the episode before anything is done with it; None where it does not."""
    finish = reply.response_metadata.get("finish_reason")
    if finish == "context":
        return "limit:context"
    if finish == "content_filter" or reply.additional_kwargs.get("refusal"):
        return "refused"
    rows = state.get("tool_uses") or []
    failed = bool(rows) and bool(rows[-1]["error"] or rows[-1]["fault"])  # asking again after a failure is no loop
    return "loop" if not failed and repeated(history, reply) else None


def repeated(history: Sequence[AnyMessage], reply: AIMessage) -> bool:
    """Whether the reply makes the very calls of the turn before it."""
    before = next((m for m in reversed(history) if isinstance(m, AIMessage)), None)
    if before is None or not reply.tool_calls:
        return False
    return [(c["name"], c["args"]) for c in before.tool_calls] == [(c["name"], c["args"]) for c in reply.tool_calls]


async def after_reason(state: Episode) -> Node:
    """Where a turn leads. Like all routing here a coroutine: LangGraph sends plain functions through a thread."""
    return "__end__" if state.get("stop") else await going_to(state)


async def begin(state: Episode) -> Node:
    """Where an episode begins: at the first turn, or after the last message of one that was begun before."""
    messages = state.get("messages") or []
    fresh = not messages or not isinstance(messages[-1], AIMessage)
    return "reason" if fresh else await going_to(state)


async def going_to(state: Episode) -> Node:
    """The node that takes up the agent's last message."""
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)
    runtime = get_runtime(Context)
    if runtime is None:  # a thread is being edited (`update_state`): LangGraph has no context to give there
        bad = bool(last.invalid_tool_calls or last.additional_kwargs.get("malformed"))
    else:
        tools = await offering(runtime.context.board)
        bad = reasoner.malformed(last, runtime.context.mode, tools) is not None
    if bad:
        return "repair"
    return "act" if last.tool_calls else "verify"


async def repair(state: Episode, runtime: Runtime[Context]) -> dict[str, Any]:
    """Send a malformed call back with what is wrong with it, or end the episode as `malformed`."""
    repairs = state.get("repairs", 0)
    count("malformed_call")
    if repairs >= runtime.context.board.limits.repairs:
        return {"stop": "malformed"}
    last = state["messages"][-1]
    assert isinstance(last, AIMessage)
    context = runtime.context
    problem = reasoner.malformed(last, context.mode, await offering(context.board)) or ""
    names = [tool["function"]["name"] for tool in await offering(context.board)]
    message = prompt("repair").format(error=problem)
    if names != ["search"]:
        message = prompt("repair_tools").format(error=problem, tools=", ".join(names))
    # The turn goes on record as text: an unreadable call sent back as a call is refused by most endpoints.
    calls = [*last.invalid_tool_calls, *last.tool_calls]
    text = "\n".join([str(last.content), *(f"{c['name'] or ''} {c['args']}".strip() for c in calls)]).strip()
    plain = AIMessage(content=text, id=last.id, additional_kwargs={"malformed": problem})
    return {"messages": [plain, HumanMessage(message, additional_kwargs={"node": "repair"})], "repairs": repairs + 1}


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
    passages = await retrieved(state, context)
    searched = bool(state.get("tool_uses"))
    failed = verifier.failed_checks(final, options, passages, searched)
    left = context.board.limits.revisions - state.get("revisions", 0) if context.verify == "revise" else 0
    judged: dict[str, Any] | None = None
    critique = verifier.critique(failed)
    if searched and not failed and context.verify == "revise" and context.team.judge is not None:
        try:
            found, spent, mended = await judge(
                context, state["question"], options, final, passages, seconds=seconds_left(state, context)
            )
        except OutOfBudget:
            return {"stop": "paused"}
        update |= {"spent": spent, "mended": mended}
        count(*mended)
        if found is not None:
            judged = found.model_dump()
            if not found.passed:
                failed, critique = ["judge"], critique_of(found)
    if failed and left > 0:
        message = HumanMessage(critique, additional_kwargs={"node": "verify"})
        return {**update, "messages": [message], "revisions": state.get("revisions", 0) + 1}
    verdict = verifier.verdict(
        failed,
        final,
        options,
        state.get("gold"),
        searched,
        judged,
        aliases=state.get("aliases") or (),
        parts=state.get("parts") or (),
        stated=state.get("stated") or (),
    )
    return {**update, "verdict": verdict, "stop": stop}


def closing(messages: Sequence[AnyMessage]) -> Final:
    """The final message taken apart, with the quotes that turns noted down while they searched."""
    final = parse_final(str(messages[-1].content))
    acting = (m for m in messages if isinstance(m, AIMessage) and m.tool_calls)
    noted = [quote for message in acting for quote in parse_final(str(message.content)).quotes]
    return Final(answer=final.answer, quotes=(*noted, *final.quotes))


async def retrieved(state: Episode, context: Context) -> list[str]:
    """What this episode's tools brought: title and text of each chunk, and the words of tools that bring no chunks."""
    library = await library_of(context)
    rows = state.get("tool_uses") or []
    names = {hit["chunk"] for row in rows for hit in row["hits"]}
    stated = [row["extract"] for row in rows if not row["hits"] and not row["error"]]
    return [f"{chunk.title}\n{chunk.text}" for chunk in (library.chunk(name) for name in sorted(names))] + stated


async def going_on(state: Episode) -> Literal["reason", "__end__"]:
    """Back to reasoning unless the episode has stopped."""
    return "__end__" if state.get("stop") else "reason"


builder = StateGraph(Episode, context_schema=Context)
# No timeouts of LangGraph's on nodes: every wait within has a deadline of its own (desk, tools), and its watchdogs cost
# two tasks a super-step.
builder.add_node("reason", reason, retry_policy=PROVIDER_RETRIES)
builder.add_node("act", act)
builder.add_node("repair", repair)
builder.add_node("verify", verify, retry_policy=PROVIDER_RETRIES)
builder.add_conditional_edges(START, begin, ["reason", "act", "repair", "verify"])
builder.add_conditional_edges("reason", after_reason, ["act", "repair", "verify", END])
builder.add_conditional_edges("act", going_on, ["reason", END])
builder.add_conditional_edges("repair", going_on, ["reason", END])
builder.add_conditional_edges("verify", going_on, ["reason", END])

graph = builder.compile(name="retort")
"""THE graph, without a checkpointer: `langgraph dev` brings its own and refuses one compiled in."""
