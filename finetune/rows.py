"""Rows of episodes and texts: read line by line, checked, and handed to TRL without a key added.

Arrow gives every tool call the keys of every other tool's calls, filled with null, unless a column is told to stay
JSON; a student would be trained on `"k": null`. What the dataset holds is compared with the lines of the file.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict

from agents.errors import StageError
from agents.files import read_lines_kept
from agents.models.rendering import escape_special_tokens, plain, render

if TYPE_CHECKING:
    from datasets import Dataset
    from langchain_core.messages import BaseMessage

    from agents.context import Transport

ROLES = ("system", "user", "assistant", "tool")
T = TypeVar("T")
IGNORED = -100
"""The label of a token that carries no loss."""


class Row(BaseModel):
    """One episode to train on."""

    model_config = ConfigDict(frozen=True)

    number: int
    """Line in the file, from 1."""
    messages: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...]

    @property
    def turns(self) -> list[int]:
        """Indexes of the assistant's messages."""
        return [at for at, message in enumerate(self.messages) if message["role"] == "assistant"]

    @property
    def trained(self) -> list[int]:
        """Of these, the ones that a student is trained on: all but those that say `"train": false`."""
        return [at for at in self.turns if self.messages[at].get("train") is not False]


def read_episodes(path: Path) -> list[Row]:
    """Read data/sft.jsonl.

    Raises:
        StageError: the file is absent or empty, or a line (named) is no episode.
    """
    rows = [checked_row(path, number, value) for number, value in numbered_lines(path)]
    if not rows:
        raise StageError(f"{path} holds no row: collect more episodes, or loosen what is kept")
    return rows


def read_texts(path: Path) -> list[str]:
    """Read the texts of data/cpt.jsonl; raises StageError like `read_episodes`."""
    texts: list[str] = []
    for number, value in numbered_lines(path):
        if not isinstance(value.get("text"), str):
            raise StageError(f"{path}, line {number}: no 'text': run the stage 'dataset' again")
        if value["text"].strip():
            texts.append(value["text"])
    if not texts:
        raise StageError(f"{path} holds no text: run the stage 'dataset' again")
    return texts


def episodes_dataset(rows: Sequence[Row], tok: Any) -> Dataset:
    """Rows as TRL reads them: `messages` as the one rendering reads them, `tools` as a JSON string.

    Raises:
        StageError: a value of a row does not come back from the dataset as it went in.
    """
    from datasets import Dataset

    raw = [{"messages": plain(tok, row.messages), "tools": json.dumps(row.tools)} for row in rows]
    dataset = Dataset.from_list(raw, on_mixed_types="use_json")
    for row, before, after in zip(rows, raw, dataset, strict=True):
        if json.dumps(before["messages"], sort_keys=True) != json.dumps(after["messages"], sort_keys=True):
            raise StageError(f"row {row.number}: the dataset library changed its messages: {after['messages']!r}")
    return dataset


def spoken(row: Row, transport: Transport) -> Row:
    """The row as a seat with this transport sends it: tools in the system message, calls and observations as words.

    A row without tools stays as it is, and so does every row of the native transport: that is how they are served.
    """
    if transport == "native" or not row.tools:
        return row
    from agents.models.hf import to_chat
    from agents.toolcalls import outgoing

    sent = outgoing(transport, [_langchain(message) for message in row.messages], row.tools)
    messages = to_chat(sent)
    turns = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    for at, turn in zip(turns, row.turns, strict=True):
        if turn not in row.trained:
            messages[at]["train"] = False
    return row.model_copy(update={"messages": tuple(messages), "tools": ()})


def _langchain(message: Mapping[str, Any]) -> BaseMessage:
    """A message of the file in the form that transports read."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    text, role = message.get("content") or "", message["role"]
    if role == "tool":
        return ToolMessage(text, tool_call_id=message.get("tool_call_id") or "", name=message.get("name"))
    if role != "assistant":
        return SystemMessage(text) if role == "system" else HumanMessage(text)
    functions = [call["function"] for call in message.get("tool_calls") or []]
    calls: list[Any] = [
        {"name": each["name"], "args": each["arguments"], "id": "", "type": "tool_call"} for each in functions
    ]
    thought = message.get("reasoning_content")
    return AIMessage(text, tool_calls=calls, additional_kwargs={"reasoning_content": thought} if thought else {})


def masked_dataset(rows: Sequence[Row], tok: Any) -> Dataset:
    """Rows as tokens and labels, for templates that do not mark what the assistant writes, and rows with a turn that is
    not trained.

    A turn's tokens are those between the prompt that serving renders for it and the prompt with the turn in it. That
    the one is the beginning of the other is what the template proof shows before a step is trained.
    """
    from datasets import Dataset

    made = []
    for row in rows:
        ids = render(tok, row.messages, row.tools, add_generation_prompt=False)
        labels = [IGNORED] * len(ids)
        for turn, (start, end) in zip(row.turns, spans(row, tok), strict=True):
            if turn in row.trained:
                labels[start:end] = ids[start:end]
        made.append({"input_ids": ids, "labels": labels})
    return Dataset.from_list(made)


def spans(row: Row, tok: Any) -> list[tuple[int, int]]:
    """First token and the one behind the last of each of the assistant's turns, as serving would make it write them."""
    found = []
    for turn in row.turns:
        start = len(render(tok, row.messages[:turn], row.tools, add_generation_prompt=True))
        found.append((start, len(render(tok, row.messages[: turn + 1], row.tools, add_generation_prompt=False))))
    return found


def like_lengths(rows: Sequence[T], lengths: Sequence[int], batch: int, seed: int) -> list[T]:
    """Rows in the order of training: rows of like length share a batch, and the batches come in random order.

    Padding is most of what a step on a CPU would cost. The trainer's own `group_by_length` sorts 50 batches at a time:
    long episodes come first and short ones last, and a small student forgot how episodes of two searches begin.
    """
    rng = random.Random(seed)
    order = sorted(range(len(rows)), key=lambda i: (lengths[i], rng.random()))
    batches = [order[start : start + batch] for start in range(0, len(order), batch)]
    short = batches.pop() if batches and len(batches[-1]) < batch else []  # a batch that is not full must stay the last
    rng.shuffle(batches)
    return [rows[i] for part in [*batches, short] for i in part]


def texts_dataset(texts: Sequence[str], tok: Any) -> Dataset:
    """Texts as TRL reads them, control tokens in them kept as text."""
    from datasets import Dataset

    return Dataset.from_list([{"text": escape_special_tokens(tok, text)} for text in texts])


def numbered_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Number and value of every line; raises StageError for the first broken one."""
    values, remarks = read_lines_kept(path)
    if remarks:
        raise StageError(f"{path}, {remarks[0]}: run the stage 'dataset' again")
    filled = [at for at, line in enumerate(path.read_bytes().split(b"\n"), 1) if line.strip()]
    return list(zip(filled, values, strict=True))


def checked_row(path: Path, number: int, value: dict[str, Any]) -> Row:
    """A line of the file as a row; raises StageError, naming file and line, where it is none."""
    where = f"{path}, line {number}"
    messages, tools = value.get("messages"), value.get("tools")
    if not isinstance(messages, list) or not messages:
        raise StageError(f"{where}: no 'messages': run the stage 'dataset' again")
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise StageError(f"{where}: {message!r:.120} is no message with a role of {', '.join(ROLES)}")
        for call in message.get("tool_calls") or []:
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict) or not isinstance(function.get("arguments"), dict):
                raise StageError(f"{where}: the tool call {call!r:.120} has no dict of arguments")
    try:
        tools = json.loads(tools) if isinstance(tools, str) else tools or []
    except ValueError as error:
        raise StageError(f"{where}: 'tools' is no JSON ({error})") from None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise StageError(f"{where}: 'tools' is no list of schemas")
    row = Row(number=number, messages=tuple(messages), tools=tuple(tools))
    if not row.trained:
        raise StageError(f"{where}: no assistant turn, so nothing to train on")
    return row
