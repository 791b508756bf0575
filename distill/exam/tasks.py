"""Turns the drafts that were chosen for an exam into its tasks: ids, positions of the gold, splits."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.answers import fold
from agents.task import Split, Task

from .drafts import Draft
from .fill import Filled
from .split import Division


def aliases(gold: str) -> tuple[str, ...]:
    """Other spellings of a gold that are as right: an argument without its angle brackets."""
    inner = re.fullmatch(r"<([^<>]+)>", gold)
    return (inner.group(1),) if inner else ()


@dataclass
class TaskMaker:
    """Turns filled splits into tasks."""

    division: Division
    rng: random.Random

    def of(self, filled: Mapping[str, Sequence[Filled]]) -> tuple[list[Task], list[str]]:
        """All tasks by split, each split in a mixed order; and for each task with options its cell."""
        tasks: list[Task] = []
        cells: list[str] = []
        for split in ("train", "dev", "test"):
            made: list[tuple[Task, str]] = []
            for part in filled[split]:
                made += self._kind(part)
            self.rng.shuffle(made)
            tasks += [task for task, _ in made]
            cells += [cell for task, cell in made if task.options]
        return tasks, cells

    def _kind(self, part: Filled) -> list[tuple[Task, str]]:
        """The gold stands in every position equally often within a kind."""
        rows = [(draft, one.options) for one in part.dealt for draft in one.drafts]
        self.rng.shuffle(rows)
        made = []
        for number, (draft, listed) in enumerate(rows):
            options = [option for option in listed if option != draft.gold]
            self.rng.shuffle(options)
            options.insert(number % len(listed), draft.gold)
            made.append((self.of_draft(draft, tuple(options)), draft.cell))
        return made + [(self.of_draft(draft, ()), "") for draft in part.single]

    def of_draft(self, draft: Draft, options: tuple[str, ...]) -> Task:
        """The task of a draft with these options."""
        split: Split = "train" if draft.cell.startswith("train") else "dev" if draft.cell == "dev" else "test"
        held = set(self.division.held_out.modules)
        name = hashlib.sha256(fold(draft.question).encode()).hexdigest()[:10]
        return Task(
            id=f"{draft.kind}-{name}",
            question=draft.question,
            options=options,
            gold=draft.gold,
            aliases=aliases(draft.gold),
            parts=draft.parts,
            level=draft.level,
            kind=draft.kind,
            entities=draft.entities,
            group=draft.group,
            groups=draft.groups,
            unseen_module=split == "test" and all(module in held for module in draft.modules),
            evidence=tuple(dict.fromkeys(hop.chunk for hop in draft.hops)),
            hops=draft.hops,
            split=split,
            provenance=dict(draft.provenance),
        )
