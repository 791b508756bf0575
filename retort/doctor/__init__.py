"""`retort doctor`: looks at every seat of a config and at the machine before a run is let loose on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..pipeline import Run


def doctor(run: Run, *, seconds: float = 30.0, progress: bool | None = None, as_json: bool = False) -> tuple[str, int]:
    """Probe a run's seats and this machine.

    Args:
        run: the config and its folder; nothing is written there.
        seconds: for one call to an endpoint at the most.
        as_json: one JSON object in place of the table.
        progress: whether to draw a bar on standard error; None = where that is a terminal.

    Returns:
        The findings as a table, and the exit status: 0 where nothing is broken, else 1.
    """
    import asyncio

    from .findings import json_text, status, table
    from .probes import probe_all

    sections = asyncio.run(probe_all(run, seconds=seconds, progress=progress))
    if as_json:
        return json_text(sections, name=run.config.name, folder=str(run.folder)), status(sections)
    return f"doctor {run.config.name!r} in {run.folder}\n\n{table(sections)}", status(sections)
