"""Scores: what one episode on the held-out exam is worth, as one row of numbers.

A score is a pure function of task and trajectory, registered by name; the first line of its docstring is the column's
legend in the leaderboard and the report. None = the score does not apply to this episode and stays out of the mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from agents.answers import match_option
from agents.errors import StageError
from agents.task import Form, Level, Task, is_right
from graphs.trajectory import Trajectory

MISSING = "missing"
"""`stop` of a row whose task the arm never played."""
NO_OPTION = "no_option"
"""`stop` of a row of the choice form whose answer names no option, or several."""

Value = float | None
S = TypeVar("S", bound=Callable[[Task, Trajectory], Value])
SCORES: dict[str, Callable[[Task, Trajectory], Value]] = {}


class Score(BaseModel):
    """One line of scores/ARM.jsonl: an arm's episode of one task, scored."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    arm: str
    level: Level
    kind: str
    group: str
    unseen_module: bool
    form: Form = "free"
    correct: float
    answered: float
    searched: Value = None
    well_formed: Value = None
    grounded: Value = None
    searches: Value = None
    evidence_recall: Value = None
    steps: Value = None
    prompt_tokens: Value = None
    completion_tokens: Value = None
    seconds: Value = None
    repairs: Value = None
    key: str | None = None
    """The trajectory's key; None where the task was not played."""
    stop: str = MISSING
    """How the episode ended; `no_option` where its answer names none of the options that were shown."""
    reasons: tuple[str, ...] = ()
    """The verdict's failed checks."""
    answer: str | None = None
    choice: str | None = None
    gold: str


def scorer(name: str) -> Callable[[S], S]:
    """Register a score; `Score` has a field of that name."""

    def register(function: S) -> S:
        if name not in Score.model_fields:
            raise TypeError(f"score {name!r} has no field in Score: add it there")
        SCORES[name] = function
        return function

    return register


def legend() -> dict[str, str]:
    """Name -> what the column shows, in the order of registration."""
    return {name: (function.__doc__ or "").strip().partition("\n")[0] for name, function in SCORES.items()}


@scorer("correct")
def correct(task: Task, trajectory: Trajectory) -> Value:
    """The episode ended with an answer, and the answer is the gold."""
    # Worked out anew from the answer, not read off the verdict: `verify = off` leaves no verdict.
    return float(trajectory.stop == "answered" and is_right(task, trajectory.answer, trajectory.form))


@scorer("answered")
def answered(task: Task, trajectory: Trajectory) -> Value:
    """The episode ended with an answer (of options: with one of them), not at a limit, in a loop or given up."""
    return float(ending(task, trajectory) == "answered")


def ending(task: Task, trajectory: Trajectory) -> str:
    """How an episode ended: its `stop`, or NO_OPTION."""
    shown = task.shown(trajectory.form)
    if trajectory.stop == "answered" and shown and match_option(trajectory.answer, shown) is None:
        return NO_OPTION
    return trajectory.stop


@scorer("searched")
def searched(task: Task, trajectory: Trajectory) -> Value:
    """The episode looked into the manual at least once."""
    return float(bool(trajectory.searches))


@scorer("well_formed")
def well_formed(task: Task, trajectory: Trajectory) -> Value:
    """What the player wrote could be read: no call unreadable to the end, one answer that names exactly one option."""
    # Limits, loops and giving up are failures under their own names, not failures to parse.
    return float(trajectory.stop not in ("answered", "malformed") or trajectory.verdict.well_formed)


@scorer("grounded")
def grounded(task: Task, trajectory: Trajectory) -> Value:
    """Of the episodes that searched: every quote stands in a passage retrieved in that episode."""
    return float(trajectory.verdict.grounded is True) if trajectory.tool_uses else None


@scorer("searches")
def searches(task: Task, trajectory: Trajectory) -> Value:
    """Searches an episode."""
    # Of the manual; calls of own tools and MCP servers are none.
    return float(len(trajectory.searches))


@scorer("evidence_recall")
def evidence_recall(task: Task, trajectory: Trajectory) -> Value:
    """Share of the chunks that hold the evidence which the searches brought; does not apply without a search tool."""
    wanted = set(task.evidence) | {hop.chunk for hop in task.hops}
    if not wanted or trajectory.mode != "react":
        return None
    found = {hit.chunk for use in trajectory.tool_uses for hit in use.hits}
    return len(wanted & found) / len(wanted)


@scorer("steps")
def steps(task: Task, trajectory: Trajectory) -> Value:
    """Turns of the reasoning agent."""
    return float(trajectory.usage.calls)


@scorer("prompt_tokens")
def prompt_tokens(task: Task, trajectory: Trajectory) -> Value:
    """Prompt tokens over all model calls of the episode."""
    return float(trajectory.usage.prompt)


@scorer("completion_tokens")
def completion_tokens(task: Task, trajectory: Trajectory) -> Value:
    """Generated tokens over all model calls of the episode."""
    return float(trajectory.usage.completion)


@scorer("seconds")
def seconds(task: Task, trajectory: Trajectory) -> Value:
    """Wall time of the episode, waiting for its seat among the others in flight included."""
    return trajectory.usage.seconds


@scorer("repairs")
def repairs(task: Task, trajectory: Trajectory) -> Value:
    """Malformed calls that were sent back."""
    return float(trajectory.repairs)


def file_stem(arm: str) -> str:
    """The arm's name as a file name: what is not a letter, digit, dot or hyphen becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", arm).strip("-.") or "arm"


def score(task: Task, trajectory: Trajectory, *, arm: str | None = None) -> Score:
    """All scores of one episode; `arm` is the leaderboard's row name, the team's name when None.

    Raises:
        StageError: the trajectory is of another task.
    """
    if task.id != trajectory.task_id:
        raise StageError(f"trajectory {trajectory.key!r} is of task {trajectory.task_id!r}, not {task.id!r}")
    return Score.model_validate(
        {
            **about(task, trajectory.team if arm is None else arm),
            **{name: function(task, trajectory) for name, function in SCORES.items()},
            "form": trajectory.form,
            "key": trajectory.key,
            "stop": ending(task, trajectory),
            "reasons": trajectory.verdict.reasons,
            "answer": trajectory.answer,
            "choice": trajectory.choice,
        }
    )


def missing(task: Task, arm: str, form: Form = "free") -> Score:
    """The row of a task that the arm never played: wrong, not answered, everything else unknown."""
    return Score.model_validate({**about(task, arm), "form": form, "correct": 0.0, "answered": 0.0})


def about(task: Task, arm: str) -> dict[str, object]:
    """What a row tells of its task."""
    about = task.model_dump(include={"level", "kind", "group", "unseen_module", "gold"})
    return {**about, "task_id": task.id, "arm": arm}


def score_arm(tasks: Sequence[Task], trajectories: Iterable[Trajectory], arm: str, form: Form = "free") -> list[Score]:
    """One row a task, in the order of `tasks`; a task without a trajectory becomes a `missing` row.

    Raises:
        StageError: two trajectories of one task, or one of a task that is not among `tasks`.
    """
    known = {task.id for task in tasks}
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
    return [score(t, played[t.id], arm=arm) if t.id in played else missing(t, arm, form) for t in tasks]
