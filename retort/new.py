"""Writes a commented run.toml for somebody's own manual."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from agents.errors import ConfigError
from agents.files import write_text


def new(folder: Path) -> str:
    """Write FOLDER/run.toml; returns what to do next.

    Raises:
        ConfigError: there is a run.toml already.
    """
    path = folder / "run.toml"
    if path.exists():
        raise ConfigError(f"{path} is there already: choose another folder")
    template = files(__package__).joinpath("template.toml").read_text(encoding="utf-8")
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in folder.resolve().name).lstrip("._-") or "mine"
    write_text(path, template.replace("NAME", name, 1))
    return (
        f"{path} is written. Next: put your manual's pages into {folder / 'manual'}/ and its facts into "
        f"{folder / 'facts.jsonl'}, then\n    retort plan {path}\n    retort run {path}"
    )
