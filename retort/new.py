"""Writes a commented run.toml for somebody's own manual, and beside it a sample manual with which it runs at once."""

from __future__ import annotations

import re
import unicodedata
from importlib.resources import files
from pathlib import Path

from agents.files import write_text
from agents.folders import absolute, refuse_occupied, unusable

from .sample import MARK, pages, with_lines
from .sample import facts as sample_facts


def new(folder: Path, *, sample: bool = True) -> str:
    """Write FOLDER/run.toml and the sample; returns what to do next.

    Args:
        sample: False = run.toml alone.

    Raises:
        FolderError: the folder holds anything, which stays as it is, or it cannot be made.
    """
    path = folder / "run.toml"
    refuse_occupied(folder)
    template = files(__package__).joinpath("template.toml").read_text(encoding="utf-8")
    plain = unicodedata.normalize("NFKD", absolute(folder).name).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]", "-", plain).lstrip("._-")[:80] or "mine"
    template = template.replace("NAME", name, 1)
    manual, facts = folder / "manual", folder / "facts.jsonl"
    try:
        if not sample:
            write_text(path, template)
            return (
                f"{path} is written. Next: put your manual's pages into {manual}/ and its facts into {facts}, then\n"
                f"    retort plan {path}\n    retort run {path}"
            )
        for page, text in pages().items():
            write_text(manual / page, text)
        write_text(facts, sample_facts())
        write_text(path, with_lines(template))
    except OSError as error:
        raise unusable(folder, error) from None
    return (
        f"{path} is written, with a sample manual that runs to a leaderboard in a minute or two:\n"
        f"    retort plan {path}\n    retort run {path}\n"
        f"Next: put your own pages into {manual}/ and your own facts into {facts}, and take the lines that end with "
        f"{MARK!r} out of {path}"
    )
