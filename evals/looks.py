"""Counts how often the test was looked at: which students it was evaluated with, in scores/looks.json.

Whoever evaluates on `test`, changes something and evaluates again has chosen by the test, and its figures flatter. The
split `dev` is for choosing; the leaderboard says with how many different students the test was evaluated.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from agents.errors import StageError
from agents.files import read_json, write_json
from agents.task import Task
from graphs.trajectory import digest

FILE = "looks.json"


class Look(BaseModel):
    """The test evaluated with the same students, once or more."""

    model_config = ConfigDict(frozen=True)

    exam: str
    """Hash of the test's questions: a new exam is counted anew."""
    students: tuple[str, ...]
    """Fingerprints of the players that were made by this run."""
    players: dict[str, str]
    """Arm -> fingerprint, at the last time."""
    first: str
    """When; UTC."""
    last: str
    times: int = 1


def looks(run: Path) -> list[Look]:
    """What is recorded; nothing where the file is absent or broken."""
    try:
        return [Look.model_validate(row) for row in read_json(run / "scores" / FILE, "evaluate")]
    except (StageError, ValueError, TypeError):
        return []


def looked(run: Path, tasks: Sequence[Task], players: Mapping[str, str], students: Sequence[str]) -> None:
    """Record that the test was evaluated.

    Args:
        tasks: all tasks of the test, also where only some were played.
        players: arm -> fingerprint of who sat there.
        students: arms whose players this run made; where there are none, every arm counts as one.
    """
    chosen = tuple(sorted({players[arm] for arm in students} or set(players.values())))
    exam, now = exam_hash(tasks), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    known = {(look.exam, look.students): look for look in looks(run)}
    before = known.get((exam, chosen))
    known[exam, chosen] = Look(
        exam=exam,
        students=chosen,
        players=dict(players),
        first=before.first if before else now,
        last=now,
        times=before.times + 1 if before else 1,
    )
    write_json(run / "scores" / FILE, [look.model_dump(mode="json") for look in known.values()])


def different_students(run: Path, tasks: Sequence[Task]) -> int:
    """With how many different students this test was evaluated; 1 where nothing is recorded."""
    exam = exam_hash(tasks)
    return max(1, sum(look.exam == exam for look in looks(run)))


def exam_hash(tasks: Sequence[Task]) -> str:
    """Hash of what a test asks."""
    return digest(sorted((task.id, task.question, task.gold) for task in tasks))
