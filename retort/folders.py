"""Config folders and run folders: which one a command was given, where a run lies, and to which config it belongs.

A config folder holds run.toml and what it names: the user's own files, never written. A run folder is made by Retort,
lies at `runs/NAME` beside its config unless --run says otherwise, and carries run.json, which says whose it is.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import NamedTuple

from agents.errors import FolderError, StageError
from agents.files import write_json
from agents.folders import OTHER, RUN_MARK, absolute, entries, is_run_folder, some
from agents.task import Split

from .lock import LOCK, OWNER

LEFT = {LOCK, OWNER, ".hashes.json"}
"""What a start that was killed at once leaves in a new run folder."""


LEDGERS: dict[Split, str] = {
    "train": "ledger.sqlite",
    "test": "scores/ledger.sqlite",
    "dev": "scores/dev/ledger.sqlite",
}
"""Split -> the file of a run folder with the episodes that were played of it."""


class Place(NamedTuple):
    """What a command was pointed at."""

    config: Path
    """The run.toml."""
    run: Path | None
    """The run folder, where it was one; None = the config's own, by its name."""


def place_of(given: Path) -> Place:
    """The config, and the run folder where that was given: by a run.toml, a config folder, or a run folder."""
    if given.is_dir():
        return Place(given / "run.toml", given if is_run_folder(given) else None)
    if given.name == "run.toml" and is_run_folder(given.parent):
        return Place(given, given.parent)
    return Place(given, None)


def beside(config: Path, name: str) -> Path:
    """Where the run of a config lies unless --run says otherwise."""
    return absolute(config).parent / "runs" / name


def run_given(given: Path) -> Path:
    """The run folder that `given` is, or that its config's run lies in; `given` itself where it is neither.

    Raises:
        ConfigError: it is a config that cannot be read.
    """
    from .config import load_config

    place = place_of(given)
    if place.run is not None or not place.config.is_file():
        return place.run or given
    return beside(place.config, load_config(place.config).name)


def check_run(run: Path) -> None:
    """Raise StageError where a folder is no run's, for it holds no run.toml."""
    if not (run / "run.toml").is_file():
        raise StageError(f"{str(run)!r} is no run folder, it holds no run.toml: `retort run CONFIG` makes one")


def config_of(run: Path) -> Path | None:
    """The config that a run folder belongs to, by its run.json; None where that tells none that is there."""
    try:
        stated = json.loads((run / RUN_MARK).read_text(encoding="utf-8"))["config"]
        found = (run / stated).resolve()
        return found if found.is_file() else None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def command_for(run: Path) -> str | None:
    """The command line that does the stages of a run folder by its own config; None where that is not known."""
    config = config_of(run)
    if config is None:
        return None
    from .config import load_config

    line = ["retort", "run", str(config)]
    if beside(config, load_config(config).name) != absolute(run):
        line += ["--run", str(run)]
    return shlex.join(line)


def check_place(run: Path, config: Path | None, inputs: tuple[Path | None, ...] = ()) -> None:
    """Refuse a run folder that is none, that is another config's, or in which the corpus lies.

    Args:
        config: the run.toml that is run; None = not from a file.
        inputs: manuals and facts.

    Raises:
        FolderError: as said above, or the folder cannot be read.
        StageError: the run folder belongs to another config.
    """
    there = [name for name in entries(run) if name not in LEFT]
    if there and not is_run_folder(run):
        if config is not None and absolute(config).parent == absolute(run):
            raise FolderError(
                f"{str(run)!r} is the folder of the config, which stays as it is: leave --run out for "
                f"{str(run / 'runs')!r}, or {OTHER}"
            )
        raise FolderError(f"{str(run)!r} is no run folder and holds {some(there)}, which stays as it is: {OTHER}")
    within = [each for each in inputs if each is not None and absolute(run) in (each, *each.parents)]
    if within:
        raise FolderError(
            f"{str(within[0])!r} lies in the run folder {str(run)!r}, whose files are written anew: move it out of "
            "there and name its new place in [corpus], or give another --run"
        )
    owner, own = config_of(run), absolute(run) / "run.toml"
    if config is not None and owner not in (None, own, absolute(config)) and absolute(config) != own:
        raise StageError(
            f"{str(run)!r} is the run of {str(owner)!r}, not of {str(config)!r}: give another folder with --run"
        )


def claim(run: Path, config: Path | None) -> None:
    """Write down whose a run folder is: by a relative path where it lies under its config, so that both can be moved.

    A run that goes on from its own run.toml stays whose it was.
    """
    if config is not None and absolute(config) != absolute(run) / "run.toml":
        home, folder = absolute(config), absolute(run)
        named = os.path.relpath(home, folder) if home.parent in folder.parents else str(home)
    elif (run / RUN_MARK).is_file():
        return
    else:
        named = "run.toml"
    if not (run / RUN_MARK).is_file() or named_config(run) != named:
        write_json(run / RUN_MARK, {"config": named})


def named_config(run: Path) -> str | None:
    """The config as run.json names it; None where it is broken."""
    try:
        return str(json.loads((run / RUN_MARK).read_text(encoding="utf-8"))["config"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def elsewhere(config: Path, name: str, run: Path) -> str | None:
    """A line on a run of that name where earlier versions put it, in the current folder; None where there is none."""
    old = Path("runs") / name
    if run.exists() or absolute(old) == absolute(run) or not is_run_folder(old) or (old / RUN_MARK).is_file():
        return None
    line = shlex.join(["retort", "run", str(config), "--run", str(old)])
    return (
        f"note: an earlier run lies in {absolute(old)}; this one begins anew in {run}. `{line}` continues the earlier"
    )
