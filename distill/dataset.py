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
from .rows import Row, RowFile, Source

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
    drop: tuple[Optional, ...] = ("repaired",)
    """Good episodes that are left out all the same: `repaired`, in which a malformed call was sent back, and `revised`,
    in which an answer was. Kept, they are trained without the turn that was sent back (`"train": false`). It stays in
    them as context: of a repaired one the words of a call that an endpoint may have broken."""


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
    """`texts_of` of the files that every run has."""
    return texts_of(Source({}, kept, chunks, config), STANDARD)


def texts_of(source: Source, files: Sequence[RowFile]) -> Iterator[tuple[str, str]]:
    """(id, text) of everything that a student may be trained on, by the config's rows, one at a time."""
    for file in files:
        for row in file.make(source):
            yield file.key(row), file.text(row)


def training_text(row: Mapping[str, Any]) -> str:
    """All that a row of data/sft.jsonl says: each value of its messages and tools on lines of its own.

    Made of the row itself, so that no field can be trained that is not searched. Keys of the form (`role`, `content`)
    are left out; names of arguments and of a schema's properties are said by somebody, and are in.
    """
    return "\n".join([*values_of(row["messages"]), *values_of(json.loads(row["tools"]))])


def values_of(value: Any, named: bool = False) -> Iterator[str]:
    """The values in a JSON value as texts, and its keys where `named`."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "train" and not named:
                continue
            if named:
                yield str(key)
            yield from values_of(inner, named or key in ("arguments", "properties"))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from values_of(inner, named)
    elif value is not None:
        yield str(value)


def episodes(source: Source) -> Iterator[Row]:
    """A row for each kept episode."""
    return (sft_row(t, reasoning=source.config.reasoning) for t in source.kept)


def sections(source: Source) -> Iterator[Row]:
    """A row for each section of the manual that may be trained."""
    return map(cpt_row, source.chunks)


EPISODES = RowFile(
    name="sft.jsonl",
    make=episodes,
    text=training_text,
    key=lambda row: str(row["key"]),
    about="TRL conversational form: `messages` (thought in `content`, `tool_calls` with dict arguments), `tools` (JSON "
    "string), `key` of the episode, `task_id`",
)
TEXTS = RowFile(
    name="cpt.jsonl",
    make=sections,
    text=lambda row: str(row["text"]),
    key=lambda row: str(row["chunk"]),
    about="manual sections as `text`",
)
STANDARD = (EPISODES, TEXTS)
"""The files that every run has, whatever it trains."""


class Tally:
    """Kept episodes, counted by what they are as they are read for the first time."""

    def __init__(self, kept: Iterable[Trajectory], tasks: Mapping[str, Task]) -> None:
        self._kept, self._tasks, self._seen = kept, tasks, set[str]()
        self.levels: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.teams: Counter[str] = Counter()
        self.turns = 0

    def __iter__(self) -> Iterator[Trajectory]:
        for t in self._kept:
            if t.key not in self._seen:
                self._seen.add(t.key)
                self.levels[self._tasks[t.task_id].level] += 1
                self.kinds[self._tasks[t.task_id].kind] += 1
                self.teams[t.team] += 1
                self.turns += t.usage.calls
            yield t


def write_dataset(
    run: Path,
    tasks: Mapping[str, Task],
    result: Sorted,
    chunks: Sequence[Chunk],
    config: DatasetConfig,
    files: Sequence[RowFile] = STANDARD,
) -> dict[str, Any]:
    """Write the `files` into data/, dataset.json and the card; returns the counts."""
    folder = run / "data"
    tally = Tally(result.kept, tasks)
    source = Source(tasks, tally, chunks, config, result.siblings)
    rows = {file: write_jsonl(folder / file.name, file.make(source)) for file in (*STANDARD, *files)}
    counts: dict[str, Any] = {
        "ledger": len(result.kept) + len(result.dropped),
        "kept": len(result.kept),
        "dropped": len(result.dropped),
        "reasons": result.reasons(),
        "levels": dict(tally.levels.most_common()),
        "kinds": dict(tally.kinds.most_common()),
        "cpt_chunks": rows[TEXTS],
        "turns": tally.turns,
        "teams": dict(tally.teams),
    }
    more = [file for file in rows if file not in STANDARD]
    if more:
        counts["rows"] = {file.stem: rows[file] for file in more}
    write_json(run / "dataset.json", counts)
    write_text(folder / "README.md", card(counts, more))
    return counts


def card(counts: Mapping[str, Any], more: Sequence[RowFile] = ()) -> str:
    """The dataset card, with the front matter that dataset hubs read.

    Args:
        more: files beside the standard ones.
    """
    named = "".join(f"- config_name: {file.stem}\n  data_files: {file.name}\n" for file in (*STANDARD, *more))
    stated = "".join(f"- `{file.name}`: {counts['rows'][file.stem]} rows: {file.about}.\n" for file in more)
    dropped = "".join(f"| `{name}` | {number} | {legend(name)} |\n" for name, number in counts["reasons"].items())
    table = f"\n| reason | episodes | meaning |\n| --- | ---: | --- |\n{dropped}" if dropped else ""
    levels = ", ".join(f"{name} {number}" for name, number in counts["levels"].items())
    teams = ", ".join(f"{name} {number}" for name, number in counts["teams"].items())
    return f"""---
configs:
{named}tags: [retort, distillation, tool-use]
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
{stated}
Load: `datasets.load_dataset("json", data_files="sft.jsonl")` (datasets >= 5.2 keeps arguments free of nulls).
"""
