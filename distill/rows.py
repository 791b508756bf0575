"""Files of training rows: what each is made of, and what of it is searched for the held-out exam."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.corpus.chunks import Chunk
from agents.task import Task
from graphs.trajectory import Trajectory

from .keep import Dropped

if TYPE_CHECKING:
    from .dataset import DatasetConfig

Row = dict[str, Any]
Siblings = tuple[Sequence[Trajectory], Sequence[Dropped]]
"""Episodes of one task: those kept, and those dropped with their reasons."""


def none() -> Iterator[Siblings]:
    """No siblings at all."""
    return iter(())


@dataclass(frozen=True)
class Source:
    """What training rows can be made of."""

    tasks: Mapping[str, Task]
    """All tasks of the exam by id; held-out ones never have an episode here."""
    kept: Iterable[Trajectory]
    chunks: Iterable[Chunk]
    """Sections of the manual that may be trained."""
    config: DatasetConfig
    siblings: Callable[[], Iterator[Siblings]] = none
    """Task by task, of the tasks with both kept and dropped episodes."""


@dataclass(frozen=True)
class RowFile:
    """One file of training rows in the folder data/ of a run."""

    name: str
    make: Callable[[Source], Iterator[Row]]
    """The rows, one at a time, the same each time."""
    text: Callable[[Row], str]
    """Everything that a row says, for the leak proof."""
    key: Callable[[Row], str]
    """How a row is called where something is found in it."""
    about: str
    """A sentence on its columns, for the dataset card."""

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.name.partition(".")[0]
