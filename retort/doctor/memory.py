"""Whether what the model thought comes back to it: in the running turn, and after a further user message.

Measured by prompt tokens: two histories that differ only in the length of a thought must differ in what they cost.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from langchain_core.messages import BaseMessage

from agents.tools import SEARCH

from .findings import Finding
from .line import Line, Reply
from .script import EXTRA_WORDS, IN_RESULT, IN_THOUGHT, SHORT, history, long_thought, with_code_words
from .turns import Turn, other_wire, says_nothing, silent, turn_tokens, wire_options

LEAST = EXTRA_WORDS // 4
"""Tokens that so many more words cost at the least: a quarter of a token a word is less than any vocabulary needs."""
COUNT_TOKENS = 16
MENDED = ("thought_lost", "history_rendered_differently")
"""Findings for which another transport is tried."""


async def memory_findings(line: Line, turn: Turn) -> tuple[list[Finding], list[Reply]]:
    """Findings on the second and third turn, and their replies."""
    call_id = turn.call_id

    async def say(messages: list[BaseMessage], most: int) -> Reply:
        from agents.toolcalls import outgoing

        return await line.say(outgoing(turn.wire, messages, [SEARCH]), most=most, **wire_options(turn.wire))

    def past(further: bool, thought: str = SHORT, reasoning: str = "") -> list[BaseMessage]:
        return history(thought, reasoning=reasoning, further=further, call_id=call_id)

    played = turn_tokens(line)
    second, third = await asyncio.gather(say(past(False), played), say(past(True), played))
    found = [] if says_nothing(turn.reply) else turn_findings([second, third])
    if second.kind:
        return found, [second, third]
    if second.prompt is None:
        found.append(by_code_words(await say(with_code_words(call_id), 64)))
        return await with_steps(line, turn, found), [second, third]
    rows: dict[str, dict[str, Any]] = {"content": {"thought": long_thought()}}
    if turn.reply.thought:
        rows["reasoning_content"] = {"reasoning": long_thought()}
    for field, varied in rows.items():
        now, later = await asyncio.gather(*(say(past(further, **varied), COUNT_TOKENS) for further in (False, True)))
        found += by_tokens(field, (second, now), (third, later))
    return await with_steps(line, turn, found), [second, third]


async def with_steps(line: Line, turn: Turn, found: list[Finding]) -> list[Finding]:
    """The findings, with another transport as the next step of those it mends: tried, not guessed."""
    if not any(each.name in MENDED for each in found):
        return found
    step = "another server or chat template: this one drops parts of plain messages"
    if turn.wire == "native":
        other = await other_wire(line, turn.wire)
        step = "another server or chat template: no other transport brought a call"
        if other is not None:
            step = f'transport = "{other.wire}", through which a call came'
    return [replace(each, step=step) if each.name in MENDED else each for each in found]


def turn_findings(replies: list[Reply]) -> list[Finding]:
    """Second and third turn: neither refused nor empty."""
    names = ("the turn after the observation", "the turn after a further user message")
    found = []
    for name, reply in zip(names, replies, strict=True):
        if reply.kind:
            seen = f"{name} fails ({reply.kind} {reply.status or ''}): {reply.said}"
            found.append(Finding("history_refused", "broken", seen, 'transport = "text" puts everything in plain text'))
        elif says_nothing(reply):
            found.append(silent(reply, name))
    if not found:
        kinds = ["a call" if reply.calls else "an answer" for reply in replies]
        found.append(Finding("conversation", "fine", f"three turns: a question, then {kinds[0]}, then {kinds[1]}"))
    return found


def by_tokens(field: str, now: tuple[Reply, Reply], later: tuple[Reply, Reply]) -> list[Finding]:
    """Compare (short thought, long thought) in the running turn, and after a further user message."""
    (short, long), (short_later, long_later) = now, later
    if short.prompt is None or long.prompt is None:
        return [Finding("thought", "warning", f"not measured: {long.said or 'no token count'}", "run the doctor again")]
    more = long.prompt - short.prompt
    seen = f"{EXTRA_WORDS} more words of {field} beside the call cost {more} prompt tokens"
    pair = f"({short.prompt} and {long.prompt})"
    if more < LEAST:
        return [Finding("thought_lost", "broken", f"{seen} {pair}: the model never sees its thought again")]
    found = [Finding("thought", "fine", f"{seen} {pair}")]
    if short_later.prompt is None or long_later.prompt is None:
        return found  # that this turn fails is told already
    kept = long_later.prompt - short_later.prompt
    if kept >= more - max(2, more // 10):
        return [*found, Finding("history", "fine", f"{kept} tokens after a further user message, {more} before it")]
    seen += f", and {kept} once a further user message follows"
    if field == "content":
        return [*found, Finding("history_rendered_differently", "broken", seen)]
    # Templates of reasoning models do this by design; what it harms is the answer to a critique.
    seen += ": a critique is answered without the thoughts before it"
    return [*found, Finding("history_rendered_differently", "warning", seen)]


def by_code_words(reply: Reply) -> Finding:
    """The same by asking, where no tokens are counted."""
    said = f"{reply.content} {reply.thought}"
    if IN_THOUGHT in said:
        seen = "a code word from the thought beside the call is repeated (no tokens are counted)"
        return Finding("thought", "fine", seen)
    if IN_RESULT in said:
        seen = "of two code words the one in the observation is repeated, the one in the thought is not"
        return Finding("thought_lost", "broken", seen)
    why = f": {reply.said}" if reply.said else ""
    seen = f"not measured: no tokens are counted, and neither of two code words is repeated{why}"
    return Finding("thought", "warning", seen, 'transport = "text", where thoughts are plain text')
