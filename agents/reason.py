"""The reasoning agent: it thinks, and then acts (tool calls) or answers.

CoT is the same agent with no tools and another prompt; `answer` has a third one, which asks for no thought.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage

from .answers import LETTERS
from .context import Context
from .first_thought import first_thought, opened_with, with_prefix
from .models.desk import call
from .models.record import call_record
from .prompts import prompt
from .spent import Spent
from .toolcalls import incoming, outgoing, stop_words
from .tools import call_problem, offering


def ask(question: str, options: Sequence[str]) -> str:
    """The user message: the question, then one lettered line an option."""
    lines = [question, *(f"{LETTERS[i]}) {option}" for i, option in enumerate(options))]
    return "\n".join(lines)


def opening(question: str, options: Sequence[str], mode: str) -> list[AnyMessage]:
    """The messages before the first turn."""
    name = f"{mode}_choice" if options and mode != "react" else mode
    return [SystemMessage(prompt(name)), HumanMessage(ask(question, options))]


def malformed(message: AIMessage, mode: str, tools: Sequence[dict[str, Any]]) -> str | None:
    """Why the message's tool calls cannot be run, in words for the model; None where they can or there are none."""
    marked = message.additional_kwargs.get("malformed")
    if marked:  # replayed from the record, where its calls are text
        return str(marked)[:200]
    if message.invalid_tool_calls:
        return str(message.invalid_tool_calls[0].get("error") or "it is not valid JSON")[:200]
    if message.tool_calls and mode != "react":
        return "there are no tools here"
    for made in message.tool_calls:
        problem = call_problem(made["name"], made["args"], tools)
        if problem:
            return problem
    return None


class Turn(NamedTuple):
    """One turn of the reasoning agent."""

    message: AIMessage
    spent: list[Spent]
    mended: list[str]
    """What the transport mended, by name."""


async def reason(context: Context, messages: Sequence[AnyMessage], *, seconds: float | None = None) -> Turn:
    """One turn of the reasoning agent, through its seat's transport.

    Args:
        seconds: what the episode has left.

    Raises:
        ProviderError: the endpoint failed (the graph's retry policies decide what follows).
        TimeoutError: `seconds` have passed.
        OutOfBudget: nothing was sent.
    """
    seat = context.team.reason
    tools = await offering(context.board) if context.mode == "react" else ()
    spent: list[Spent] = []
    opened: Sequence[BaseMessage] = ()
    prefix = ""
    if not isinstance(messages[0], SystemMessage):  # a thread begun in Studio holds the user's words alone
        messages = [SystemMessage(prompt(context.mode)), *messages]
    sent: Sequence[BaseMessage] = messages
    if context.team.first_thought and tools and not any(isinstance(m, AIMessage) for m in messages):
        prefix, row = await first_thought(context, str(messages[-1].content), seconds=seconds)
        spent.append(row)
        seconds = None if seconds is None else max(0.001, seconds - row["seconds"])
        sent = opened_with(prefix, messages)
        opened = sent if prefix else ()
    options: dict[str, Any] = {}
    if seat.transport != "native" and tools:
        sent, options = outgoing(seat.transport, sent, tools), {"stop": stop_words(seat.transport)}
    bound = tools if seat.transport == "native" else ()
    reply, row = await call(seat, "reason", sent, tools=bound, seconds=seconds, recorded_as=None, **options)
    row = {**row, "call": call_record(seat, "reason", opened, None, options)}
    mended: list[str] = []
    if tools:
        reply, mended = incoming(seat.transport, reply, tools)
    return Turn(with_prefix(prefix, reply) if prefix else reply, [*spent, row], mended)
