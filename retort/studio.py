"""Entry points of `langgraph dev` (langgraph.json): THE graph with the teacher, with the student, and the search alone.

`teacher` and `student` are the same compiled object with another default context; `search` is the search agent's
subgraph with the teacher's. The run is the folder that RETORT_RUN names, else the one that `make demo` makes; a
thread's own context, or an assistant's, chooses among what that run's config names (studio_choices.py).
"""

from __future__ import annotations

import os
from pathlib import Path

from graphs.react import graph
from graphs.search import graph as search_graph

from .config import load_config
from .studio_choices import STUDENT, offered_by, schema
from .trust import agree

RUN = Path(os.environ.get("RETORT_RUN") or "examples/python-stdlib/runs/python-stdlib").resolve()

if (RUN / "run.toml").exists():
    agree(load_config(RUN), RUN, RUN, trust=False, ask=False)  # `retort studio` has asked before it starts this
offer, collecting = offered_by(RUN)
choice = offer.choice(team=collecting)
"""What may be chosen on the graphs `teacher` and `search`."""

_teacher = schema("TeacherContext", offer, choice)
_student = schema("StudentContext", offer, offer.choice(team=STUDENT))

teacher = graph.copy({"context_schema": _teacher, "name": "teacher"})
student = graph.copy({"context_schema": _student, "name": "student"})
search = search_graph.copy({"context_schema": _teacher, "name": "search"})
