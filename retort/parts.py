"""What a stage's result depends on, as named parts: settings, files, source code, models, tools and the corpus.

Each part is a hash of content under a name; `part_label` says it in words, so that a stale stage can say what changed.
Where a file lies and when it was written is no part.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from agents.context import Board, Team
from agents.corpus.indexes import IndexConfig, fingerprint
from agents.corpus.sources import Source
from agents.errors import ConfigError
from agents.registry import Registry
from graphs.board import module_file, seat_parts, tool_files, weights_digest
from graphs.contents import sha256_of
from graphs.runner.executors import IN_PROCESS, PROCESSES, executors
from graphs.trajectory import digest

from .products import LEDGER, ledger_keys

ROOT = Path(__file__).resolve().parents[1]
"""The folder in which the packages of this project lie side by side."""
ABSENT = "absent"
SHOWN = 4
"""Changed parts that a stale stage names; of more it gives the number."""

Parts = dict[str, str]
"""Name -> hash."""


def content(path: Path) -> str:
    """Hash of a file's content, or of a ledger's keys; `ABSENT` where it is absent or cannot be read."""
    if path.name == LEDGER and path.is_file():
        return digest((ledger_keys(path) or {}).get("keys"))
    try:
        return sha256_of(path)[:16]
    except OSError:
        return ABSENT


def settings(data: Mapping[str, Any], keys: Sequence[str]) -> Parts:
    """A part for every value of the config under `keys` (`exam`, `student.base`); `!collect.workers` leaves one out."""
    wanted = [key.split(".") for key in keys if not key.startswith("!")]
    without = {key[1:] for key in keys if key.startswith("!")}
    found: Parts = {}
    for place in wanted:
        value: Any = data
        for step in place:
            value = value[step]
        for name, leaf in leaves(".".join(place), value):
            if name not in without:
                found[f"config.{name}"] = digest(leaf)
    return found


def leaves(name: str, value: Any) -> list[tuple[str, Any]]:
    """(dotted name, value) of everything in a table of the config, tables within it taken apart."""
    if not isinstance(value, Mapping):
        return [(name, value)]
    return [leaf for key, inner in value.items() for leaf in leaves(f"{name}.{key}", inner)]


def code(patterns: Sequence[str], root: Path = ROOT) -> Parts:
    """A part for every file of source code that a pattern names.

    Args:
        patterns: globs from `root`; `!GLOB` leaves files out, `FILE.py:NAME` is one function or class of a file.
    """
    without = {path for pattern in patterns if pattern.startswith("!") for path in root.glob(pattern[1:])}
    found: Parts = {}
    for pattern in patterns:
        file, _, name = pattern.partition(":")
        if pattern.startswith("!"):
            continue
        if name:
            found[f"code.{pattern}"] = definition(root / file, name)
            continue
        for path in root.glob(pattern):
            place = path.relative_to(root)
            if path.is_file() and path not in without and "__pycache__" not in place.parts:
                found[f"code.{place.as_posix()}"] = content(path)
    return found


def definition(path: Path, name: str) -> str:
    """Hash of the source of one function or class of a file."""
    try:
        return definitions(path.read_text(encoding="utf-8")).get(name, ABSENT)
    except (OSError, SyntaxError):
        return ABSENT


@lru_cache(maxsize=4)
def definitions(source: str) -> dict[str, str]:
    """Name -> hash of the source of each function and class of a module."""
    lines = source.splitlines()
    return {
        node.name: digest(lines[node.lineno - 1 : node.end_lineno])
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def files(run: Path, patterns: Sequence[str]) -> Parts:
    """A part for every file of the run folder that a pattern names; one without a wildcard also where it is absent."""
    found: Parts = {}
    for pattern in patterns:
        paths = sorted(run.glob(pattern)) if "*" in pattern else [run / pattern]
        found |= {f"file.{path.relative_to(run).as_posix()}": content(path) for path in paths}
    return found


def corpus(source: Source) -> Parts:
    """What a source's pages and facts follow from."""
    return {f"corpus.{name}": digest(value) for name, value in source.fingerprint(content).items()}


def foreign(registry: Registry[Any], names: Sequence[str]) -> Parts:
    """The files of chosen parts that the user or another package has made; Retort's own are listed as source code."""
    found: Parts = {}
    for name in names:
        path = None if registry.builtin(name) else registry.file(name)
        if path is not None:
            found[f"own.{registry.kind} {without_folder(name)}"] = content(path)
    return found


def without_folder(spec: str) -> str:
    """Own code as `file.py:name`; any other name as it is."""
    place, _, name = spec.rpartition(":")
    return f"{Path(place).name}:{name}" if place else name


def index(config: IndexConfig) -> Parts:
    """What an index is and what it is made of: code, packages, embedding models; no code of the user's own is run."""
    found: Parts = {}
    for each in config.walk():
        place = each.kind.rpartition(":")[0]
        if place:
            path = module_file(place)
            found[f"index.{Path(place).name}"] = ABSENT if path is None else content(path)
            continue
        try:
            about = {} if each.parts() else fingerprint(each, sha256_of)  # a hybrid's keys stand under config.index
        except ConfigError:  # said by what builds or opens it
            about = {"kind": ABSENT}
        found |= {f"package.{name}": digest(number) for name, number in about.pop("packages", {}).items()}
        found |= {f"index.{each.kind}.{name}": digest(value) for name, value in about.items()}
    return found


def players(team: Team) -> Parts:
    """Who sits where in a team: a part for each thing that tells one player from another."""
    found = {f"team.{team.name}.all.first_thought": digest(team.first_thought)}
    for role, seat in team.seats().items():
        found |= {f"team.{team.name}.{role}.{name}": digest(value) for name, value in seat_parts(seat).items()}
    return found


def tools(board: Board) -> Parts:
    """The files of the user's own tools, and those that the command lines of MCP servers name."""
    return {f"tool.{name}": content(path) for name, path in tool_files(board).items()}


def executor(name: str | None) -> Parts:
    """The file of an executor that is not Retort's: what it plays is recorded as any other episode."""
    if name is None or name in (IN_PROCESS, PROCESSES):
        return {}
    file = executors.file(name)
    return {f"executor.{name.rpartition(':')[2]}": content(file) if file is not None else ABSENT}


def model(name: str) -> Parts:
    """The weights of the student's base."""
    return {"weights.base": weights_digest(name)}


def trained(run: Path, stage: str) -> Parts:
    """The weights that an earlier training made."""
    return {f"file.students/{stage}": weights_digest(str(run / "students" / stage))}


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What changed, in words: `distill/exam/build.py and [exam] train changed`; empty where nothing did."""
    names = sorted(name for name in {**before, **now} if before.get(name) != now.get(name))
    words = list(dict.fromkeys(part_label(name) for name in names))
    if not words:
        return ""
    if len(words) > SHOWN:
        return f"{', '.join(words[: SHOWN - 1])} and {len(words) - SHOWN + 1} more changed"
    return f"{' and '.join(filter(None, [', '.join(words[:-1]), words[-1]]))} changed"


def part_label(name: str) -> str:
    """A part's name in words."""
    kind, _, rest = name.partition(".")
    if kind == "config":
        section, _, key = rest.rpartition(".")
        return f"[{section}] {key}" if section else key
    if kind == "team":
        team, role, what = rest.rsplit(".", 2)
        if what in ("weights", "script", "code"):
            return f"the {what} of the {role} seat of {team}"
        return f"[teams.{team}] {what if role == 'all' else f'{role}.{what}'}"
    if kind in ("tool", "score", "executor"):
        return f"the {kind} {rest}"
    if kind in ("corpus", "own"):
        return f"the {rest}"
    if kind == "method":
        return f"the training method's {rest}"
    words = {"weights.base": "the weights of student.base"}
    if kind == "template":
        return f"the chat template of [{rest}]"
    if kind == "index":
        part, _, what = rest.partition(".")
        return f"the {what} of the {part} index" if what and what != "py" else f"the index {rest}"
    if kind == "package":
        return f"the package {rest}"
    return words.get(name, rest)
