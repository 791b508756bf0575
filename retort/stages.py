"""Which stages there are, what each reads, and whether what it made is still true.

A stage is fresh when stages.json records its present fingerprint (its config sections, the files it reads, and the
fingerprints of the stages before it) and everything it makes is there. Anything else is missing or stale.
"""

from __future__ import annotations

import json
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agents.files import write_json
from graphs.board import code_digest, team_identity
from graphs.trajectory import digest

from .config import RunConfig

State = Literal["fresh", "stale", "missing"]
RECIPE = 1
"""Raised when a stage starts to make something else of the same input, so that old runs are seen as stale."""


@dataclass(frozen=True)
class Stage:
    """One station of the line."""

    name: str
    does: str
    needs: tuple[str, ...]
    """Stages whose output it reads."""
    sections: tuple[str, ...]
    """Sections of run.toml that it reads."""
    makes: tuple[str, ...]
    """Files of the run folder that it makes."""


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("index", "manuals -> library", (), ("corpus",), ("library", "facts.jsonl")),
        Stage("exam", "facts -> exam", ("index",), ("exam", "seed"), ("exam.jsonl", "held_out.json", "exam.json")),
        Stage("collect", "teacher team -> ledger", ("exam",), ("collect", "board", "teams"), ("ledger.sqlite",)),
        Stage(
            "dataset",
            "ledger -> kept, dropped, training files",
            ("collect",),
            ("dataset",),
            ("kept.jsonl", "dropped.jsonl", "data/sft.jsonl", "data/cpt.jsonl", "data/README.md", "leaks.json"),
        ),
        Stage("cpt", "manuals -> base that has read them", ("dataset",), ("cpt", "student", "seed"), ("students/cpt",)),
        Stage("sft", "episodes -> student", ("dataset", "cpt"), ("sft", "student", "seed"), ("students/sft",)),
        Stage(
            "evaluate",
            "arms -> scores on the held-out exam",
            ("exam", "cpt", "sft"),
            ("evaluate", "board", "teams", "student"),
            ("scores/ledger.sqlite", "board.json"),
        ),
        Stage(
            "leaderboard",
            "scores -> leaderboard and report",
            ("evaluate", "dataset"),
            (),
            ("leaderboard.json", "leaderboard.csv", "leaderboard.md", "report.html"),
        ),
    )
}


def stages_of(config: RunConfig) -> list[Stage]:
    """The stages that this config runs, in order: without training there is no cpt and no sft."""
    skipped = {"cpt", "sft"} - set(config.student.stages)
    return [stage for stage in STAGES.values() if stage.name not in skipped]


def fingerprints(config: RunConfig) -> dict[str, str]:
    """Stage -> fingerprint of what it would be made from."""
    data = config.model_dump(mode="json")
    found: dict[str, str] = {}
    for stage in stages_of(config):
        own = {section: data[section] for section in stage.sections}
        parts: list[Any] = [RECIPE, stage.name, own, [found[name] for name in stage.needs if name in found]]
        if stage.name == "index":
            parts.append(corpus_stamp(config))
        if stage.name in ("cpt", "sft", "evaluate"):
            parts.append(template_stamps(config))
        if stage.name in ("collect", "evaluate"):
            # What plays and judges an episode: an upgrade, or other files behind a seat, make other episodes.
            parts += [code_digest(), [team_identity(team.named(name)) for name, team in config.teams.items()]]
        found[stage.name] = digest(*parts)
    return found


def template_stamps(config: RunConfig) -> list[str]:
    """The text of each chat template that the student is trained and played with; another file is another student."""
    from agents.templates import template_text

    named = (config.student.chat_template, config.cpt.chat_template, config.sft.chat_template)
    return [digest(template_text(name)) for name in named if name is not None]


def corpus_stamp(config: RunConfig) -> Any:
    """What tells one state of the corpus from another: the interpreter's version, or sizes and times of the files."""
    if config.corpus.manuals is None or config.corpus.facts is None:
        return platform.python_version()
    files = sorted(config.corpus.manuals.rglob("*")) + [config.corpus.facts]
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()]


def recorded(run: Path) -> dict[str, dict[str, Any]]:
    """stages.json, or nothing where it is absent or broken (then everything is stale)."""
    try:
        data = json.loads((run / "stages.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def states(config: RunConfig, run: Path) -> dict[str, State]:
    """Stage -> fresh, stale or missing; what follows a stage that is not fresh is stale."""
    marks = recorded(run)
    prints = fingerprints(config)
    found: dict[str, State] = {}
    for stage in stages_of(config):
        there = all((run / name).exists() for name in stage.makes)
        known = marks.get(stage.name, {}).get("fingerprint")
        upstream = all(found.get(name, "fresh") == "fresh" for name in stage.needs)
        if not there or known is None:
            found[stage.name] = "missing"
        else:
            found[stage.name] = "fresh" if known == prints[stage.name] and upstream else "stale"
    return found


def mark(run: Path, config: RunConfig, stage: str, seconds: float, said: str) -> None:
    """Record that a stage is done, with the line it printed."""
    marks = recorded(run)
    marks[stage] = {
        "fingerprint": fingerprints(config)[stage],
        "seconds": round(seconds, 2),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "said": said,
    }
    write_json(run / "stages.json", marks)


def unmark(run: Path, stage: str) -> None:
    """Forget that a stage was done, before it is done again: killed half-way it is not fresh."""
    marks = recorded(run)
    if marks.pop(stage, None) is not None:
        write_json(run / "stages.json", marks)
