"""Entry points of `langgraph dev` (langgraph.json): THE graph with the teacher, with the student, and the search alone.

`teacher` and `student` are the same compiled object with another default context; `search` is the search agent's
subgraph with the teacher's. The run is the folder that RETORT_RUN names, else `runs/python-stdlib`, which `make demo`
makes; a thread's own context, or an assistant's, may name other seats, rules or libraries.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import create_model

from agents.context import Context, Seat, Team
from graphs.react import graph
from graphs.search import graph as search_graph

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


def schema(name: str, context: Context) -> type[Context]:
    """`Context` with the values of `context` as defaults: what a thread's own context leaves out is the run's."""
    defaults: dict[str, Any] = {
        field: (about.annotation, getattr(context, field)) for field, about in Context.model_fields.items()
    }
    return create_model(name, __base__=Context, __doc__=f"The context, with the run's {context.team.name}.", **defaults)


_teacher = schema("TeacherContext", seated("teacher"))

teacher = graph.copy({"context_schema": _teacher, "name": "teacher"})
student = graph.copy({"context_schema": schema("StudentContext", seated("student")), "name": "student"})
search = search_graph.copy({"context_schema": _teacher, "name": "search"})
