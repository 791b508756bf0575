"""Exporters: conversations of the dataset as rows of another trainer's format, each with a reader that gets them back.

An exporter registers a class without arguments::

    @exporters.register("trl")
    class Trl:
        title = "what its rows are, for the card"
        def write(self, conversation: Conversation) -> dict[str, Any]: ...
        def read(self, row: Mapping[str, Any]) -> Conversation: ...

`rows` writes; it reads every row back and refuses one that does not hold the same messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agents.errors import ConfigError, StageError
from agents.registry import Registry


@dataclass(frozen=True)
class Conversation:
    """One episode as it is trained on."""

    messages: list[dict[str, Any]]
    """OpenAI's chat form with arguments as dicts; `train: false` marks a turn of the assistant that is not trained."""
    tools: list[dict[str, Any]]
    """JSON schemas in OpenAI's form."""
    about: dict[str, Any] = field(default_factory=dict)
    """Columns beside them: `key`, `task_id`, `level`, `kind`, of a dropped episode `reason`."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Conversation:
        """A row of data/sft.jsonl."""
        rest = {name: value for name, value in row.items() if name not in ("messages", "tools")}
        return cls(list(row["messages"]), json.loads(row["tools"]), rest)


class Exporter(Protocol):
    """One format."""

    title: str
    """What its rows are, in a phrase; it stands on the card."""

    def write(self, conversation: Conversation) -> dict[str, Any]:
        """One row of the format, as JSON values."""

    def read(self, row: Mapping[str, Any]) -> Conversation:
        """Inverse of `write`: the same messages and tools; columns where the format has room for them."""


exporters: Registry[type[Exporter]] = Registry(
    "exporter",
    {
        "trl": "distill.exporters.trl",
        "openai": "distill.exporters.openai",
        "sharegpt": "distill.exporters.sharegpt",
    },
)


def opened(name: str) -> Exporter:
    """The exporter of a name, or the user's own by `/path/file.py:Class`.

    Raises:
        ConfigError: there is none of that name, or it lacks a method.
    """
    made = exporters.get(name)()
    lacks = [each for each in ("title", "write", "read") if not hasattr(made, each)]
    if lacks:
        raise ConfigError(f"exporter {name!r} has no {lacks[0]!r}: it needs title, write and read")
    return made


def rows(exporter: Exporter, conversations: Iterable[Conversation]) -> Iterator[dict[str, Any]]:
    """The row of each conversation, read back before it is given out.

    Raises:
        StageError: what is read of a row is not what was written.
    """
    for conversation in conversations:
        row = exporter.write(conversation)
        back = exporter.read(json.loads(json.dumps(row)))
        wanted, found = comparable(conversation), comparable(back)
        if wanted != found:
            at = next(
                (at for at, pair in enumerate(zip(wanted, found, strict=False)) if pair[0] != pair[1]), len(found)
            )
            raise StageError(
                f"episode {conversation.about.get('key')!r} does not come back from its row of "
                f"{type(exporter).__name__}: message {at} differs; use another --format, or leave the episode out"
            )
        yield row


def comparable(conversation: Conversation) -> list[Any]:
    """What two conversations have to agree in: the tools, then each message.

    Ids of calls are numbered in their order, an absent text is an empty one, and only `train: false` says anything.
    """
    ids: dict[str, int] = {}
    found: list[Any] = [conversation.tools]
    for message in conversation.messages:
        calls = [
            (ids.setdefault(call["id"], len(ids)), call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        ]
        found.append(
            {
                "role": message["role"],
                "content": message.get("content") or "",
                "reasoning_content": message.get("reasoning_content") or "",
                "calls": calls,
                "call": ids.get(message.get("tool_call_id", ""), message.get("tool_call_id")),
                "name": message.get("name"),
                "train": message["role"] != "assistant" or message.get("train", True),
            }
        )
    return found


def called(messages: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    """Each message with the call that it is expected to answer: the first of the turn before that has no result yet.

    None for every message that is no tool's, and for a tool's where no call is open.
    """
    open_calls: list[Mapping[str, Any]] = []
    for message in messages:
        if message["role"] == "assistant":
            open_calls = list(message.get("tool_calls") or ())
        yield message, open_calls.pop(0) if message["role"] == "tool" and open_calls else None
