"""The collected episodes that the report shows: tasks with a dropped one and others in turn, some episodes of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.errors import StageError
from agents.files import made_anew, made_first
from agents.task import Task
from agents.text import first_line
from graphs.runner.ledger import Ledger
from graphs.trajectory import Trajectory

SLOTS = 4
"""Episodes of one task that are shown at the most."""


def sorting(run: Path) -> dict[str, str]:
    """Key of a collected episode -> `kept`, or the reason for which it was dropped; empty before there is a dataset."""
    found: dict[str, str] = {}
    for name, reason in (("kept", "kept"), ("dropped", "")):
        path = run / f"{name}.jsonl"
        if path.exists():
            found |= {str(row.get("key")): reason or str(row.get("reason")) for row in rows_of(path, "dataset")}
    return found


def rows_of(path: Path, made_by: str) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines that a stage made, one at a time: it may be larger than memory.

    Raises:
        StageError: it is not there, or a line of it is no object; names the stage.
    """
    number = 0
    try:
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                number += 1
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError(f"a JSON {type(row).__name__} where an object is expected")
                yield row
    except FileNotFoundError:
        raise StageError(f"{path} is not there: {made_first(path, made_by)}") from None
    except ValueError as error:
        raise StageError(f"{path}, line {number}: {first_line(error)}: {made_anew(path, made_by)}") from None


@dataclass(frozen=True)
class Collected:
    """What was collected, to be read episode by episode."""

    ledger: Ledger
    tasks: Mapping[str, Task]
    places: Mapping[str, str]
    """Key -> task id, of every episode whose task the exam has."""
    sorted_as: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.places)

    def rows(self) -> Iterator[tuple[Task, list[Trajectory]]]:
        """Each task with its first episodes: tasks with a dropped one and those without in turn."""
        of_task: dict[str, list[str]] = {}
        for key, task in self.places.items():
            of_task.setdefault(task, []).append(key)

        def dropped(task: str) -> bool:
            return any(self.sorted_as.get(key, "kept") != "kept" for key in of_task[task])

        bad, good = [t for t in of_task if dropped(t)], [t for t in of_task if not dropped(t)]
        for i in range(max(len(bad), len(good))):
            for task in (*bad[i : i + 1], *good[i : i + 1]):
                yield self.tasks[task], [self.ledger.episode(key) for key in of_task[task][:SLOTS]]


@contextmanager
def collected(run: Path, tasks: Sequence[Task]) -> Iterator[Collected | None]:
    """The collected episodes of a run; None where there is no ledger or nothing in it."""
    path = run / "ledger.sqlite"
    if not path.exists():
        yield None
        return
    known = {task.id: task for task in tasks}
    with Ledger(path) as ledger:
        places = {key: task for key, task in ledger.tasks().items() if task in known}
        yield Collected(ledger, known, places, sorting(run)) if places else None
