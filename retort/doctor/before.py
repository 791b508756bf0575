"""What has to hold before a teacher is paid: everything that can be broken and costs nothing to look at.

`retort plan` and `retort doctor` tell it, and `retort run` refuses to collect while something of it is broken: a
missing extra of the report, a full disk or a key that an arm needs would otherwise be found when the teacher is paid.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from agents.context import DEFAULT_KEY
from agents.errors import MissingExtra, SeatError, StageError
from agents.models.weights import find_weights
from agents.providers import split_spec
from agents.tools.schemas import BUILTIN

from .base import base_findings
from .findings import Finding, line_of
from .line import addresses
from .machine import disk, extras, writable
from .material import corpus_findings, tool_findings
from .need import longest_chunk
from .visit import address_problem

if TYPE_CHECKING:
    from agents.context import Seat

    from ..config import RunConfig
    from ..pipeline import Run

EPISODE_BYTES = 4_000
"""Of a recorded episode at the least: the demonstrator's of one look-up; a teacher that thinks takes more."""
TRAINED_BYTES = 28
"""Bytes a parameter of a full training: two checkpoints with weights and AdamW's moments in 32 bits, and the result."""
MOST_SAID = 5
"""Broken findings that a refusal names."""


def before_paying(run: Run, stages: Collection[str], *, start: bool = False) -> list[tuple[str, list[Finding]]]:
    """(subject, findings) of all that can be looked at for the stages that are to be done; nothing is sent.

    Args:
        stages: names of stages; seats, extras and base are looked at as far as these use them.
        start: load tools of one's own and start MCP servers for a moment, as playing does.
    """
    config = run.config
    own = any(spec not in BUILTIN for spec in config.board.tools) or bool(config.board.mcp)
    found = [("corpus", corpus_findings(config.corpus))] if {"index", "exam"} & set(stages) else []
    if own and {"collect", "evaluate"} & set(stages):
        found.append(("tools", tool_findings(config, start=start)))
    if {"collect", "cpt", "sft"} & set(stages) and config.student.stages:
        base = base_findings(config, longest_chunk(run.folder / "library"))
        found.append((f"student.base: {config.student.base}", base))
    found.append(("seats", seat_findings(config, stages)))
    here = [*extras(config, stages), disk(run.folder, disk_bytes(config, stages)), writable(run.folder)]
    return [*found, ("machine", here)]


def seat_findings(config: RunConfig, stages: Collection[str]) -> list[Finding]:
    """The findings on keys and URLs of the seats that the stages play with."""
    found: dict[Finding, None] = {}
    for seat in seats_of(config, stages):
        provider, _, url = split_spec(seat.model)
        if provider == "openai" or (provider == "vllm" and url is not None):
            problems = (address_problem(address, seat) for address in addresses(seat))
            found |= {each: None for each in problems if each is not None}
        elif provider == "langchain":
            found |= dict.fromkeys(class_problems(seat))
    return list(found)


def class_problems(seat: Seat) -> list[Finding]:
    """What is wrong with a seat of a LangChain package, as far as can be told without importing it."""
    from agents.install import pip_line
    from agents.providers.langchain import split_name

    found = []
    try:
        module, _, _ = split_name(split_spec(seat.model)[1])
    except SeatError as error:
        return [Finding("seat_not_opened", "broken", str(error), "see docs/seats.md: langchain")]
    package = module.partition(".")[0]
    if find_spec(package) is None:
        seen = f"the package {package!r} of the seat {seat.model!r} is not installed"
        found.append(Finding("package_missing", "broken", seen, pip_line(module)))
    if seat.key_env != DEFAULT_KEY and not os.environ.get(seat.key_env):
        seen = f"environment variable {seat.key_env!r} is empty"
        found.append(Finding("key_missing", "broken", seen, f"export {seat.key_env}=..., or name another in key_env"))
    return found


def seats_of(config: RunConfig, stages: Collection[str]) -> list[Seat]:
    """The seats of the teams that collect or are rows of the leaderboard, by the stages that are to be done."""
    teams = [config.collect.team] if "collect" in stages else []
    teams += [arm.team for arm in config.arms()] if "evaluate" in stages else []
    used = [config.teams[name] for name in dict.fromkeys(teams) if name in config.teams]
    return [seat for team in used for seat in team.named("").seats().values()]


def disk_bytes(config: RunConfig, stages: Collection[str]) -> float:
    """Bytes that the stages take at the least, by episodes and the base's files; a base on a hub counts for nothing."""
    needed = 0.0
    if "collect" in stages:
        needed += EPISODE_BYTES * config.exam.train * config.collect.samples
    if "evaluate" in stages:
        needed += EPISODE_BYTES * config.exam.test * len(config.arms())
    full = [name for name, made in (("cpt", config.cpt), ("sft", config.sft)) if made.method == "full"]
    if not {*full} & {*config.student.stages} & {*stages}:
        return needed
    try:
        folder = Path(find_weights(config.student.base).base)
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (SeatError, MissingExtra, OSError, ValueError):  # said of the base itself
        return needed
    size = sum(path.stat().st_size for path in [*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    each = 4 if (settings.get("dtype") or settings.get("torch_dtype")) == "float32" else 2
    return needed + TRAINED_BYTES * size / each


def refuse_broken(run: Run, stages: Collection[str]) -> list[str]:
    """What is to be said before a teacher is paid, as lines.

    Raises:
        StageError: something is broken; names what, and the next step of each.
    """
    found = before_paying(run, stages, start=True)
    refuse(found)
    return [said(subject, each) for subject, part in found for each in part if each.severity == "warning"]


def refuse(found: Sequence[tuple[str, Sequence[Finding]]]) -> None:
    """Raise StageError where something is broken: what, and the next step of each."""
    broken = [said(subject, each) for subject, part in found for each in part if each.severity == "broken"]
    if len(broken) > MOST_SAID:
        broken = [*broken[:MOST_SAID], f"and {len(broken) - MOST_SAID} more: `retort doctor` tells them"]
    if broken:
        raise StageError("\n  ".join(["nothing is played while this is broken:", *broken]))


def said(subject: str, finding: Finding) -> str:
    """A finding on a line."""
    base = "student.base cannot be trained, " if subject.startswith("student.base") else ""
    base = base if finding.severity == "broken" else ""
    return f"{base}{finding.name}: {line_of(finding.seen)} -> {line_of(finding.step)}".removesuffix(" -> ")
