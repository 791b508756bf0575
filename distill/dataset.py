"""Kept episodes and allowed pages become training files in TRL's conversational form, with a card.

`tools` is a JSON string (Arrow would fill a schema's absent keys with null); tool-call arguments stay dicts, which
`load_dataset("json")` of datasets 5 keeps as they are.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agents.corpus.chunks import Chunk
from agents.files import write_json, write_jsonl, write_text
from agents.task import Task
from graphs.trajectory import Trajectory

from .keep import Sorted, legend

_KEYS = ("role", "content", "tool_calls", "tool_call_id", "name")
Optional = Literal["repaired", "revised"]
"""Filters that `[dataset] drop` may name."""


class DatasetConfig(BaseModel):
    """[dataset] of run.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_task: int = 1
    """Accepted episodes kept of one task and mode, the shortest first."""
    reasoning: bool = False
    """Whether a teacher's hidden reasoning is trained, before the turn's content."""
    drop: tuple[Optional, ...] = ()
    """Good episodes that are left out all the same: `repaired`, in which a malformed call was sent back, and `revised`,
    in which an answer was. Kept, they are trained without the turn that was sent back (`"train": false`)."""


def sft_row(trajectory: Trajectory, *, reasoning: bool = False) -> dict[str, Any]:
    """One training row: messages, tools as a JSON string, and where the row comes from.

    A turn that was sent back says `"train": false`; every other turn of the assistant is trained.
    """
    messages = []
    for message in trajectory.messages:
        row = {key: message[key] for key in _KEYS if key in message}
        if reasoning and message.get("reasoning_content"):
            row["reasoning_content"] = message["reasoning_content"]
        if message["role"] == "assistant" and message.get("train") is False:
            row["train"] = False
        messages.append(row)
    return {
        "messages": messages,
        "tools": json.dumps(list(trajectory.tools), ensure_ascii=False),
        "key": trajectory.key,
        "task_id": trajectory.task_id,
    }


def cpt_row(chunk: Chunk) -> dict[str, Any]:
    """One page section as text for continual pretraining."""
    return {"text": f"{chunk.title}\n{chunk.text}".strip(), "chunk": chunk.id}


def training_texts(
    kept: Iterable[Trajectory], chunks: Iterable[Chunk], config: DatasetConfig
) -> Iterator[tuple[str, str]]:
    """(id, text) of everything that a student will be trained on, by the config's rows, one at a time."""
    for t in kept:
        yield t.key, training_text(sft_row(t, reasoning=config.reasoning))
    for chunk in chunks:
        yield chunk.id, cpt_row(chunk)["text"]


def training_text(row: Mapping[str, Any]) -> str:
    """All that a row of data/sft.jsonl says: each value of its messages and tools on lines of its own.

    Made of the row itself, so that no field can be trained that is not searched. Keys of the form (`role`, `content`)
    are left out; names of arguments and of a schema's properties are said by somebody, and are in.
    """
    return "\n".join([*said(row["messages"]), *said(json.loads(row["tools"]))])


def said(value: Any, named: bool = False) -> Iterator[str]:
    """The values in a JSON value as texts, and its keys where `named`."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "train" and not named:
                continue
            if named:
                yield str(key)
            yield from said(inner, named or key in ("arguments", "properties"))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from said(inner, named)
    elif value is not None:
        yield str(value)


def write_dataset(
    run: Path, tasks: Mapping[str, Task], result: Sorted, chunks: Sequence[Chunk], config: DatasetConfig
) -> dict[str, Any]:
    """Write data/sft.jsonl, data/cpt.jsonl, dataset.json and the card; returns the counts."""
    folder = run / "data"
    levels: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    teams: Counter[str] = Counter()
    turns = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal turns
        for t in result.kept:
            levels[tasks[t.task_id].level] += 1
            kinds[tasks[t.task_id].kind] += 1
            teams[t.team] += 1
            turns += t.usage.calls
            yield sft_row(t, reasoning=config.reasoning)

    write_jsonl(folder / "sft.jsonl", rows())
    write_jsonl(folder / "cpt.jsonl", (cpt_row(chunk) for chunk in chunks))
    counts: dict[str, Any] = {
        "ledger": len(result.kept) + len(result.dropped),
        "kept": len(result.kept),
        "dropped": len(result.dropped),
        "reasons": result.reasons(),
        "levels": dict(levels.most_common()),
        "kinds": dict(kinds.most_common()),
        "cpt_chunks": len(chunks),
        "turns": turns,
        "teams": dict(teams),
    }
    write_json(run / "dataset.json", counts)
    write_text(folder / "README.md", card(counts))
    return counts


def card(counts: Mapping[str, Any]) -> str:
    """The dataset card, with the front matter that dataset hubs read."""
    dropped = "".join(f"| `{name}` | {number} | {legend(name)} |\n" for name, number in counts["reasons"].items())
    table = f"\n| reason | episodes | meaning |\n| --- | ---: | --- |\n{dropped}" if dropped else ""
    levels = ", ".join(f"{name} {number}" for name, number in counts["levels"].items())
    teams = ", ".join(f"{name} {number}" for name, number in counts["teams"].items())
    return f"""---
configs:
- config_name: sft
  data_files: sft.jsonl
- config_name: cpt
  data_files: cpt.jsonl
tags: [retort, distillation, tool-use]
---
# Dataset of this run

Made by `retort dataset`. Ledger: {counts["ledger"]} episodes = {counts["kept"]} kept + {counts["dropped"]} dropped.
{table}
- `sft.jsonl`: {counts["kept"]} conversations, {counts["turns"]} assistant turns, TRL conversational form: `messages`
  (thought in `content`, `tool_calls` with dict arguments), `tools` (JSON string), `key` of the episode, `task_id`.
  A turn that was sent back has `"train": false`: it is read and not learnt.
  By level: {levels or "none"}. Teams: {teams or "none"}.
- `cpt.jsonl`: {counts["cpt_chunks"]} manual sections as `text`; those of held-out entities, and those that name one,
  are left out.

Load: `datasets.load_dataset("json", data_files="sft.jsonl")` (datasets >= 5.2 keeps arguments free of nulls).
"""
