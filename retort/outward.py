"""What leaves this machine beside the calls of the seats: nothing, unless run.toml asks for it.

LangChain sends every prompt, question and gold to LangSmith where a shell happens to have its variables, and the
Hugging Face libraries report trainings and ask their hub about local models. The variables are set before those
libraries are imported, which read them once; worker processes inherit them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from agents.errors import ConfigError, SeatError
from agents.providers import known_of, split_spec

if TYPE_CHECKING:
    from .config import RunConfig

TRACING = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGCHAIN_TRACING")
"""Variables that switch LangChain's tracing on."""
TELEMETRY = ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK")
OFFLINE = "HF_HUB_OFFLINE"


def keep_in() -> None:
    """No tracing and no telemetry in this process and those that it starts."""
    os.environ.update(dict.fromkeys(TRACING, "false"))
    for name in TELEMETRY:
        os.environ.setdefault(name, "1")


def settle(config: RunConfig) -> str | None:
    """Allow what the config asks for: tracing, and the hub where a model is named by its hub id.

    Returns:
        A line for the person who waits where something leaves, else None.

    Raises:
        ConfigError: tracing is asked for, and there is no key for it.
    """
    keep_in()
    if not on_hub(models(config)):
        os.environ.setdefault(OFFLINE, "1")
    if not config.tracing.langsmith:
        return None
    where = os.environ.get("LANGSMITH_ENDPOINT") or os.environ.get("LANGCHAIN_ENDPOINT")
    if not (where or os.environ.get("LANGSMITH_API_KEY") or os.environ.get("LANGCHAIN_API_KEY")):
        raise ConfigError("[tracing] langsmith = true needs a key: export LANGSMITH_API_KEY=..., or set it to false")
    os.environ.update(dict.fromkeys(TRACING[:2], "true"))
    return "tracing      every prompt, reply, question and gold goes to LangSmith, by [tracing] of the config"


def models(config: RunConfig) -> list[str]:
    """Names of the models that this process opens: the student's base and those of seats in process."""
    seats = [seat for team in config.teams.values() for seat in team.named("").seats().values()]
    seats += config.evaluate.seats.values()
    opened = ((known_of(seat.model), seat) for seat in seats)
    return [
        config.student.base,
        *(split_spec(seat.model).model for known, seat in opened if known is not None and known.weighable),
    ]


def on_hub(names: Iterable[str]) -> bool:
    """Whether one of these is a hub id, or an adapter whose base is one."""
    from agents.models.weights import find_weights

    for name in names:
        try:
            base = find_weights(name).base
        except SeatError:  # said by the stage that opens it
            continue
        if not Path(base).is_dir():
            return True
    return False
