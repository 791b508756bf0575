"""The score `search`: whether and how often an episode searched, what it found, and whether it quotes what it found."""

from __future__ import annotations

from agents.task import Task
from graphs.trajectory import Trajectory

from ..scores import Asker, Column, Values, evidence_recall, scorer, scores


@scores.register("search")
@scorer(
    searched=Column(
        title="searched",
        short="search",
        group="% of tasks",
        better="none",
        legend="The episode looked into the manual at least once.",
        missing=0.0,
    ),
    searches=Column(
        title="searches", short="queries", group="search", unit="count", better="none", legend="Searches an episode."
    ),
    evidence_recall=Column(
        title="evidence found, %",
        short="recall",
        group="search",
        legend="Share of the chunks that hold the evidence which the searches brought; "
        "does not apply without a search tool.",
    ),
    grounded=Column(
        title="grounded, %",
        short="ground",
        group="search",
        legend="Of the episodes that searched: every quote stands in a passage retrieved in that episode.",
    ),
)
async def search(task: Task, trajectory: Trajectory, asker: Asker) -> Values:
    """Read off the record; searches are those of the manual, and calls of own tools and MCP servers are none."""
    found = [hit.chunk for use in trajectory.tool_uses for hit in use.hits]
    return {
        "searched": float(bool(trajectory.searches)),
        "searches": float(len(trajectory.searches)),
        "evidence_recall": evidence_recall(task, found) if trajectory.mode == "react" else None,
        "grounded": float(trajectory.verdict.grounded is True) if trajectory.tool_uses else None,
    }
