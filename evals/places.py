"""Forms, splits and files: in which forms the exam is sat, and where the scores of an arm lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from agents.task import Form, Task

from .scores import file_stem

FORMS: tuple[Form, ...] = ("free", "choice")
"""The forms that a leaderboard shows unless it is told otherwise, the primary one first."""
How = Literal["graph", "likelihood", "none"]
"""How an arm sits the tasks of a form: it plays episodes; its options are weighed by their likelihood; not at all."""
Split = Literal["dev", "test"]


def scores_folder(run: Path, split: Split = "test") -> Path:
    """Where the scores of a split lie: those of `test` in scores/, those of `dev` in scores/dev/."""
    return run / "scores" if split == "test" else run / "scores" / split


def score_stem(arm: str, form: Form | None = None) -> str:
    """An arm's files begin with this; `form` = a form beside the primary one."""
    return file_stem(arm) + (f".{form}" if form else "")


def score_files(folder: Path) -> list[Path]:
    """The files of scores in a folder, one an arm and form; what was played or weighed stands beside them."""
    others = (".trajectories.jsonl", ".likelihood.jsonl")
    return [
        path
        for path in sorted(folder.glob("*.jsonl"))
        if not path.name.endswith(others) and path.name != "baselines.jsonl"  # of runs before it lay elsewhere
    ]


def asked_in(form: Form, tasks: Sequence[Task]) -> list[Task]:
    """The tasks that can be asked in a form: the choice form needs options."""
    return [task for task in tasks if form == "free" or task.options]
