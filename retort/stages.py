"""Whether what a stage made is still true, and what changed where it is not.

A stage is fresh when stages.json records the present parts of what it depends on (parts.py), when every file that it
made is as it left it (products.py), and when the stages before it are fresh. Anything else is missing or stale, and
says why.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agents.files import write_json
from graphs.trajectory import digest

from . import parts
from .config import RunConfig
from .parts import ROOT, Parts
from .products import damage, made
from .table import Stage, stages_of

if TYPE_CHECKING:
    from .pipeline import Run

State = Literal["fresh", "stale", "missing"]
RECIPE = 2
"""Raised when a stage starts to make something else of the same parts, so that old runs are seen as stale."""
HASHES = ".hashes.json"
"""File of the run folder with the hashes of large files, so that weights are not read again by every command."""


@dataclass(frozen=True)
class Found:
    """A stage's state."""

    state: State
    why: str = ""
    """What makes it stale, or what is gone; empty where it is fresh or was never done to its end."""

    def summary(self) -> str:
        """State and reason in one phrase."""
        return f"{self.state} ({self.why})" if self.why else self.state


def sources(config: RunConfig, root: Path = ROOT) -> dict[str, Parts]:
    """Stage -> the source code that makes its result, as it is now."""
    return {stage.name: parts.code(stage.code, root) for stage in stages_of(config)}


def parts_of(run: Run, stage: Stage, code: Parts) -> Parts:
    """Everything that the result of a stage would depend on if it were done now."""
    found: Parts = {"recipe": digest(RECIPE), **parts.settings(portable(run.config), stage.settings), **code}
    found |= parts.files(run.folder, stage.reads)
    for more in stage.more:
        found |= more(run)
    return found


def portable(config: RunConfig) -> dict[str, Any]:
    """The config as plain values, without the folders in which the user's code lies, and with the exam's own seed."""
    data = config.model_dump(mode="json")
    data["exam"]["seed"] = config.exam_seed()
    data["board"]["tools"] = [parts.without_folder(spec) for spec in config.board.tools]
    data["exam"]["kinds"] = [parts.without_folder(spec) for spec in config.exam.kinds]
    data["corpus"]["source"] = parts.without_folder(config.corpus.source)
    data["corpus"]["loaders"] = {
        suffix: parts.without_folder(spec) for suffix, spec in sorted(config.corpus.loaders.items())
    }
    data["evaluate"]["scores"] = [parts.without_folder(spec) for spec in config.evaluate.scores]
    return data


def recorded(run: Path) -> dict[str, dict[str, Any]]:
    """stages.json, or nothing where it is absent or broken (then nothing is known to be done)."""
    try:
        data = json.loads((run / "stages.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: row for name, row in data.items() if isinstance(row, dict)} if isinstance(data, dict) else {}


def states(config: RunConfig, run: Path) -> dict[str, State]:
    """Stage -> fresh, stale or missing; what follows a stage that is not fresh is stale."""
    from .pipeline import Run

    return {name: found.state for name, found in looked_at(Run(config, run)).items()}


def looked_at(run: Run, code: Mapping[str, Parts] | None = None) -> dict[str, Found]:
    """Stage -> its state with the reason.

    Args:
        code: what `sources` told; None = the source as it is now.
    """
    code = code or sources(run.config)
    marks = recorded(run.folder)
    found: dict[str, Found] = {}
    for stage in stages_of(run.config):
        found[stage.name] = state_of(run, stage, marks.get(stage.name), code[stage.name], found)
    return found


def state_of(run: Run, stage: Stage, mark: Mapping[str, Any] | None, code: Parts, before: Mapping[str, Found]) -> Found:
    """The state of one stage.

    Args:
        mark: what stages.json records of it.
        before: the states of the stages before it.
    """
    if mark is None:
        return Found("missing")
    absent = [name for name in stage.makes if not (run.folder / name).exists()]
    if absent:
        return Found("missing", f"{absent[0]} is gone")
    if not readable(mark):
        return Found("stale", "was done by another version of Retort")
    why = [parts.changes(mark["parts"], parts_of(run, stage, code)), *damage(run.folder, mark["made"])]
    late = [name for name in stage.needs if name in before and before[name].state != "fresh"]
    why += [f"{late[0]} is {before[late[0]].state}"] if late else []
    text = "; ".join(filter(None, why))
    return Found("stale", text) if text else Found("fresh")


def readable(mark: Mapping[str, Any]) -> bool:
    """Whether a row of stages.json holds what this version writes."""
    depends, records = mark.get("parts"), mark.get("made")
    if not isinstance(depends, dict) or not isinstance(records, dict):
        return False
    known = ({"keys", "last", "episodes"}, {"size", "sha256"})
    return all(isinstance(row, dict) and any(names <= row.keys() for names in known) for row in records.values())


def mark(run: Path, stage: Stage, depends: Parts, seconds: float, text: str) -> None:
    """Record that a stage is done.

    Args:
        depends: its parts as they were before it was done.
        text: the line that it printed.
    """
    marks = recorded(run)
    marks[stage.name] = {
        "fingerprint": digest(depends),
        "seconds": round(seconds, 2),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "said": text,
        "parts": dict(sorted(depends.items())),
        "made": made(run, stage.makes),
    }
    write_json(run / "stages.json", marks)


def unmark(run: Path, stage: str) -> None:
    """Forget that a stage was done, before it is done again: killed half-way it is not fresh."""
    marks = recorded(run)
    if marks.pop(stage, None) is not None:
        write_json(run / "stages.json", marks)
