"""The score `format`: whether what the player wrote could be read, and what had to be sent back."""

from __future__ import annotations

from agents.task import Task
from graphs.trajectory import Trajectory

from ..scores import Asker, Column, Values, scorer, scores


@scores.register("format")
@scorer(
    well_formed=Column(
        title="parsed",
        legend="What the player wrote could be read: "
        "no call unreadable to the end, one answer that names exactly one option.",
        shown=False,
    ),
    parse_failures=Column(
        title="not parsed",
        short="unread",
        group="% of tasks",
        better="lower",
        legend="What the player wrote could not be read; the opposite of well_formed.",
    ),
    repairs=Column(
        title="repairs", unit="count", better="lower", legend="Malformed calls that were sent back.", shown=False
    ),
)
async def format(task: Task, trajectory: Trajectory, asker: Asker) -> Values:
    """Limits, loops and giving up are failures under their own names, not failures to parse."""
    read = float(trajectory.stop not in ("answered", "malformed") or trajectory.verdict.well_formed)
    return {"well_formed": read, "parse_failures": 1 - read, "repairs": float(trajectory.repairs)}
