"""Writes a commented run.toml for somebody's own manual, and beside it a sample manual with which it runs at once."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from agents.errors import ConfigError
from agents.files import write_text


def new(folder: Path, *, sample: bool = True) -> str:
    """Write FOLDER/run.toml, and the sample where there is no manual yet; returns what to do next.

    Args:
        sample: False = run.toml alone.

    Raises:
        ConfigError: there is a run.toml already.
    """
    path = folder / "run.toml"
    if path.exists():
        raise ConfigError(f"{path} is there already: choose another folder")
    template = files(__package__).joinpath("template.toml").read_text(encoding="utf-8")
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in folder.resolve().name).lstrip("._-") or "mine"
    template = template.replace("NAME", name, 1)
    manual, facts = folder / "manual", folder / "facts.jsonl"
    if not sample or manual.exists() or facts.exists():
        write_text(path, template)
        return (
            f"{path} is written. Next: put your manual's pages into {manual}/ and its facts into {facts}, then\n"
            f"    retort plan {path}\n    retort run {path}"
        )
    from .sample import MARK, pages, with_lines
    from .sample import facts as sample_facts

    for page, text in pages().items():
        write_text(manual / page, text)
    write_text(facts, sample_facts())
    write_text(path, with_lines(template))
    return (
        f"{path} is written, with a sample manual that runs to a leaderboard in a minute or two:\n"
        f"    retort plan {path}\n    retort run {path}\n"
        f"Next: put your own pages into {manual}/ and your own facts into {facts}, and take the lines that end with "
        f"{MARK!r} out of {path}"
    )
