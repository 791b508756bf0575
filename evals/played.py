"""Reads what was played: the exam's tasks, an arm's episodes, and whether they all belong on one leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from agents.errors import BoardError, StageError
from agents.files import read_jsonl
from agents.task import Form, Task
from distill.exam.baselines import BASELINES
from graphs.trajectory import Trajectory

from .places import Split, score_stem, scores_folder
from .rows import ArmSpec

R = TypeVar("R", bound=BaseModel)


def again(split: Split, arm: str) -> str:
    """What to do where an arm's scores are missing or do not fit."""
    how = "run the stage 'evaluate'" if split == "test" else "run `retort evaluate --split dev`"
    return f"{how} for arm {arm!r} again"


def read_exam(run: Path, tasks: int | None = None, split: Split = "test") -> tuple[list[Task], list[Task]]:
    """(tasks of the split, training tasks) of a run; `tasks` = only the first so many of the split.

    Raises:
        StageError: no exam, or no task of that split in it.
    """
    path = run / "exam.jsonl"
    if not path.exists():
        raise StageError(f"{path} is not there: run the stage 'exam' first")
    every = read_records(path, Task, "run the stage 'exam' again")
    asked = [task for task in every if task.split == split][:tasks]
    if not asked:
        raise StageError(f"{path} holds no task of split {split!r}: there is nothing to score, raise exam.{split}")
    return asked, [task for task in every if task.split == "train"]


def read_arm(run: Path, arm: str, *, form: Form | None = None, split: Split = "test") -> list[Trajectory]:
    """The recorded episodes of an arm; `form` = in a form beside the primary one.

    Raises:
        StageError: the arm was never played.
    """
    path = scores_folder(run, split) / f"{score_stem(arm, form)}.trajectories.jsonl"
    return read_records(path, Trajectory, again(split, arm))


def read_records(path: Path, record: type[R], next_step: str) -> list[R]:
    """The rows of a file as records.

    Raises:
        StageError: no such file, or a row in it that is no such record.
    """
    if not path.exists():
        raise StageError(f"{path} is not there: {next_step}")
    try:
        return [record.model_validate(row) for row in read_jsonl(path)]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StageError(
            f"{path} holds a row that is no {record.__name__} ({where}: {first['msg']}): {next_step}"
        ) from None


def one_board(boards: Iterable[tuple[str, str]]) -> str | None:
    """The hash of the one board on which everything was played; None when nothing was.

    Args:
        boards: (arm, hash of the board) of whatever was played.

    Raises:
        BoardError: two boards, with the arms and the hashes.
    """
    arms: dict[str, set[str]] = {}
    for arm, board in boards:
        arms.setdefault(board, set()).add(arm)
    if len(arms) > 1:
        stated = "; ".join(f"{board!r}: {', '.join(sorted(names))}" for board, names in sorted(arms.items()))
        raise BoardError(
            f"arms were played on different boards ({stated}): run the stage 'evaluate' again for all of them"
        )
    return next(iter(arms), None)


def check_names(arms: Sequence[ArmSpec], forms: Sequence[Form]) -> None:
    """Raise BoardError where two arms share a file of scores, or one has the name of a trivial baseline."""
    files: dict[str, str] = {}
    for arm in arms:
        if arm.name in BASELINES:
            raise BoardError(f"arm {arm.name!r} has the name of a trivial baseline: rename it")
        for stem in {score_stem(arm.name, form).casefold() for form in (None, *forms[1:])}:
            if stem in files:
                raise BoardError(f"arms {files[stem]!r} and {arm.name!r} share a file of scores: rename one of them")
            files[stem] = arm.name


def check_played(arms: Sequence[ArmSpec], form: Form, played: Mapping[str, Sequence[Trajectory]]) -> None:
    """Raise BoardError where an arm was played in another mode or form than its row says."""
    for arm in arms:
        for trajectory in played.get(arm.name, ()):
            for what, text, was in (("mode", arm.mode, trajectory.mode), ("form", form, trajectory.form)):
                if text != was:
                    raise BoardError(
                        f"arm {arm.name!r} says {what} {text!r} and was played in {was!r}: evaluate it again"
                    )
