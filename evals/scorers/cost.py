"""The score `cost`: turns, tokens and wall time of an episode."""

from __future__ import annotations

from agents.task import Task
from graphs.trajectory import Trajectory

from ..scores import Asker, Column, Values, scorer, scores

EACH = "a task"


@scores.register("cost")
@scorer(
    steps=Column(
        title="turns", unit="count", better="lower", legend="Turns of the reasoning agent.", group=EACH, shown=False
    ),
    prompt_tokens=Column(
        title="tokens in",
        short="in",
        unit="tokens",
        better="lower",
        group=EACH,
        legend="Prompt tokens over all model calls of the episode.",
    ),
    completion_tokens=Column(
        title="tokens out",
        short="out",
        unit="tokens",
        better="lower",
        group=EACH,
        legend="Generated tokens over all model calls of the episode.",
    ),
    seconds=Column(
        title="seconds",
        short="sec",
        unit="seconds",
        better="lower",
        group=EACH,
        legend="Wall time of the episode, waiting for its seat among the others in flight included.",
    ),
)
async def cost(task: Task, trajectory: Trajectory, asker: Asker) -> Values:
    """Read off the record."""
    usage = trajectory.usage
    return {
        "steps": float(usage.calls),
        "prompt_tokens": float(usage.prompt),
        "completion_tokens": float(usage.completion),
        "seconds": usage.seconds,
    }
