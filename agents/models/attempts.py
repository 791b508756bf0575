"""Replies that a node got before it failed: the retry policy repeats the whole node, and they are not bought again.

A node may call more than once: the extract seat reads passages side by side, a first thought comes before a turn, an
unreadable judgement is asked for again. What LangGraph repeats is the node, with nothing left of its first attempt. An
episode lays a memory into the context of its tasks (`remembered`); it holds the replies of the node that runs, for
endpoints only, and forgets them when another node begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langgraph.runtime import get_runtime

from ..context import Seat
from ..spent import Spent


@dataclass(frozen=True)
class Request:
    """What makes two calls the same."""

    seat: Seat
    role: str
    messages: tuple[BaseMessage, ...]
    tools: int
    """Id of the tools' schemas, which are the same object in every attempt."""
    options: str

    @classmethod
    def of(
        cls, seat: Seat, role: str, messages: Sequence[BaseMessage], tools: Sequence[Any], options: Mapping[str, Any]
    ) -> Request:
        """The request of a call."""
        return cls(seat, role, tuple(messages), id(tools) if tools else 0, repr(sorted(options.items())))


@dataclass
class Answer:
    """A reply that was paid for."""

    request: Request
    reply: AIMessage
    row: Spent
    attempt: int
    """The last attempt of the node that it was used in: the same request twice in one attempt is two calls."""


@dataclass
class Memory:
    """The replies of the node that runs."""

    task: str = ""
    answers: list[Answer] = field(default_factory=list)


_MEMORY: ContextVar[Memory | None] = ContextVar("retort_memory", default=None)


@contextmanager
def remembered() -> Iterator[None]:
    """Nodes that run within, one after the other, do not buy a reply twice."""
    token = _MEMORY.set(Memory())
    try:
        yield
    finally:
        _MEMORY.reset(token)


def attempt_of(memory: Memory) -> int | None:
    """Which attempt of its node this is, from 1; None outside of a node. Another node's replies are forgotten."""
    try:
        info = get_runtime().execution_info
    except (RuntimeError, AttributeError):  # outside of a graph
        return None
    if info is None:
        return None
    if info.task_id != memory.task:
        memory.task, memory.answers = info.task_id, []
    return info.node_attempt


def bought_before(request: Request) -> tuple[AIMessage, Spent] | None:
    """The reply that an earlier attempt of the running node got to the same request, and what it cost."""
    memory = _MEMORY.get()
    attempt = attempt_of(memory) if memory is not None else None
    if memory is None or attempt is None or attempt == 1:
        return None
    for answer in memory.answers:
        if answer.attempt < attempt and answer.request == request:
            answer.attempt = attempt
            return answer.reply, answer.row
    return None


def remember(request: Request, reply: AIMessage, row: Spent) -> None:
    """Hold a reply until another node begins."""
    memory = _MEMORY.get()
    attempt = attempt_of(memory) if memory is not None else None
    if memory is not None and attempt is not None:
        memory.answers.append(Answer(request, reply, row, attempt))
