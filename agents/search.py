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

from langchain_core.messages import HumanMessage, SystemMessage

from .answers import fold
from .context import Context
from .library.chunks import Chunk
from .library.index import words
from .prompts import prompt
from .seats import open_seat

NOTHING = "nothing found"
LINE_CHARS = 240
"""A longer line is cut to a window of this many characters round its match: signatures run to 500."""


async def rewrite(context: Context, query: str) -> tuple[str, int, int]:
    """The query to retrieve with, and the prompt and completion tokens that it cost.

    Without a search seat the query goes in as written; an empty rewrite is ignored.
    """
    if context.team.search is None:
        return query, 0, 0
    seat = await asyncio.to_thread(open_seat, context.team.search)
    reply = await seat.ainvoke([SystemMessage(prompt("rewrite")), HumanMessage(query)])
    usage = getattr(reply, "usage_metadata", None) or {}
    better = fold(str(reply.content).partition("\n")[0])
    return better or query, usage.get("input_tokens", 0), usage.get("output_tokens", 0)


async def extract(context: Context, query: str, passages: Sequence[Chunk]) -> tuple[str, int, int]:
    """The observation made of `passages`, and the prompt and completion tokens that it cost."""
    if not passages:
        return NOTHING, 0, 0
    spent_in = spent_out = 0
    parts: list[str] = []
    for number, passage in enumerate(passages, 1):
        text = passage.text.strip()
        if context.board.extract == "lexical":
            text = nearest_lines(query, passage, context.board.extract_lines)
        elif context.board.extract == "seat":
            text, used_in, used_out = await copied_lines(context, query, passage)
            spent_in, spent_out = spent_in + used_in, spent_out + used_out
        if text:
            parts.append(f"[{number}] {passage.title}\n{text}")
    return "\n\n".join(parts) or NOTHING, spent_in, spent_out


async def copied_lines(context: Context, query: str, passage: Chunk) -> tuple[str, int, int]:
    """What the extract seat copies out of a passage; lines that do not stand in it are thrown away."""
    seat = await asyncio.to_thread(open_seat, context.team.extract or context.team.reason)
    asked = f"Query: {query}\nPassage: {passage.title}\n{passage.text}"
    reply = await seat.ainvoke([SystemMessage(prompt("extract")), HumanMessage(asked)])
    usage = getattr(reply, "usage_metadata", None) or {}
    whole = fold(passage.text)
    lines = [line.strip() for line in str(reply.content).splitlines()]
    kept = [line for line in lines if line and fold(line) in whole]
    return "\n".join(kept), usage.get("input_tokens", 0), usage.get("output_tokens", 0)


def nearest_lines(query: str, passage: Chunk, count: int) -> str:
    """The `count` lines of a passage that share most with the query, its first line always among them, in their order.

    Words of the passage's title do not count: they found the passage, and say nothing of its lines. The others weigh
    more the fewer lines hold them, log(1 + lines / holding), and longer lines less, as in BM25 with b = 0.5.
    """
    lines = [line.strip() for line in passage.text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return ""
    held = [words(line) for line in lines]
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
