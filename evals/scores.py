"""Scores: what one episode on the held-out exam is worth, as numbers in named columns.

A score is an async function of task and trajectory, which returns a value for each of its columns; it may ask a seat.
It registers itself, and `[evaluate] scores` names it; tables, files and the report follow from its columns::

    @scores.register("brevity")
    @scorer(words=Column(title="words", unit="words", better="lower", legend="Words of the answer."))
    async def brevity(task, trajectory, asker):
        return {"words": float(len((trajectory.answer or "").split()))}

None = the score does not apply to this episode, and stays out of the mean.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

from agents.answers import match_option
from agents.registry import Registry
from agents.task import Form, Level, Task
from graphs.trajectory import Trajectory

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

MISSING = "missing"
"""`stop` of a row whose task the arm never played."""
NO_OPTION = "no_option"
"""`stop` of a row of the choice form whose answer names no option, or several."""

Value = float | None
Values = Mapping[str, Value]
M = TypeVar("M", bound=BaseModel)


class Column(BaseModel):
    """One column of a score: how it is shown, and what its numbers mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    """Its head in the report."""
    short: str = ""
    """Its head in the terminal, of at most ten characters or so; empty = the title."""
    unit: str = "share"
    """`share`: 0 to 1, shown as %. `count`, `tokens`, `seconds` and any other word: a number."""
    better: Literal["higher", "lower", "none"] = "higher"
    legend: str
    """What the numbers are, as a sentence."""
    group: str = ""
    """Heading over columns that belong together, in the report; columns of one group stand side by side."""
    shown: bool = True
    """Whether it stands in the tables of how the arms play; the CSV and JSON files have every column."""
    missing: float | None = None
    """What a task counts that was never played; None = it stays out of the mean."""

    @property
    def head(self) -> str:
        """Its head in the terminal."""
        return self.short or self.title


class Asker:
    """Asks the seat of a score; this one has none (asking.py has the other)."""

    async def ask(self, messages: Sequence[BaseMessage], schema: type[M]) -> M | None:
        """The seat's reply as an object of `schema`; None where it cannot be read as one, after one repetition.

        Raises:
            ProviderError: the endpoint failed; the call is repeated where that may pass.
            TypeError: the score was not declared with `asks=True`.
        """
        raise TypeError("it asks a seat and does not say so: declare it with @scorer(asks=True, ...)")


class Scorer(Protocol):
    """A score: an async function with its columns."""

    columns: Mapping[str, Column]
    asks: bool
    """Whether it asks a seat: what it found is then kept, and not asked for again."""

    async def __call__(self, task: Task, trajectory: Trajectory, asker: Asker) -> Values:
        """The value of each column."""


scores: Registry[Scorer] = Registry(
    "score",
    {
        "outcome": "evals.scorers.outcome",
        "search": "evals.scorers.search",
        "format": "evals.scorers.format",
        "cost": "evals.scorers.cost",
        "judged_support": "evals.scorers.judged_support",
    },
)
DEFAULT = ("outcome", "search", "format", "cost")
"""Scores of a run that names none; `outcome` is always among them."""


def scorer(
    *, asks: bool = False, **columns: Column
) -> Callable[[Callable[[Task, Trajectory, Asker], Awaitable[Values]]], Scorer]:
    """Decorator: make a score of an async function.

    Args:
        asks: whether it asks a seat, by `asker.ask`.
        columns: name -> column of each value that it returns.
    """

    def made(function: Callable[[Task, Trajectory, Asker], Awaitable[Values]]) -> Scorer:
        function.__dict__.update(columns=columns, asks=asks)
        return cast(Scorer, function)

    return made


class Score(BaseModel):
    """One line of scores/ARM.jsonl: an arm's episode of one task, scored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    """1, which is not read any more, had a field for each score."""
    task_id: str
    arm: str
    level: Level
    kind: str
    group: str
    unseen_module: bool
    form: Form = "free"
    values: dict[str, Value]
    """Column -> value."""
    key: str | None = Field(None)
    """The trajectory's key; None where the task was not played."""
    stop: str = MISSING
    """How the episode ended; `no_option` where its answer names none of the options that were shown."""
    reasons: tuple[str, ...] = ()
    """The verdict's failed checks."""
    answer: str | None = None
    choice: str | None = None
    gold: str

    @property
    def right(self) -> bool:
        """Whether the answer is the gold."""
        return self.values["correct"] == 1.0


def ending(task: Task, trajectory: Trajectory) -> str:
    """How an episode ended: its `stop`, or NO_OPTION."""
    shown = task.shown(trajectory.form)
    if trajectory.stop == "answered" and shown and match_option(trajectory.answer, shown) is None:
        return NO_OPTION
    return trajectory.stop


def evidence_recall(task: Task, found: Collection[str]) -> Value:
    """Share of the chunks with a task's evidence that were found; None where it names none."""
    wanted = set(task.evidence) | {hop.chunk for hop in task.hops}
    return len(wanted & set(found)) / len(wanted) if wanted else None


def file_stem(arm: str) -> str:
    """The arm's name as a file name: what is not a letter, digit, dot or hyphen becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", arm).strip("-.") or "arm"


def about(task: Task, arm: str) -> dict[str, object]:
    """What a row tells of its task."""
    about = task.model_dump(include={"level", "kind", "group", "unseen_module", "gold"})
    return {**about, "task_id": task.id, "arm": arm}


def missing(task: Task, arm: str, form: Form = "free", columns: Mapping[str, Column] | None = None) -> Score:
    """The row of a task that the arm never played: wrong, not answered, whatever else its columns say of such tasks."""
    values = {name: column.missing for name, column in (columns or {}).items() if column.missing is not None}
    values = {"correct": 0.0, "answered": 0.0, **values}
    return Score.model_validate({**about(task, arm), "form": form, "values": values})
