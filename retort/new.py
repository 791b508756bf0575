"""Writes a commented run.toml for somebody's own manual."""

from __future__ import annotations

import re
import unicodedata
from importlib.resources import files
from pathlib import Path

from agents.files import write_text
from agents.folders import absolute, refuse_occupied, unusable


def new(folder: Path) -> str:
    """Write FOLDER/run.toml; returns what to do next.

    Raises:
        FolderError: the folder holds anything, which stays as it is, or it cannot be made.
    """
    path = folder / "run.toml"
    refuse_occupied(folder)
    template = files(__package__).joinpath("template.toml").read_text(encoding="utf-8")
    plain = unicodedata.normalize("NFKD", absolute(folder).name).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]", "-", plain).lstrip("._-")[:80] or "mine"
    try:
        write_text(path, template.replace("NAME", name, 1))
    except OSError as error:
        raise unusable(folder, error) from None
    return (
        f"{path} is written. Next: put your manual's pages into {folder / 'manual'}/ and its facts into "
        f"{folder / 'facts.jsonl'}, then\n    retort plan {path}\n    retort run {path}"
    )
