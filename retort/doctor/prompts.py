"""Whether prompts arrive whole: thoughts come back to the model, and the longest prompt of the board fits.

Measured by prompt tokens: two histories that differ only in the length of a thought must differ in what they cost, and
a prompt of the needed length must cost what its words cost. How long a prompt an episode can come to need follows from
the board's limits, tokens by rule of thumb.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage

from agents.context import Board
from agents.prompts import prompt
from agents.tools import SEARCH

from .conversation import (
    EXTRA_WORDS,
    IN_RESULT,
    IN_THOUGHT,
    SHORT,
    Turn,
    history,
    long_prompt,
    long_thought,
    other_wire,
    says_nothing,
    silent,
    turn_tokens,
    wire_options,
    with_code_words,
)
from .findings import Finding
from .line import Line, Reply

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
            seen = f"{name} fails ({reply.kind} {reply.status or ''}): {reply.problem}"
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
        return [
            Finding("thought", "warning", f"not measured: {long.problem or 'no token count'}", "run the doctor again")
        ]
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
    text = f"{reply.content} {reply.thought}"
    if IN_THOUGHT in text:
        seen = "a code word from the thought beside the call is repeated (no tokens are counted)"
        return Finding("thought", "fine", seen)
    if IN_RESULT in text:
        seen = "of two code words the one in the observation is repeated, the one in the thought is not"
        return Finding("thought_lost", "broken", seen)
    why = f": {reply.problem}" if reply.problem else ""
    seen = f"not measured: no tokens are counted, and neither of two code words is repeated{why}"
    return Finding("thought", "warning", seen, 'transport = "text", where thoughts are plain text')


CHARS = 4
"""Characters a token: English and code; a tiny vocabulary takes two to three times as many tokens."""
QUESTION_CHARS = 700
"""A question with its options."""
SCHEMA_CHARS = 700
"""Schemas of the offered tools as templates write them, one tool."""
TITLE_CHARS = 80
CHUNK_CHARS = 1200
"""Longest chunk where no library is made yet."""
LIKELY_OBSERVATION_CHARS = 400
"""The longest of 4,931 lexical observations of three runs had 408."""


@dataclass(frozen=True)
class Need:
    """Tokens of the longest call, reply included."""

    worst: int
    """Every turn writes `max_tokens`, every passage is as long as the longest."""
    likely: int
    """Turns of half of `max_tokens`, usual passages."""
    how: str
    """What the worst case is made of."""


def longest_chunk(library: Path) -> int:
    """Characters of the library's longest chunk; 1,200, the length they are cut to, where it is not made yet."""
    longest = 0
    try:
        with (library / "chunks.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                longest = max(longest, len(json.loads(line).get("text", "")))
    except (OSError, ValueError, AttributeError):
        return CHUNK_CHARS
    return longest or CHUNK_CHARS


def need(board: Board, max_tokens: int, chunk: int, chars: float = CHARS) -> Need:
    """What the last call of an episode can need.

    Args:
        board: the rules, with their limits.
        max_tokens: of one reply of the seat.
        chunk: characters of the longest chunk.
        chars: characters a token of the model's vocabulary.
    """
    from agents.search import LINE_CHARS
    from agents.tools.library_tools import OPEN_CHARS

    lexical = board.extract == "lexical"
    passage = min(chunk, board.extract_lines * (LINE_CHARS + 4)) if lexical else chunk
    worst_seen = board.top_k * (TITLE_CHARS + passage)
    lookups = board.limits.searches
    if {"open", "find"} & set(board.tools):
        worst_seen, lookups = max(worst_seen, OPEN_CHARS), board.limits.steps  # these are not counted as searches
    likely_seen = min(worst_seen, LIKELY_OBSERVATION_CHARS if lexical else board.top_k * (TITLE_CHARS + chunk // 2))
    first = (len(prompt("react")) + QUESTION_CHARS + SCHEMA_CHARS * max(1, len(board.tools))) / chars
    how = f"{board.limits.steps} turns of {max_tokens} tokens, {lookups} observations of {worst_seen:,} characters"
    return Need(
        worst=_longest_call(board, lookups, int(first), max_tokens, max_tokens, int(worst_seen / chars)),
        likely=_longest_call(board, lookups, int(first), max(1, max_tokens // 2), max_tokens, int(likely_seen / chars)),
        how=how,
    )


def _longest_call(board: Board, lookups: int, first: int, turn: int, max_tokens: int, observation: int) -> int:
    """Prompt and reply of the longest call that the limits allow."""
    prompt_tokens, spent, seen = first, 0, 0
    for _ in range(board.limits.steps - 1):
        spent += prompt_tokens + turn
        if spent >= board.limits.tokens:  # the episode ends here, so no later call is made
            break
        prompt_tokens += turn
        if seen < lookups:
            prompt_tokens += observation
            seen += 1
    return prompt_tokens + max_tokens


KEYS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""What servers call it in a row of GET /models: vLLM and SGLang, routers, hosts, desktop servers."""
MAX_PROBE = 32_000
"""Tokens of the long probe at the most: a longer one costs more than it tells."""
MIN_SHARE = 0.9
"""Share of the expected tokens below which a prompt was cut; templates add 30 to 60 tokens to each of both probes."""
ANSWER_TOKENS = 16
_SAID = re.compile(r"(?:maximum context|context (?:length|size|window)|max_model_len)\D{0,40}?(\d{3,8})", re.IGNORECASE)


def declared(row: Mapping[str, Any] | None) -> int | None:
    """Tokens of context that a row of GET /models declares."""
    for key in KEYS:
        value = (row or {}).get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


async def space_findings(line: Line, need: Need, row: Mapping[str, Any] | None, counts: bool) -> list[Finding]:
    """Findings on the context.

    Args:
        line: the endpoint.
        need: what the board can need.
        row: the model's row of GET /models.
        counts: whether the endpoint counts prompt tokens.
    """
    limit = declared(row)
    if limit is not None and limit < need.worst:
        return [too_short(need, limit, f"the endpoint declares {limit:,} tokens")]
    probe = min(need.worst - ANSWER_TOKENS, MAX_PROBE)
    if not counts:
        return [await by_code_word(line, need, limit, probe)]
    part = max(64, probe // 4)
    small = await line.say(long_prompt(part), most=ANSWER_TOKENS)
    if small.kind == "context":
        return [refused(need, part, small)]
    if small.kind or not small.prompt:
        return [unmeasured(small)]
    count = max(part, round(probe * part / small.prompt))
    whole = await line.say(long_prompt(count), most=ANSWER_TOKENS)
    if whole.kind == "context":
        return [refused(need, probe, whole)]
    if whole.kind or whole.prompt is None:
        return [unmeasured(whole)]
    expected = round(small.prompt * count / part)
    if whole.prompt < MIN_SHARE * expected:
        seen = (
            f"prompts are cut without a word: {part:,} words cost {small.prompt:,} tokens, {count:,} words "
            f"{whole.prompt:,} instead of about {expected:,}"
        )
        return [silently(need, seen)]
    declares = f", {limit:,} declared" if limit else ""
    longest = "" if probe >= need.worst - ANSWER_TOKENS else f" (of {need.worst:,} that the board can need)"
    return [Finding("context", "fine", f"a prompt of {whole.prompt:,} tokens arrives whole{declares}{longest}")]


async def by_code_word(line: Line, need: Need, limit: int | None, probe: int) -> Finding:
    """Without token counts: does a code word at the start of a long prompt still arrive?"""
    reply = await line.say(long_prompt(probe), most=64)
    if reply.kind == "context":
        return refused(need, probe, reply)
    if reply.kind:
        return unmeasured(reply)
    if IN_THOUGHT in f"{reply.content} {reply.thought}":
        declares = f", {limit:,} tokens declared" if limit else ""
        return Finding("context", "fine", f"the first words of {probe:,} arrive (no tokens counted){declares}")
    control = await line.say(long_prompt(64), most=64)
    if IN_THOUGHT in f"{control.content} {control.thought}":
        seen = f"a code word that opens a message of 64 words is repeated, one that opens {probe:,} words is not"
        return silently(need, seen)
    return unmeasured(control)


def too_short(need: Need, limit: int, seen: str) -> Finding:
    """Broken where a usual episode does not fit, a warning where only the longest one does not."""
    seen = f"{seen}; an episode usually needs up to {need.likely:,}, by the board up to {need.worst:,} ({need.how})"
    step = "serve it with a longer context, or lower board.limits.steps, board.top_k or the seat's max_tokens"
    return Finding("context_too_short", "broken" if limit < need.likely else "warning", seen, step)


def refused(need: Need, probe: int, reply: Reply) -> Finding:
    """The endpoint refused a long prompt, and perhaps says what it takes."""
    text = _SAID.search(reply.problem.replace(",", ""))
    limit = int(text.group(1)) if text else 0
    return too_short(need, limit, f"a prompt of about {probe:,} tokens is refused: {reply.problem}")


def silently(need: Need, seen: str) -> Finding:
    """The endpoint cuts prompts and does not say so."""
    step = "serve it with a longer context: what is cut is the start, the rules and the question among it"
    return Finding("context_too_short", "broken", f"{seen}; the board can need {need.worst:,}", step)


def unmeasured(reply: Reply) -> Finding:
    """No statement."""
    why = f"{reply.kind}: {reply.problem}" if reply.kind else "no token counts, and the code word is not repeated"
    return Finding("context", "warning", f"not measured ({why})", "compare the server's context with `retort plan`")
