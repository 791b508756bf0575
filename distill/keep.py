"""Kept or dropped: every episode of the ledger gets one of the two, and a dropped one the first reason that holds.

Filters are pure functions registered by name; the first sentence of a filter's docstring is its legend on the dataset
card. Their order is the order of this file. Sorting reads the ledger once and holds a few words an episode; who wants
the episodes themselves reads them once more, one at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

from pydantic import BaseModel, ConfigDict

from agents.files import write_jsonl
from agents.task import Task, is_right
from agents.verify import NOT_GROUNDED, supported
from graphs.labels import label_of
from graphs.runner.ledger import Ledger
from graphs.trajectory import Trajectory

R = TypeVar("R", covariant=True)

Filter = Callable[[Task, Trajectory], bool]
FILTERS: dict[str, Filter] = {}


OPTIONAL = ("repaired", "revised")
"""Filters that are asked for by name: kept, such an episode is trained without the turn that was sent back."""
BY_DEFAULT = ("repaired",)
"""Of these, the ones that are on: what an endpoint broke stands as words in a call that could not be read."""


def drop_if(name: str) -> Callable[[Filter], Filter]:
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


@drop_if("limit")
def reached_limit(task: Task, trajectory: Trajectory) -> bool:
    """The episode reached a limit of the board."""
    return trajectory.stop.startswith("limit:")


@drop_if("loop")
def looped(task: Task, trajectory: Trajectory) -> bool:
    """The same call was made twice in a row."""
    return trajectory.stop == "loop"


@drop_if("refused")
def refused(task: Task, trajectory: Trajectory) -> bool:
    """The model refused, or its endpoint filtered the reply."""
    return trajectory.stop == "refused"


@drop_if("gave_up")
def gave_up(task: Task, trajectory: Trajectory) -> bool:
    """The player said that the manual does not tell."""
    return trajectory.stop == "gave_up"


@drop_if("malformed")
def malformed(task: Task, trajectory: Trajectory) -> bool:
    """No answer line, or not exactly one option named, or calls that could not be read to the end."""
    return trajectory.stop == "malformed" or not trajectory.verdict.well_formed


@drop_if("wrong")
def wrong(task: Task, trajectory: Trajectory) -> bool:
    """The answer is not the gold."""
    return trajectory.verdict.correct is False


@drop_if("no_search")
def no_search(task: Task, trajectory: Trajectory) -> bool:
    """A ReAct episode that answered without looking into the manual, which its tools could."""
    return trajectory.mode == "react" and trajectory.could_search and not trajectory.searches


@drop_if("ungrounded")
def ungrounded(task: Task, trajectory: Trajectory) -> bool:
    """A quote is missing, or stands in no passage that the episode retrieved."""
    return trajectory.verdict.grounded is False


@drop_if("judged")
def judged(task: Task, trajectory: Trajectory) -> bool:
    """The judge did not accept the answer."""
    return "judge" in trajectory.verdict.reasons


@drop_if("repaired")
def repaired(task: Task, trajectory: Trajectory) -> bool:
    """A malformed call was sent back; `[dataset] drop` asks to leave such episodes out."""
    return trajectory.repairs > 0


@drop_if("revised")
def revised(task: Task, trajectory: Trajectory) -> bool:
    """A critique was sent back; `[dataset] drop` asks to leave such episodes out."""
    return trajectory.revisions > 0


class Dropped(BaseModel):
    """One line of dropped.jsonl."""

    model_config = ConfigDict(frozen=True)

    reason: str
    trajectory: Trajectory


class Place(NamedTuple):
    """What sorting holds of an episode."""

    at: Any
    """Its key in the ledger, or its number where there is no ledger."""
    task_id: str
    agreement: float | None
    reason: str
    """Why it was dropped; empty where it was kept."""


class Read(Sequence[R]):
    """Episodes that are read when they are asked for, one at a time; the ledger has to be open."""

    def __init__(self, places: Sequence[Place], read: Callable[[Place], R]) -> None:
        self._places = places
        self._read = read

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[R]:
        return map(self._read, self._places)

    def by_task(self) -> dict[str, Read[R]]:
        """Task -> its episodes, in the order of the first of each."""
        found: dict[str, list[Place]] = {}
        for place in self._places:
            found.setdefault(place.task_id, []).append(place)
        return {task: Read(places, self._read) for task, places in found.items()}

    @overload
    def __getitem__(self, index: int) -> R: ...

    @overload
    def __getitem__(self, index: slice) -> Read[R]: ...

    def __getitem__(self, index: int | slice) -> R | Read[R]:
        if isinstance(index, slice):
            return Read(self._places[index], self._read)
        return self._read(self._places[index])


@dataclass(frozen=True)
class Sorted:
    """The ledger, sorted."""

    kept: Read[Trajectory]
    dropped: Read[Dropped]
    why: Mapping[str, int]
    """Reason -> number of dropped episodes."""

    def reasons(self) -> dict[str, int]:
        """Reason -> number of dropped episodes, most frequent first."""
        return dict(Counter(self.why).most_common())

    def siblings(self) -> Iterator[tuple[list[Trajectory], list[Dropped]]]:
        """Kept and dropped episodes of one task at a time, of the tasks that have both; read one task at a time."""
        kept, dropped = self.kept.by_task(), self.dropped.by_task()
        for task in kept:
            if task in dropped:
                yield list(kept[task]), list(dropped[task])


def reason_to_drop(
    task: Task | None,
    trajectory: Trajectory,
    current: Collection[str] | None = None,
    drop: Collection[str] = BY_DEFAULT,
) -> str | None:
    """The first reason that holds, or None; limits carry their own name (`limit:steps`).

    Args:
        current: keys of the episodes that the config asks for now; None = any.
        drop: names of `OPTIONAL` filters that are on.
    """
    if task is None or task.split != "train":
        return "stray"
    if current is not None and trajectory.key not in current:
        return "stale"
    for name, drops in FILTERS.items():
        if name in OPTIONAL and name not in drop:
            continue
        if drops(task, trajectory):
            return trajectory.stop if name == "limit" else name
    return None


def rescored(task: Task, trajectory: Trajectory) -> Trajectory:
    """The episode judged by the task's gold of today, which may be another than when it was played.

    An episode that was never judged stays so, and one whose verdict holds is handed back as it is.
    """
    before = trajectory.verdict
    if before.correct is None:
        return trajectory
    correct = is_right(task, trajectory.answer, trajectory.form)
    stated = [hop.value for hop in task.hops]
    borne = (before.judge or {}).get("supported") or supported(trajectory.quotes, stated)
    reasons = tuple(name for name in before.reasons if name not in ("wrong", "unsupported"))
    if not correct and before.well_formed:
        reasons = (*reasons, "wrong")
    if before.grounded is not None and not NOT_GROUNDED & set(reasons) and not borne:
        reasons = (*reasons, "unsupported")
    if set(reasons) == set(before.reasons) and correct == before.correct:
        return trajectory
    grounded = before.grounded
    if ("unsupported" in reasons) != ("unsupported" in before.reasons):
        grounded = not NOT_GROUNDED & set(reasons)
    verdict = before.model_copy(
        update={"correct": correct, "grounded": grounded, "reasons": reasons, "accepted": not reasons}
    )
    sent_back = trajectory.repairs + trajectory.revisions
    label = label_of(trajectory.stop, verdict, trajectory.tool_uses, sent_back)
    return trajectory.model_copy(update={"verdict": verdict, "label": label})


class Listed:
    """Episodes at hand in the form in which sorting reads a ledger."""

    def __init__(self, trajectories: Iterable[Trajectory]) -> None:
        self._rows: list[Trajectory] = list(trajectories)

    def numbered(self) -> Iterator[tuple[int, Trajectory]]:
        """Each episode with its number."""
        return enumerate(self._rows)

    def episode(self, at: int) -> Trajectory:
        """The episode of that number."""
        return self._rows[at]


class Group:
    """The answers to one task that one player gave on one board in one mode."""

    def __init__(self) -> None:
        self.size = 0
        self.answers: Counter[str | None] = Counter()

    def add(self, answer: str | None) -> None:
        """One more."""
        self.size += 1
        self.answers[answer] += 1

    def share(self, answer: str | None) -> float | None:
        """The share with that answer; None where there was one sample, 0 for an episode without an answer."""
        if self.size < 2:
            return None
        return round(self.answers[answer] / self.size, 4) if answer else 0.0


class Rival(NamedTuple):
    """What choosing among a task's episodes looks at."""

    at: Any
    task_id: str
    mode: str
    group: Group | None
    """None where the episode is not of the player of today: it agrees with nobody."""
    answer: str | None
    rank: tuple[int, int, int]
    """Calls, messages, sample: fewer are better."""

    def placed(self, reason: str) -> Place:
        """Its place, once the answers of all others are known."""
        return Place(self.at, self.task_id, self.group.share(self.answer) if self.group else None, reason)


def rivals(
    tasks: Mapping[str, Task],
    source: Ledger | Listed,
    current: Collection[str] | None,
    drop: Collection[str] = BY_DEFAULT,
) -> Iterator[tuple[Rival, str | None]]:
    """Every episode with the reason to drop it, its answer counted into its group.

    Agreement is self-consistency (arXiv 2203.11171): of the samples of a task, the share that gave this answer.
    """
    groups: dict[tuple[str, ...], Group] = {}
    for at, stored in source.numbered():
        task = tasks.get(stored.task_id)
        t = stored if task is None else rescored(task, stored)
        group = None
        if current is None or t.key in current:
            group = groups.setdefault((t.task_id, t.team, t.board, t.mode), Group())
            group.add(t.choice or t.answer)
        rank = (t.usage.calls, len(t.messages), t.sample)
        each = Rival(at, t.task_id, t.mode, group, t.choice or t.answer, rank)
        yield each, reason_to_drop(task, t, current, drop)


def sort_ledger(
    tasks: Mapping[str, Task],
    episodes: Ledger | Iterable[Trajectory],
    per_task: int = 1,
    current: Collection[str] | None = None,
    drop: Collection[str] = BY_DEFAULT,
) -> Sorted:
    """Sort episodes into kept and dropped; of several good ones of a task and mode the shortest `per_task` are kept.

    Where a task has several samples of the player of today, each carries the share of them that gave its answer
    (`agreement`). Verdicts are by the gold of `tasks` (`rescored`).

    Args:
        episodes: a ledger, which must stay open as long as `kept` and `dropped` are read, or episodes at hand.
        current: keys of the episodes that the config asks for now; None = any.
        drop: names of `OPTIONAL` filters that are on.
    """
    source = episodes if isinstance(episodes, Ledger) else Listed(episodes)
    good: dict[tuple[str, str], list[Rival]] = {}
    bad: list[tuple[Rival, str]] = []
    for each, reason in rivals(tasks, source, current, drop):
        if reason is None:
            good.setdefault((each.task_id, each.mode), []).append(each)
        else:
            bad.append((each, reason))
    kept: list[Place] = []
    surplus: list[Place] = []
    for group in good.values():
        group.sort(key=lambda each: each.rank)
        kept += [each.placed("") for each in group[:per_task]]
        surplus += [each.placed("surplus") for each in group[per_task:]]
    dropped = [*(each.placed(reason) for each, reason in bad), *surplus]

    def read(place: Place) -> Trajectory:
        stored = source.episode(place.at)
        task = tasks.get(place.task_id)
        now = stored if task is None else rescored(task, stored)
        return now.model_copy(update={"agreement": place.agreement})

    return Sorted(
        kept=Read(kept, read),
        dropped=Read(dropped, lambda place: Dropped(reason=place.reason, trajectory=read(place))),
        why=Counter(place.reason for place in dropped),
    )


def write_sorted(result: Sorted, run: Path) -> None:
    """Write kept.jsonl and dropped.jsonl.

    Wall time stays in the ledger, so that an interrupted run's files equal a whole one's.
    """
    timeless: Any = {
        "usage": {"seconds": True, "roles": {"__all__": {"seconds"}}},
        "calls": {"__all__": {"seconds"}},
    }
    write_jsonl(run / "kept.jsonl", (t.model_dump(mode="json", exclude=timeless) for t in result.kept))
    rows = (
        {"reason": row.reason, **row.trajectory.model_dump(mode="json", exclude=timeless)} for row in result.dropped
    )
    write_jsonl(run / "dropped.jsonl", rows)
