"""`retort export`: the dataset of a run as one folder that other tools read, with its card."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from agents.errors import need
from agents.files import as_record, read_json, read_models, write_jsonl, write_text
from agents.folders import made_folder
from agents.task import Task
from distill.dataset import sft_row
from distill.keep import legend
from evals.report.collected import rows_of
from graphs.trajectory import Trajectory

from .folders import check_run

Format = Literal["messages", "sharegpt", "parquet", "hf"]
FORMATS: dict[Format, str] = {
    "messages": "JSON lines: `messages` in OpenAI's chat form and `tools`, as TRL and most trainers read them",
    "sharegpt": "JSON lines: `conversations` of `from` and `value`; tools and calls as text in the Hermes form",
    "parquet": "the columns of `messages` in Parquet files, which `datasets` reads back as they were",
    "hf": "one folder a split, as `datasets.load_from_disk` reads it",
}
"""Format -> what it is."""
SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "tool"}


def export(run: Path, out: Path, form: Format = "messages", *, dropped: bool = False, pages: bool = False) -> str:
    """Write the dataset of a run folder to `out`.

    Args:
        out: absent, empty, or made by an export before and not changed since.
        dropped: also the episodes that are not trained on, each with its reason.
        pages: also the sections of the manual for continual pretraining.

    Returns:
        What was written, as a line.

    Raises:
        StageError: no run folder, or its dataset is not made yet.
        FolderError: `out` holds something that no export made.
        MissingExtra: Parquet and hf need the extra `train`.
    """
    check_run(run)
    counts = read_json(run / "dataset.json", "dataset")
    tasks = {task.id: task for task in read_models(run / "exam.jsonl", Task, "exam")}
    parts: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {"sft": lambda: kept(run, tasks)}
    if dropped:
        parts["dropped"] = lambda: left_out(run, tasks)
    if pages:
        parts["cpt"] = lambda: rows_of(run / "data" / "cpt.jsonl", "dataset")
    numbers = {}
    with made_folder(out, "export") as fresh:
        for name, rows in parts.items():
            talks = name != "cpt"
            if form == "sharegpt" and talks:
                numbers[name] = write_jsonl(fresh / f"{name}.jsonl", map(sharegpt, rows()))
            else:
                numbers[name] = write_jsonl(fresh / f"{name}.jsonl", rows())
        if form in ("parquet", "hf"):
            converted(fresh, list(parts), form)
        write_text(fresh / "README.md", card(run, form, counts, numbers))
    return f"{out}: " + ", ".join(f"{number} rows of {name}" for name, number in numbers.items()) + f", {form}"


def about(task: Task | None) -> dict[str, Any]:
    """Columns that tell of an episode's task."""
    return {"level": task.level if task else None, "kind": task.kind if task else None}


def kept(run: Path, tasks: Mapping[str, Task]) -> Iterator[dict[str, Any]]:
    """The rows that students are trained on, each with what its task is."""
    for row in rows_of(run / "data" / "sft.jsonl", "dataset"):
        yield {**row, **about(tasks.get(row["task_id"]))}


def left_out(run: Path, tasks: Mapping[str, Task]) -> Iterator[dict[str, Any]]:
    """The episodes that no student is trained on, each with the reason."""
    for row in rows_of(run / "dropped.jsonl", "dataset"):
        reason = row.pop("reason", "")
        trajectory = as_record(row, Trajectory, run / "dropped.jsonl", "dataset")
        yield {**sft_row(trajectory), **about(tasks.get(trajectory.task_id)), "reason": reason}


def sharegpt(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its messages as `conversations`; the tools stand in the system message, calls in the text."""
    from agents.toolcalls.hermes import described, observations, turn

    tools = json.loads(row["tools"])
    said: list[dict[str, str]] = []
    for message in row["messages"]:
        value = str(message["content"])
        if message["role"] == "assistant":
            calls = [each["function"] for each in message.get("tool_calls") or ()]
            value = turn(value, [(each["name"], json.dumps(each["arguments"], ensure_ascii=False)) for each in calls])
        elif message["role"] == "tool":
            value = observations([value])
        elif message["role"] == "system" and tools:
            value = f"{value}\n\n{described(tools)}"
        said.append({"from": SPEAKERS[message["role"]], "value": value})
    rest = {key: value for key, value in row.items() if key not in ("messages", "tools")}
    return {"conversations": said, **rest}


def converted(folder: Path, names: list[str], form: Format) -> None:
    """Replace NAME.jsonl of a folder by NAME.parquet, or by a folder NAME."""
    import tempfile

    datasets = need("datasets", "train")
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        for name in names:
            rows = folder / f"{name}.jsonl"
            if not rows.stat().st_size:  # no column can be told of an empty file
                rows.unlink()
                continue
            with tempfile.TemporaryDirectory() as cache:
                table = datasets.Dataset.from_json(str(rows), cache_dir=cache)
                if form == "parquet":
                    table.to_parquet(str(folder / f"{name}.parquet"))
                else:
                    table.save_to_disk(str(folder / name))
            rows.unlink()
    finally:
        if shown:
            datasets.enable_progress_bars()


LOADS: dict[Format, str] = {
    "messages": 'load_dataset("json", data_files="sft.jsonl")',
    "sharegpt": 'load_dataset("json", data_files="sft.jsonl")',
    "parquet": 'Dataset.from_parquet("sft.parquet")',
    "hf": 'load_from_disk("sft")',
}
MEANS = {
    "sft": "the episodes kept for fine-tuning; `key` and `task_id` name each in its run",
    "dropped": "the episodes that no student is trained on, with the `reason`",
    "cpt": "sections of the manual as `text`, without those of held-out entities",
}


def card(run: Path, form: Format, counts: Mapping[str, Any], numbers: Mapping[str, int]) -> str:
    """The dataset card, with the front matter that dataset hubs read."""
    from .config import load_config

    config = load_config(run)
    ending = {"parquet": ".parquet", "hf": ""}.get(form, ".jsonl")
    front = "".join(f"- config_name: {name}\n  data_files: {name}{ending}\n" for name in numbers if numbers[name])
    front = f"configs:\n{front}" if form != "hf" else ""
    rows = "".join(f"| `{name}{ending}` | {number} | {MEANS[name]} |\n" for name, number in numbers.items())
    why = "".join(f"| `{name}` | {number} | {legend(name)} |\n" for name, number in counts["reasons"].items())
    reasons = f"\n| reason to drop | episodes | meaning |\n| --- | ---: | --- |\n{why}" if why else ""
    team = config.teams[config.collect.team].reason.model
    levels = ", ".join(f"{name} {number}" for name, number in counts["levels"].items()) or "none"
    return f"""---
{front}tags: [retort, distillation, tool-use]
---
# Episodes of the run `{config.name}`

Made by `retort export`. Questions about one manual, answered in turns with tools; every kept episode ended with the
right answer, and its quotes stand in what it retrieved. Held-out entities, questions and pages stand in none of them.

| file | rows | what |
| --- | ---: | --- |
{rows}
- form: {FORMATS[form]}
- ledger: {counts["ledger"]} episodes = {counts["kept"]} kept + {counts["dropped"]} dropped
- kept by level: {levels}
- player: team `{config.collect.team}`, `{team.partition("@")[0]}`
- licence: that of the manual for what is quoted of it, and the terms of the player's model for what it wrote
{reasons}
Load it with `datasets` 5.2 or later: `{LOADS[form]}`. Train on the assistant's messages alone.
"""
