"""Scoring: the scores that a config names, over the episodes of an arm.

Scores that ask nobody are worked out whenever they are needed. What a seat was asked is kept in `scores/asked/`, by
score and its source, seat, task and episode; it is paid for while arms are evaluated, and read for the leaderboard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from agents.errors import ConfigError, RetortError, StageError
from agents.models.meter import OutOfBudget
from agents.task import Form, Task
from graphs.contents import sha256_of
from graphs.trajectory import Trajectory, digest

from .journal import Journal
from .scores import DEFAULT, Asker, Column, Score, Scorer, Values, about, ending, missing, scores

ASKED = "asked"
"""Folder in the scores folder with what seats were asked, a file a score."""


class Asking(Protocol):
    """Asks seats; asking.py has the one."""

    async def __call__(
        self, name: str, part: Scorer, episodes: Mapping[str, tuple[Task, Trajectory]], arm: str, folder: Path | None
    ) -> dict[str, dict[str, float | None]]:
        """Key -> the values of a score for its episode; kept in `folder` where one is given."""


@dataclass(frozen=True)
class Scoring:
    """The scores of an evaluation."""

    scorers: Mapping[str, Scorer]
    """Name -> score; of one of the user's own the name of its function."""
    sources: Mapping[str, str]
    """Name -> hash of its source file."""
    who: Mapping[str, str] = field(default_factory=dict)
    """Name of a score that asks -> hash of the seat that it asks."""
    folder: Path | None = None
    """The scores folder, in which it is kept what seats were asked."""
    asking: Asking | None = None
    """Asks what was not asked before; None = nobody is asked, and that is an error."""

    @classmethod
    def of(cls, names: Sequence[str] = DEFAULT, who: Mapping[str, str] | None = None, **more: Any) -> Scoring:
        """The scores of these names, `outcome` first.

        Args:
            who: name of a score -> hash of the seat that it asks; `""` = that of those that have none of their own.
            more: further fields.

        Raises:
            ConfigError: no such score, two of one name or with one column, or one that asks and has no seat.
        """
        scorers: dict[str, Scorer] = {}
        sources: dict[str, str] = {}
        seats: dict[str, str] = {}
        for spec in dict.fromkeys(["outcome", *names]):
            part = scores.get(spec)
            name = spec.rpartition(":")[2]
            if not isinstance(getattr(part, "columns", None), Mapping):
                raise ConfigError(
                    f"score {spec!r} has no columns: decorate its function with @scorer(NAME=Column(...))"
                )
            if name in scorers:
                raise ConfigError(f"evaluate.scores: two scores are named {name!r}: rename the function of one")
            twice = set(part.columns) & {column for each in scorers.values() for column in each.columns}
            if twice:
                raise ConfigError(f"score {spec!r} has the column {sorted(twice)[0]!r} of another score: rename it")
            path = scores.file(spec)
            scorers[name], sources[name] = part, sha256_of(path) if path is not None else ""
            if part.asks:
                seat = (who or {}).get(name) or (who or {}).get("")
                if seat is None:
                    raise ConfigError(
                        f'score {name!r} asks a seat: give [evaluate.seats] {name} = "openai:MODEL@URL", '
                        "or seat a judge in the team that collects"
                    )
                seats[name] = seat
        return cls(scorers, sources, seats, **more)

    @property
    def columns(self) -> dict[str, Column]:
        """Every column, in the order of the scores."""
        return {name: column for part in self.scorers.values() for name, column in part.columns.items()}

    def reading(self) -> Scoring:
        """The same, asking nobody."""
        return replace(self, asking=None)


async def score(task: Task, trajectory: Trajectory, *, arm: str | None = None, scoring: Scoring | None = None) -> Score:
    """All scores of one episode; `arm` is the leaderboard's row name, the team's name when None.

    Raises:
        StageError: the trajectory is of another task, or a score failed.
    """
    (row,) = await score_episodes([(task, trajectory)], trajectory.team if arm is None else arm, scoring)
    return row


async def score_arm(
    tasks: Sequence[Task],
    trajectories: Iterable[Trajectory],
    arm: str,
    form: Form = "free",
    scoring: Scoring | None = None,
) -> list[Score]:
    """One row a task, in the order of `tasks`; a task without a trajectory becomes a `missing` row.

    It can be awaited in any event loop, that of a notebook too.

    Raises:
        StageError: two trajectories of one task, one of a task that is not among `tasks`, or a score failed.
        ProviderError, BudgetError: a seat that a score asks; what was answered is kept.
    """
    scoring = scoring or Scoring.of()
    known = {task.id: task for task in tasks}
    played: dict[str, Trajectory] = {}
    for trajectory in trajectories:
        if trajectory.task_id not in known:
            raise StageError(
                f"arm {arm!r} played task {trajectory.task_id!r}, which is not asked here: "
                "run the stage 'evaluate' again"
            )
        if trajectory.task_id in played:
            raise StageError(
                f"arm {arm!r} holds two trajectories of task {trajectory.task_id!r}: run the stage 'evaluate' again"
            )
        played[trajectory.task_id] = trajectory
    rows = await score_episodes([(known[name], each) for name, each in played.items()], arm, scoring)
    by_task = {row.task_id: row for row in rows}
    return [by_task.get(task.id) or missing(task, arm, form, scoring.columns) for task in tasks]


async def score_episodes(
    episodes: Sequence[tuple[Task, Trajectory]], arm: str, scoring: Scoring | None = None
) -> list[Score]:
    """One row an episode, in their order; see `score_arm`."""
    scoring = scoring or Scoring.of()
    values: list[dict[str, float | None]] = [{} for _ in episodes]
    for task, t in episodes:
        if task.id != t.task_id:
            raise StageError(f"trajectory {t.key!r} is of task {t.task_id!r}, not {task.id!r}")
    for name, part in scoring.scorers.items():
        if part.asks:
            found = await asked(name, episodes, arm, scoring)
        else:
            found = [await valued(name, part, task, t, Asker()) for task, t in episodes]
        for row, more in zip(values, found, strict=True):
            row |= more
    return [
        Score.model_validate(
            {
                **about(task, arm),
                "form": t.form,
                "values": row,
                "key": t.key,
                "stop": ending(task, t),
                "reasons": t.verdict.reasons,
                "answer": t.answer,
                "choice": t.choice,
            }
        )
        for (task, t), row in zip(episodes, values, strict=True)
    ]


async def valued(name: str, part: Scorer, task: Task, trajectory: Trajectory, asker: Asker) -> dict[str, float | None]:
    """What one score says of one episode.

    Raises:
        StageError: the score raised, or returned other columns than its own.
    """
    try:
        found: Values = await part(task, trajectory, asker)
    except (RetortError, OutOfBudget):
        raise
    except Exception as error:  # a score may be anybody's code
        raise StageError(
            f"score {name!r} failed on the episode {trajectory.key!r} ({type(error).__name__}: {error}): mend it, "
            "or leave it out of evaluate.scores"
        ) from error
    if set(found) != set(part.columns):
        raise StageError(
            f"score {name!r} returned {', '.join(sorted(map(str, found))) or 'nothing'} for the columns "
            f"{', '.join(sorted(part.columns))}: return a value, or None, for each"
        )
    return {column: None if value is None else float(value) for column, value in found.items()}


async def asked(
    name: str, episodes: Sequence[tuple[Task, Trajectory]], arm: str, scoring: Scoring
) -> list[dict[str, float | None]]:
    """What a score that asks a seat says of each episode; each is asked about once.

    Raises:
        StageError: it was not asked before, and nobody may be asked now.
    """
    source, who = scoring.sources[name], scoring.who[name]
    by_key = {digest(name, source, who, *judged(task, t)): (task, t) for task, t in episodes}
    kept = Journal(scoring.folder / ASKED / f"{name}.jsonl").results if scoring.folder is not None else {}
    lacking = {key: episode for key, episode in by_key.items() if key not in kept}
    if lacking and scoring.asking is None:
        raise StageError(
            f"score {name!r} was not asked of {len(lacking)} episodes of arm {arm!r}: run the stage 'evaluate' again"
        )
    if lacking and scoring.asking is not None:
        kept = {**kept, **await scoring.asking(name, scoring.scorers[name], lacking, arm, scoring.folder)}
    return [kept[key] for key in by_key]


def judged(task: Task, trajectory: Trajectory) -> tuple[object, ...]:
    """What a score may look at, but for what says how long the episode took and what it cost."""
    return task.model_dump(mode="json"), trajectory.model_dump(mode="json", exclude={"usage", "calls"})
