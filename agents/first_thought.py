"""The first-thought prefix (arXiv 2505.17612, section 3.2): a teacher thinks without tools, and its agent begins there.

A model that is offered tools often calls one without a thought. Asked once without tools it does think; the first
sentence of that opens the first turn. The prefix is asked for in what is sent and stands on the record as the turn's
own beginning, so a student learns the thought and never the asking.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from .answers import fold
from .context import Context
from .models.desk import call
from .prompts import prompt
from .spent import Spent
from .text import writable

PREFIX_CHARS = 300

_BLOCK = re.compile(r"^.*</think>|<tool_call>.*?(?:</tool_call>|\Z)|```.*?(?:```|\Z)", re.DOTALL)
_MARK = re.compile(r"^(?:[\s>*_-]|\d+[.)]\s)+|[\s*_]+$")
_LABEL = re.compile(r"^(?:thought|first thought)\s*:[\s*_]*", re.IGNORECASE)
_TAG = re.compile(r"^(?:final )?(?:answer|quote|action|action input|observation)\b[\s*_]*:", re.IGNORECASE)
_CALL = re.compile(
    r"<\||</?(?:tool|function|think|call)\w*>|^[\[{]|\bsearch\(|\{\s*[\"'](?:name|query|arguments|parameters|function|tool)\b"
)
"""Templates' tokens, tags, JSON, and calls in prose. Other brackets and tags may be what a question is about."""
_END = re.compile(r"(?<!e\.g)(?<!i\.e)[.!?][\"”')]*(?=\s+[^a-z\s]|\s*$)")


async def first_thought(context: Context, question_message: str, *, seconds: float | None = None) -> tuple[str, Spent]:
    """Ask the reason seat to think without tools.

    Args:
        question_message: the user message of the episode: the question with its options.
        seconds: what the episode has left; None = only the seat's own `timeout` counts.

    Returns:
        The first sentence, empty where there is none to use, and what the call cost.

    Raises:
        ProviderError: the endpoint failed; the node's retry policy decides what follows.
        TimeoutError: `seconds` have passed.
    """
    messages = [SystemMessage(prompt("first_thought")), HumanMessage(question_message)]
    reply, row = await call(context.team.reason, "reason", messages, seconds=seconds, recorded_as="first_thought")
    return first_sentence(str(reply.text)), row


def first_sentence(text: str) -> str:
    """The first sentence of a thought as one line: no answer, no quote, no call, no heading, at most `PREFIX_CHARS`."""
    for raw in _BLOCK.sub("\n", writable(text)).splitlines():
        line = "".join(c for c in fold(raw) if c.isprintable())
        if line.startswith("#") or re.fullmatch(r"(\*\*|__).*\1:?", line):
            continue
        line = _LABEL.sub("", _MARK.sub("", line))
        if not re.search(r"\w", line) or line.endswith(":") or _TAG.match(line) or _CALL.search(line):
            continue
        end = _END.search(line)
        sentence = line[: end.end()] if end else line
        if len(sentence) > PREFIX_CHARS:
            sentence = sentence[: PREFIX_CHARS + 1].rpartition(" ")[0] or sentence[:PREFIX_CHARS]
        return sentence
    return ""


def opened_with(prefix: str, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The messages to send for the first turn; those on record stay as they are."""
    if not prefix:
        return list(messages)
    text = prompt("opened_with").format(prefix=prefix)
    if messages and isinstance(messages[0], SystemMessage):
        return [SystemMessage(f"{messages[0].text}\n{text}", id=messages[0].id), *messages[1:]]
    return [SystemMessage(text), *messages]


def with_prefix(prefix: str, reply: AIMessage) -> AIMessage:
    """The reply as recorded: it begins with the prefix exactly once, whether the model wrote it or not."""
    if not prefix:
        return reply
    words = r"\s+".join(map(re.escape, prefix.rstrip(".!?").split()))
    # In the model's hands the prefix may be quoted, set in bold, written in other case or without its full stop.
    written = re.compile(rf"[\s\"“'*_]*{words}(?!\.?\w)[.!?]*[\"”'*_]*(?:[.!?]+(?!\w))?[ \t]*", re.IGNORECASE)
    rest = str(reply.text)
    while found := written.match(rest):
        rest = rest[found.end() :].lstrip(",;:")
    rest = rest.strip() if not rest.startswith("\n") else "\n" + rest.strip()
    tagged = any(_TAG.match(_MARK.sub("", line)) for line in rest.splitlines()[:1])
    gap = "" if not rest or rest.startswith("\n") else "\n" if tagged else " "
    return reply.model_copy(update={"content": f"{prefix}{gap}{rest}"})
