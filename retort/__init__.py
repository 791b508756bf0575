"""Retort as a library: runs, the leaderboard, single episodes. Each name is imported when it is first asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.errors import RetortError
    from agents.task import Task
    from evals.frames import Leaderboard
    from finetune.settings import TrainingResult
    from graphs.trajectory import Trajectory

    from .config import RunConfig
    from .episodes import close, play
    from .progress import Progress
    from .run import Run
    from .trajectories import Trajectories

__version__ = "0.1.0"
_PLACES = {
    "Leaderboard": "evals.frames",
    "Progress": "retort.progress",
    "RetortError": "agents.errors",
    "Run": "retort.run",
    "RunConfig": "retort.config",
    "Task": "agents.task",
    "TrainingResult": "finetune.settings",
    "Trajectories": "retort.trajectories",
    "Trajectory": "graphs.trajectory",
    "close": "retort.episodes",
    "play": "retort.episodes",
}
"""Public name -> module that defines it."""
__all__ = [
    "Leaderboard",
    "Progress",
    "RetortError",
    "Run",
    "RunConfig",
    "Task",
    "TrainingResult",
    "Trajectories",
    "Trajectory",
    "__version__",
    "close",
    "play",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
