"""How long a prompt an episode can come to need, from the board's limits: tokens by rule of thumb, and it says so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from agents.context import Board
from agents.prompts import prompt

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
