"""Whether the longest prompt of the board fits the endpoint: by what it declares, and by sending one of that length."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .findings import Finding
from .line import Line, Reply
from .need import Need
from .script import IN_THOUGHT, long_prompt

KEYS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""What servers call it in a row of GET /models: vLLM and SGLang, routers, hosts, desktop servers."""
MOST_PROBE = 32_000
"""Tokens of the long probe at the most: a longer one costs more than it tells."""
LEAST_SHARE = 0.9
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
    probe = min(need.worst - ANSWER_TOKENS, MOST_PROBE)
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
    if whole.prompt < LEAST_SHARE * expected:
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
    said = _SAID.search(reply.said.replace(",", ""))
    limit = int(said.group(1)) if said else 0
    return too_short(need, limit, f"a prompt of about {probe:,} tokens is refused: {reply.said}")


def silently(need: Need, seen: str) -> Finding:
    """The endpoint cuts prompts and does not say so."""
    step = "serve it with a longer context: what is cut is the start, the rules and the question among it"
    return Finding("context_too_short", "broken", f"{seen}; the board can need {need.worst:,}", step)


def unmeasured(reply: Reply) -> Finding:
    """No statement."""
    why = f"{reply.kind}: {reply.said}" if reply.kind else "no token counts, and the code word is not repeated"
    return Finding("context", "warning", f"not measured ({why})", "compare the server's context with `retort plan`")
