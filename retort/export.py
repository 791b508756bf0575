"""`retort export`: the dataset of a run as one folder that other tools read, with its card."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agents.files import as_record, read_json, read_models, write_jsonl, write_text
from agents.folders import made_folder
from agents.task import Task
from distill.dataset import EPISODES, TEXTS, sft_row
from distill.exporters import Conversation, Exporter, opened, rows
from distill.exporters.containers import ENDINGS, LOADS, check_container, contain
from distill.keep import legend
from evals.report.collected import rows_of
from graphs.trajectory import Trajectory

from .folders import check_run

OLDER = {"messages": ("trl", "jsonl"), "parquet": ("trl", "parquet"), "hf": ("trl", "hf")}
"""Name of --format before there were containers -> exporter, container."""


def export(
    run: Path, out: Path, form: str = "trl", container: str = "jsonl", *, dropped: bool = False, pages: bool = False
) -> str:
    """Write the dataset of a run folder to `out`.

    Args:
        out: absent, empty, or made by an export before and not changed since.
        form: an exporter (distill/exporters), or the user's own by `/path/file.py:Class`.
        container: jsonl, parquet or hf.
        dropped: also the episodes that are not trained on, each with its reason.
        pages: also the sections of the manual for continual pretraining.

    Returns:
        What was written, as a line.

    Raises:
        StageError: no run folder, its dataset is not made yet, or an episode that the format cannot hold.
        ConfigError: no such exporter or container.
        FolderError: `out` holds something that no export made.
        MissingExtra: Parquet and hf need the extra `train`.
    """
    note = ""
    if form in OLDER:
        note = f"; --format {form} is the older name of --format {' --container '.join(OLDER[form])}"
        form, container = OLDER[form]
    check_container(container)
    exporter = opened(form)
    check_run(run)
    counts = read_json(run / "dataset.json", "dataset")
    tasks = {task.id: task for task in read_models(run / "exam.jsonl", Task, "exam")}
    parts: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {EPISODES.stem: lambda: rows(exporter, kept(run, tasks))}
    if dropped:
        parts["dropped"] = lambda: rows(exporter, left_out(run, tasks))
    if pages:
        parts[TEXTS.stem] = lambda: rows_of(run / "data" / TEXTS.name, "dataset")
    numbers = {}
    with made_folder(out, "export") as fresh:
        for name, made in parts.items():
            numbers[name] = write_jsonl(fresh / f"{name}.jsonl", made())
        contain(fresh, list(parts), container)
        write_text(fresh / "README.md", card(run, exporter, container, counts, numbers))
    how = form if container == "jsonl" else f"{form} in {container}"
    return f"{out}: " + ", ".join(f"{number} rows of {name}" for name, number in numbers.items()) + f", {how}{note}"


def about(task: Task | None) -> dict[str, Any]:
    """Columns that tell of an episode's task."""
    return {"level": task.level if task else None, "kind": task.kind if task else None}


def kept(run: Path, tasks: Mapping[str, Task]) -> Iterator[Conversation]:
    """The episodes that students are trained on, each with what its task is."""
    for row in rows_of(run / "data" / EPISODES.name, "dataset"):
        yield Conversation.of({**row, **about(tasks.get(row["task_id"]))})


def left_out(run: Path, tasks: Mapping[str, Task]) -> Iterator[Conversation]:
    """The episodes that no student is trained on, each with the reason."""
    for row in rows_of(run / "dropped.jsonl", "dataset"):
        reason = row.pop("reason", "")
        trajectory = as_record(row, Trajectory, run / "dropped.jsonl", "dataset")
        yield Conversation.of({**sft_row(trajectory), **about(tasks.get(trajectory.task_id)), "reason": reason})


MEANS = {
    EPISODES.stem: "the episodes kept for fine-tuning; `key` and `task_id` name each in its run",
    "dropped": "the episodes that no student is trained on, with the `reason`",
    TEXTS.stem: "sections of the manual as `text`, without those of held-out entities",
}


def card(run: Path, exporter: Exporter, container: str, counts: Mapping[str, Any], numbers: Mapping[str, int]) -> str:
    """The dataset card, with the front matter that dataset hubs read."""
    from .config import load_config

    config = load_config(run)
    ending = ENDINGS[container]
    front = "".join(f"- config_name: {name}\n  data_files: {name}{ending}\n" for name in numbers if numbers[name])
    front = f"configs:\n{front}" if container != "hf" else ""
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
- form: {exporter.title}
- ledger: {counts["ledger"]} episodes = {counts["kept"]} kept + {counts["dropped"]} dropped
- kept by level: {levels}
- player: team `{config.collect.team}`, `{team.partition("@")[0]}`
- licence: that of the manual for what is quoted of it, and the terms of the player's model for what it wrote
{reasons}
Load it with `datasets` 5.2 or later: `{LOADS[container]}`. Train on the assistant's messages alone.
"""
