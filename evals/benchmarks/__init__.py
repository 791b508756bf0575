"""Benchmarks: outside exams that the arms of a run sit beside its own, to see what a student can do no more.

A benchmark registers a class without arguments, a `Benchmark`: it makes or reads its items, says how one is played (by
default in THE graph, over a library of its own), and scores what was played. `retort benchmark NAME RUN` plays it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from agents.context import Board, Context, Mode, Team
from agents.registry import Registry
from agents.task import Task, is_right
from graphs.episode import Table, play
from graphs.trajectory import Trajectory

from ..scores import Column, Values

RIGHT = Column(title="right", legend="The item was done right.")
LIBRARY = "library"
"""Folder of a benchmark's own library, in the folder that it prepares."""


@dataclass(frozen=True)
class Player:
    """An arm that sits a benchmark."""

    arm: str
    context: Context
    """Its team at the benchmark's board."""
    role: str
    """Whose account calls outside THE graph go on."""

    @cached_property
    def table(self) -> Table:
        """The context with its hashes, for play in THE graph."""
        return Table.from_context(self.context)


class Benchmark:
    """One outside exam. A subclass gives `prepare`; `play` and `score` where an item is no question for THE graph."""

    title: str = ""
    """What it asks, in a phrase."""
    columns: ClassVar[Mapping[str, Column]] = {"right": RIGHT}
    """Name -> column of `score`. Arms are compared by the first one, which is 1 or 0."""

    def prepare(self, folder: Path) -> Sequence[Any]:
        """Its items: frozen pydantic records with an `id`; the same ones every time, and without a network.

        Args:
            folder: where it may write what it needs, such as a library (`write_library`).

        Raises:
            StageError: what it needs is not on this machine; says what to do.
        """
        raise NotImplementedError

    def board(self) -> Board:
        """The rules and tools of its board."""
        return Board()

    def context(self, team: Team, mode: Mode, folder: Path) -> Context:
        """What an arm plays with: its team at this board, over the library of the benchmark's folder."""
        return Context(team=team, library=str(folder / LIBRARY), board=self.board(), mode=mode)

    async def play(self, item: Any, player: Player) -> dict[str, Any]:
        """What an arm made of an item, as JSON values: here an episode of the task `item` in THE graph.

        Raises:
            ProviderError: the endpoint failed; it is played again.
            OutOfBudget: the budget is used up.
        """
        from agents.models.meter import OutOfBudget, current_meter
        from graphs.episode import Paused

        try:
            return (await play(item, player.table)).model_dump(mode="json")
        except Paused:
            meter = current_meter()
            raise OutOfBudget((meter.used_up() if meter else None) or "paused") from None

    def score(self, item: Any, played: Mapping[str, Any]) -> Values:
        """The value of each column for what was played; here: whether the episode's answer is the task's gold."""
        task: Task = item
        t = Trajectory.model_validate(played)
        return {"right": float(t.stop == "answered" and is_right(task, t.answer, t.form))}


def write_library(folder: Path, pages: Mapping[str, str]) -> None:
    """Write the library of a benchmark that is played in THE graph.

    Args:
        folder: the benchmark's.
        pages: title -> text in Markdown.
    """
    from agents.corpus.documents import Document
    from agents.corpus.library import Library

    documents = [Document(id=title, title=title, text=text, source=title) for title, text in pages.items()]
    Library.build(documents).save(folder / LIBRARY)


def content_of(item: BaseModel) -> dict[str, Any]:
    """An item as JSON values, for the key of what was played."""
    return item.model_dump(mode="json")


benchmarks: Registry[type[Benchmark]] = Registry("benchmark", {"calls": "evals.benchmarks.calls"})
