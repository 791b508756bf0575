"""The paths of run.toml: those that are relative are resolved against the file's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.context import Seat
from agents.corpus.indexes import IndexConfig
from agents.providers import known_provider, split_spec

if TYPE_CHECKING:
    from .config import RunConfig, SeatedTeam


def absolute(config: RunConfig, root: Path) -> RunConfig:
    """The config with its relative paths resolved against `root`."""
    corpus = config.corpus.model_copy(
        update={
            "manuals": config.corpus.manuals and (root / config.corpus.manuals).resolve(),
            "facts": config.corpus.facts and (root / config.corpus.facts).resolve(),
            "source": absolute_tool(config.corpus.source, root),
            "loaders": {suffix: absolute_tool(name, root) for suffix, name in config.corpus.loaders.items()},
        }
    )
    teams = {name: absolute_team(team, root) for name, team in config.teams.items()}
    base = config.student.base
    if (root / base).is_dir():
        base = str((root / base).resolve())
    student = config.student.model_copy(
        update={"base": base, "chat_template": absolute_file(config.student.chat_template, root)}
    )
    stages = tuple(absolute_tool(stage, root) for stage in config.student.stages)
    student = student.model_copy(update={"stages": stages})
    sections = {name: absolute_section(each, root) for name, each in (config.model_extra or {}).items()}
    tools = tuple(absolute_tool(spec, root) for spec in config.board.tools)
    board = config.board.model_copy(update={"tools": tools})
    exam = config.exam.model_copy(update={"kinds": tuple(absolute_tool(name, root) for name in config.exam.kinds)})
    scores = tuple(absolute_tool(spec, root) for spec in config.evaluate.scores)
    collect, evaluate = (
        each.model_copy(update={"executor": each.executor and absolute_tool(each.executor, root)})
        for each in (config.collect, config.evaluate)
    )
    evaluate = evaluate.model_copy(update={"scores": scores, "seats": absolute_seats(config.evaluate.seats, root)})
    index = absolute_index(config.index, root)
    own = {
        "index": index,
        "collect": collect,
        "evaluate": evaluate,
        "corpus": corpus,
        "exam": exam,
        "teams": teams,
        "student": student,
        "board": board,
        **sections,
    }
    return config.model_copy(update=own)


def absolute_section(section: Any, root: Path) -> Any:
    """A training's section with the path of its template resolved against `root`; that of an own method is a table."""
    if isinstance(section, Mapping):
        named = section.get("chat_template")
        return {**section, "chat_template": absolute_file(named, root)} if isinstance(named, str) else section
    return section.model_copy(update={"chat_template": absolute_file(section.chat_template, root)})


def absolute_file(name: str | None, root: Path) -> str | None:
    """The path of a file that lies beside run.toml; any other name as it is."""
    return str((root / name).resolve()) if name is not None and (root / name).is_file() else name


def absolute_team(team: SeatedTeam, root: Path) -> SeatedTeam:
    """The team with file paths of its seats resolved against `root`."""

    def fix(seat: Seat | None) -> Seat | None:
        if seat is None:
            return None
        spec = split_spec(seat.model)
        known = known_provider(spec.provider)
        own = spec._replace(provider=absolute_tool(spec.provider, root))  # a registered name is no tool's
        found = own if known is None else known.absolute(spec, root)
        line = seat.model if found == spec else found.line
        return seat.model_copy(update={"model": line, "chat_template": absolute_file(seat.chat_template, root)})

    roles = team.named("").seats()
    return team.model_copy(update={role: fix(seat) for role, seat in roles.items()})


PLACES = ("model", "folder", "file", "path")
"""Keys of an index that may name a folder or a file beside run.toml."""


def absolute_index(config: IndexConfig, root: Path) -> IndexConfig:
    """An index with the file of its kind, and the folders and files that it names, resolved against `root`."""
    rest = config.options
    for key in PLACES:
        value = rest.get(key)
        if isinstance(value, str) and "url" not in rest and (root / value).exists():
            rest[key] = str((root / value).resolve())
    parts = {name: absolute_index(part, root).model_dump(mode="json") for name, part in config.parts().items()}
    if parts:
        rest["parts"] = {**rest["parts"], **parts}
    return IndexConfig.model_validate({"kind": absolute_tool(config.kind, root), **rest})


def absolute_seats(seats: Mapping[str, Seat], root: Path) -> dict[str, Seat]:
    """Seats by name with their file paths resolved against `root`."""
    from .config import SeatedTeam

    return {name: absolute_team(SeatedTeam(reason=seat), root).reason for name, seat in seats.items()}


def absolute_tool(spec: str, root: Path) -> str:
    """Own code, `module:function` or `module:Class`, with the module's file where it lies beside run.toml."""
    module, colon, name = spec.rpartition(":")
    for path in (root / module, root / f"{module.replace('.', '/')}.py"):
        if colon and path.suffix == ".py" and path.is_file():
            return f"{path.resolve()}:{name}"
    return spec
