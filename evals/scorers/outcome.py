"""The score `outcome`: right or wrong, and answered or not. It is part of every evaluation."""

from __future__ import annotations

from agents.task import Task, is_right
from graphs.trajectory import Trajectory

from ..scores import Asker, Column, Values, ending, scorer, scores


@scores.register("outcome")
@scorer(
    correct=Column(
        title="right",
        legend="The episode ended with an answer, and the answer is the gold.",
        shown=False,  # the table of accuracy shows it, with intervals
        missing=0.0,
    ),
    answered=Column(
        title="answered",
        short="answer",
        group="% of tasks",
        legend="The episode ended with an answer (of options: with one of them), "
        "not at a limit, in a loop or given up.",
        missing=0.0,
    ),
)
async def outcome(task: Task, trajectory: Trajectory, asker: Asker) -> Values:
    """Worked out anew from the answer, not read off the verdict: `verify = off` leaves no verdict."""
    right = trajectory.stop == "answered" and is_right(task, trajectory.answer, trajectory.form)
    return {"correct": float(right), "answered": float(ending(task, trajectory) == "answered")}
