"""The reasoning agent: it thinks, and then acts (one tool call) or answers.

CoT is the same agent with no tools and another prompt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage

from .answers import LETTERS
from .context import Context
from .prompts import prompt
from .seats import open_seat
from .tools import TOOLS, call_problem


def ask(question: str, options: Sequence[str]) -> str:
    """The user message: the question, then one lettered line an option."""
    lines = [question, *(f"{LETTERS[i]}) {option}" for i, option in enumerate(options))]
    return "\n".join(lines)


def opening(question: str, options: Sequence[str], mode: str) -> list[AnyMessage]:
    """The messages before the first turn."""
    return [SystemMessage(prompt(mode)), HumanMessage(ask(question, options))]


def malformed(message: AIMessage, mode: str) -> str | None:
    """Why the message's tool calls cannot be run, in words for the model; None where they can or there are none."""
    if message.invalid_tool_calls:
        return str(message.invalid_tool_calls[0].get("error") or "it is not valid JSON")[:200]
    if message.tool_calls and mode == "cot":
        return "there are no tools here"
    for call in message.tool_calls:
        problem = call_problem(call["name"], call["args"])
        if problem:
            return problem
    return None


async def reason(context: Context, messages: list[AnyMessage]) -> AIMessage:
    """One turn of the reasoning agent.

    Raises:
        ProviderError: the endpoint failed (the graph's retry policy decides what follows).
    """
    seat = await asyncio.to_thread(open_seat, context.team.reason)  # opening may read a model's files
    player = seat.bind_tools(list(TOOLS)) if context.mode == "react" else seat
    if not isinstance(messages[0], SystemMessage):  # a thread begun in Studio holds the user's words alone
        messages = [SystemMessage(prompt(context.mode)), *messages]
    reply = await player.ainvoke(messages)
    if not isinstance(reply, AIMessage):
        raise TypeError(f"seat {context.team.reason.model!r} returned a {type(reply).__name__}")
    return reply
