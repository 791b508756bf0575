"""The search agent: rewrites the query, retrieves passages, extracts what answers it.

Contextual answer extraction (arXiv 2510.00482, section 3) is switchable: off gives whole passages, `lexical` the lines
nearest to the query by shared words, `seat` what a language model copies out of the passage.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from langchain_core.messages import HumanMessage, SystemMessage

from .answers import fold
from .context import Context
from .corpus.chunks import Chunk
from .corpus.tokens import words
from .errors import ProviderError
from .extractor import LATE, extracted_lines
from .models.desk import call
from .models.meter import count
from .prompts import prompt
from .providers import provider_of, split_spec
from .spent import Spent
from .text import writable

NOTHING = "nothing found"
LINE_CHARS = 240
"""A longer line is cut to a window of this many characters round its match: signatures run to 500."""


async def rewrite(context: Context, query: str, *, seconds: float | None = None) -> tuple[str, list[Spent]]:
    """The query to retrieve with, and what it cost.

    Without a search seat the query goes in as written; an empty rewrite is ignored.

    Args:
        seconds: what the episode has left; None = only the seat's own `timeout` counts.

    Raises:
        ProviderError: the endpoint failed; the node's retry policy decides what follows.
        TimeoutError: `seconds` have passed.
    """
    seat = context.team.search
    if seat is None:
        return query, []
    messages = [SystemMessage(prompt("rewrite")), HumanMessage(query)]
    reply, row = await call(seat, "search", messages, seconds=seconds, recorded_as="rewrite")
    better = fold(writable(str(reply.content)).partition("\n")[0])
    return better or query, [row]


def extract(context: Context, query: str, passages: Sequence[Chunk]) -> str:
    """The observation made of `passages` without a model: whole, or the lines nearest to the query."""
    if context.board.extract == "off":
        return observation(passages, [passage.text.strip() for passage in passages])
    count = context.board.extract_lines
    return observation(passages, [nearest_lines(query, passage, count) for passage in passages])


async def read(
    context: Context, query: str, passages: Sequence[Chunk], *, seconds: float | None = None
) -> tuple[str, list[Spent]]:
    """The observation made of `passages` by the extract seat, which reads them side by side, and what it cost.

    Args:
        seconds: what the episode has left; None = only the seat's own `timeout` counts.

    Raises:
        TimeoutError: `seconds` have passed at one of them.
        ProviderError: the endpoint failed at one of them; the node's retry policy decides what follows.
        OutOfBudget: one of them was not sent.
    """
    reading = (copied_lines(context, query, passage, seconds) for passage in passages)
    # All are waited for: what was sent is billed, and a repeated node finds the replies (agents/models/attempts.py).
    ended = await asyncio.gather(*reading, return_exceptions=True)
    failed = [each for each in ended if isinstance(each, BaseException)]
    if failed:
        raise next((each for each in failed if not isinstance(each, ProviderError)), failed[0])
    found = [each for each in ended if not isinstance(each, BaseException)]
    return observation(passages, [text for text, _ in found]), [row for _, rows in found for row in rows]


def observation(passages: Sequence[Chunk], texts: Sequence[str]) -> str:
    """What the reasoning agent reads: a numbered title line and what is left of each passage."""
    blocks = zip(passages, texts, strict=True)
    parts = [f"[{n}] {passage.title}\n{text}" for n, (passage, text) in enumerate(blocks, 1) if text]
    return "\n\n".join(parts) or NOTHING


async def copied_lines(
    context: Context, query: str, passage: Chunk, seconds: float | None = None
) -> tuple[str, list[Spent]]:
    """What the extract seat copies out of a passage; lines that do not stand in it are thrown away."""
    seat = context.team.extract or context.team.reason
    if provider_of(split_spec(seat.model)).remote:  # asked for a structured reply; a small student copies plain lines
        lines, spent, mended = await extracted_lines(seat, query, passage.title, passage.text, seconds=seconds)
        count(*mended)
        if LATE in mended:
            raise TimeoutError
        return "\n".join(lines), spent
    asked = f"Query: {query}\nPassage: {passage.title}\n{passage.text}"
    reply, row = await call(seat, "extract", [SystemMessage(prompt("extract")), HumanMessage(asked)], seconds=seconds)
    whole = fold(passage.text)
    lines = [line.strip() for line in str(reply.content).splitlines()]
    return "\n".join(line for line in lines if line and fold(line) in whole), [row]


@lru_cache(maxsize=65_536)
def line_words(line: str) -> tuple[str, ...]:
    """`words` of a line; the same pages are found again and again."""
    return tuple(words(line))


def nearest_lines(query: str, passage: Chunk, count: int) -> str:
    """The `count` lines of a passage that share most with the query, its first line always among them, in their order.

    Words of the passage's title do not count: they found the passage, and say nothing of its lines. The others weigh
    more the fewer lines hold them, log(1 + lines / holding), and longer lines less, as in BM25 with b = 0.5.
    """
    lines = [line.strip() for line in passage.text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return ""
    held = [line_words(line) for line in lines]
    frequency = Counter(word for line in held for word in set(line))
    found = set(words(passage.title))
    asked = set(words(query)) - found or set(words(query))
    weight = {word: math.log(1 + len(lines) / frequency[word]) for word in asked if frequency[word]}
    mean = sum(map(len, held)) / len(held) or 1.0
    scores = [sum(weight.get(word, 0.0) for word in set(line)) / (0.5 + 0.5 * len(line) / mean) for line in held]
    best = sorted(range(1, len(lines)), key=lambda i: (-scores[i], i))[: max(0, count - 1)]
    least = max(scores) / 2  # a line with half of what the best one has to say says nothing of the query
    chosen = [0, *sorted(i for i in best if scores[i] > 0 and scores[i] >= least)]
    return "\n".join(window(lines[i], asked) for i in chosen)


def window(line: str, asked: set[str]) -> str:
    """A long line cut round the longest query word that it holds; what is cut away shows as an ellipsis."""
    if len(line) <= LINE_CHARS:
        return line
    at = -1
    for word in sorted(asked, key=lambda w: (-len(w), w)):
        # The last whole-word match: a parameter's default stands after the name that opens the line.
        found = [m.start() for m in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", line, re.IGNORECASE)]
        if found and found[-1] > 0:
            at = found[-1]
            break
    start = max(0, min(at - LINE_CHARS // 4, len(line) - LINE_CHARS)) if at >= 0 else 0
    end = min(len(line), start + LINE_CHARS)
    return ("… " if start else "") + line[start:end] + (" …" if end < len(line) else "")
