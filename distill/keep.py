"""Kept or dropped: every episode of the ledger gets one of the two, and a dropped one the first reason that holds.

Filters are pure functions registered by name; the first sentence of a filter's docstring is its legend on the dataset
card. Their order is the order of this file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from agents.files import write_jsonl
from agents.task import Task
from graphs.trajectory import Trajectory

Filter = Callable[[Task, Trajectory], bool]
FILTERS: dict[str, Filter] = {}


def keep(name: str) -> Callable[[Filter], Filter]:
    """Register a filter: the function returns True where the episode must be dropped for this reason."""

    def register(function: Filter) -> Filter:
        FILTERS[name] = function
        return function

    return register


def legend(name: str) -> str:
    """What a reason means: the filter's own words."""
    if name in FILTERS:
        return (FILTERS[name].__doc__ or "").strip().partition("\n")[0]
    return EXTRA_REASONS.get(name.partition(":")[0], "")


EXTRA_REASONS = {
    "limit": "The episode reached a limit of the board.",
    "surplus": "Another accepted episode of the same task is shorter.",
    "stale": "The episode was played with other seats, rules or questions than the config names now.",
    "stray": "The task is not in the exam, or not in its training split.",
}


@keep("limit")
def reached_limit(task: Task, trajectory: Trajectory) -> bool:
    """The episode reached a limit of the board."""
    return trajectory.stop.startswith("limit:")


@keep("loop")
def looped(task: Task, trajectory: Trajectory) -> bool:
    """The same call was made twice in a row."""
    return trajectory.stop == "loop"


@keep("refused")
def refused(task: Task, trajectory: Trajectory) -> bool:
    """The model refused, or its endpoint filtered the reply."""
    return trajectory.stop == "refused"


@keep("gave_up")
def gave_up(task: Task, trajectory: Trajectory) -> bool:
    """The player said that the manual does not tell."""
    return trajectory.stop == "gave_up"


@keep("malformed")
def malformed(task: Task, trajectory: Trajectory) -> bool:
    """No answer line, or not exactly one option named, or calls that could not be read to the end."""
    return trajectory.stop == "malformed" or not trajectory.verdict.well_formed


@keep("wrong")
def wrong(task: Task, trajectory: Trajectory) -> bool:
    """The answer is not the gold."""
    return trajectory.verdict.correct is False


@keep("no_search")
def no_search(task: Task, trajectory: Trajectory) -> bool:
    """A ReAct episode that answered without looking anything up."""
    return trajectory.mode == "react" and not trajectory.searches


@keep("ungrounded")
def ungrounded(task: Task, trajectory: Trajectory) -> bool:
    """A quote is missing, or stands in no passage that the episode retrieved."""
    return trajectory.verdict.grounded is False


@keep("judged")
def judged(task: Task, trajectory: Trajectory) -> bool:
    """The judge did not accept the answer."""
    return "judge" in trajectory.verdict.reasons


@keep("repaired")
def repaired(task: Task, trajectory: Trajectory) -> bool:
    """A malformed call was sent back: the bad turn would be trained, since masks go by turn."""
    return trajectory.repairs > 0


@keep("revised")
def revised(task: Task, trajectory: Trajectory) -> bool:
    """A critique was sent back: the unaccepted answer would be trained, since masks go by turn."""
    return trajectory.revisions > 0


class Dropped(BaseModel):
    """One line of dropped.jsonl."""

    model_config = ConfigDict(frozen=True)

    reason: str
    trajectory: Trajectory


class Sorted(BaseModel):
    """The ledger, sorted."""

    model_config = ConfigDict(frozen=True)

    kept: tuple[Trajectory, ...]
    dropped: tuple[Dropped, ...]

    def reasons(self) -> dict[str, int]:
        """Reason -> number of dropped episodes, most frequent first."""
        return dict(Counter(row.reason for row in self.dropped).most_common())


def reason_to_drop(task: Task | None, trajectory: Trajectory, current: Collection[str] | None = None) -> str | None:
    """The first reason that holds, or None; limits carry their own name (`limit:steps`).

    Args:
        current: keys of the episodes that the config asks for now; None = any.
    """
    if task is None or task.split != "train":
        return "stray"
    if current is not None and trajectory.key not in current:
        return "stale"
    for name, drops in FILTERS.items():
        if drops(task, trajectory):
            return trajectory.stop if name == "limit" else name
    return None


def sort_ledger(
    tasks: Mapping[str, Task],
    trajectories: Iterable[Trajectory],
    per_task: int = 1,
    current: Collection[str] | None = None,
) -> Sorted:
    """Sort episodes into kept and dropped; of several good ones of a task and mode the shortest `per_task` are kept.

    Where a task has several samples, each carries the share of them that gave its answer (`agreement`).
    """
    trajectories = agreeing(trajectories)
    good: dict[tuple[str, str], list[Trajectory]] = {}
    kept: list[Trajectory] = []
    dropped: list[Dropped] = []
    for trajectory in trajectories:
        reason = reason_to_drop(tasks.get(trajectory.task_id), trajectory, current)
        if reason is None:
            good.setdefault((trajectory.task_id, trajectory.mode), []).append(trajectory)
        else:
            dropped.append(Dropped(reason=reason, trajectory=trajectory))
    for rivals in good.values():
        rivals.sort(key=lambda t: (t.usage.calls, len(t.messages), t.sample))
        kept += rivals[:per_task]
        dropped += [Dropped(reason="surplus", trajectory=t) for t in rivals[per_task:]]
    return Sorted(kept=tuple(kept), dropped=tuple(dropped))


def agreeing(trajectories: Iterable[Trajectory]) -> list[Trajectory]:
    """The episodes with their agreement: of the samples of a task, team, board and mode, the share with their answer.

    Self-consistency (arXiv 2203.11171). A sample without an answer agrees with no other.
    """
    found = list(trajectories)
    groups: dict[tuple[str, ...], list[Trajectory]] = {}
    for t in found:
        groups.setdefault((t.task_id, t.team, t.board, t.mode), []).append(t)

    def share(t: Trajectory) -> float | None:
        rivals = groups[t.task_id, t.team, t.board, t.mode]
        if len(rivals) < 2:
            return None
        said = t.choice or t.answer
        same = sum((rival.choice or rival.answer) == said for rival in rivals) if said else 0
        return round(same / len(rivals), 4)

    return [t.model_copy(update={"agreement": share(t)}) for t in found]


def write_sorted(result: Sorted, run: Path) -> None:
    """Write kept.jsonl and dropped.jsonl.

    Wall time stays in the ledger, so that an interrupted run's files equal a whole one's.
    """
    timeless: Any = {"usage": {"seconds": True, "roles": {"__all__": {"seconds"}}}}
    write_jsonl(run / "kept.jsonl", (t.model_dump(mode="json", exclude=timeless) for t in result.kept))
    rows = (
        {"reason": row.reason, **row.trajectory.model_dump(mode="json", exclude=timeless)} for row in result.dropped
    )
    write_jsonl(run / "dropped.jsonl", rows)
