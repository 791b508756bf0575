"""Entry points of `langgraph dev` (langgraph.json): THE graph with the teacher, and with the student, already seated.

Both are the same compiled object with another default context. The run is the folder that RETORT_RUN names, else
`runs/python-stdlib`, which `make demo` makes; a thread's own context may name other seats, rules or libraries.
"""

from __future__ import annotations

import os
from pathlib import Path

from agents.context import Board, Context, Seat, Team
from graphs.react import graph

RUN = Path(os.environ.get("RETORT_RUN") or "runs/python-stdlib").resolve()


def seated(name: str) -> Context:
    """The context of a run's team; without a run it names the files that `make demo` will make."""
    if (RUN / "run.toml").exists():
        from retort.config import load_config
        from retort.pipeline import Run

        run = Run(load_config(RUN), RUN)
        if (
            name != "student"
            or run.config.teams.get(name)
            or (RUN / "students" / run.config.student.stages[-1]).exists()
        ):
            return run.context(name if name == "student" else run.config.collect.team, "react", "score", held_out=False)
    model = f"hf:{RUN / 'students' / 'sft'}" if name == "student" else f"scripted:answer-key@{RUN / 'exam.jsonl'}"
    return Context(team=Team(name=name, reason=Seat(model=model)), library=str(RUN / "library"))


_teacher, _student = seated("teacher"), seated("student")


class TeacherContext(Context):
    """The context, with the run's teacher team as default."""

    team: Team = _teacher.team
    library: str = _teacher.library
    board: Board = _teacher.board


class StudentContext(Context):
    """The context, with the run's student as default."""

    team: Team = _student.team
    library: str = _student.library
    board: Board = _student.board


teacher = graph.copy({"context_schema": TeacherContext, "name": "teacher"})
student = graph.copy({"context_schema": StudentContext, "name": "student"})
