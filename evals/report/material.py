"""What the report tells beside the leaderboard: read from the run folder, each part absent where its file is."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from agents.files import as_record, read_json, read_models
from agents.task import LEVELS, Task

_TRAINING = ("method", "rows", "tokens", "trained_tokens", "max_length", "steps", "seconds", "first_loss", "last_loss")


class Point(BaseModel):
    """A row of losses.jsonl, as far as the report draws it."""

    step: float
    loss: float


class ShownProof(BaseModel):
    """One proof, from leaks.json, board.json or students/STAGE/proofs.json."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    passed: bool
    detail: str = ""
    numbers: dict[str, float | int | str] = {}
    of: str = ""
    """What was proved: the exam, the board, or a student's stage."""


def students(run: Path) -> list[Path]:
    """Folders of the trained students in the order of their training, then by name; unfinished ones left out."""
    found = {path.name: path for path in sorted((run / "students").glob("*")) if path.is_dir()}
    names = [*(name for name in trained_in_order(run) if name in found), *found]
    folders = [found[name] for name in dict.fromkeys(names)]
    return [path for path in folders if not path.name.startswith(".") and not path.name.endswith(".partial")]


def trained_in_order(run: Path) -> list[str]:
    """The names of the run's trainings, by its own run.toml; nothing where that cannot be read."""
    try:
        stages = tomllib.loads((run / "run.toml").read_text(encoding="utf-8"))["student"]["stages"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [str(stage).rpartition(":")[2] for stage in stages]


def proofs(run: Path) -> list[ShownProof]:
    """All proofs of a run, in the order in which they were made.

    Raises:
        StageError: a file of proofs is broken.
    """
    files = [("leaks.json", "training text", "dataset")]
    files += [(f"students/{path.name}/proofs.json", path.name, path.name) for path in students(run)]
    files += [("board.json", "leaderboard", "evaluate")]
    found = []
    for name, of, stage in files:
        if (run / name).exists():
            rows = read_json(run / name, stage)
            rows = rows if isinstance(rows, list) else [rows]
            shown = [{**row, "of": of} if isinstance(row, dict) else row for row in rows]
            found += [as_record(row, ShownProof, run / name, stage) for row in shown]
    return found


def curves(run: Path) -> dict[str, list[tuple[float, float]]]:
    """Student -> (step, loss) points."""
    found: dict[str, list[tuple[float, float]]] = {}
    for folder in students(run):
        path = folder / "losses.jsonl"
        rows = read_models(path, Point, folder.name) if path.exists() else []
        points = [(row.step, row.loss) for row in rows]
        if points:
            found[folder.name] = points
    return found


def trainings(run: Path) -> list[dict[str, Any]]:
    """One row a student: how it was trained."""
    rows = []
    for folder in students(run):
        if (folder / "training.json").exists():
            record = optional(run, f"students/{folder.name}/training.json", folder.name)
            rows.append({"student": folder.name, **{name: record.get(name) for name in _TRAINING}})
    return rows


def optional(run: Path, name: str, stage: str) -> dict[str, Any]:
    """A JSON object of the run folder, empty where the file is absent."""
    value = read_json(run / name, stage) if (run / name).exists() else {}
    return value if isinstance(value, dict) else {}


def composition(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """One row a level and kind: how many tasks each split has, and how many held-out ones are of unseen modules."""
    rows = []
    for level in LEVELS:
        for kind in sorted({task.kind for task in tasks if task.level == level}):
            of_kind = [task for task in tasks if task.level == level and task.kind == kind]
            splits = Counter(task.split for task in of_kind)
            unseen = sum(task.unseen_module for task in of_kind if task.split == "test")
            rows.append(
                {"level": level, "kind": kind, **{s: splits[s] for s in ("train", "dev", "test")}, "unseen": unseen}
            )
    return rows
