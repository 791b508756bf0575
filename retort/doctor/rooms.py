"""Whether `agents`, `evals`, `graphs` and the other rooms are ours: another distribution may install such a name too.

Standard library only, so that the command line can ask this before it imports any of them.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from .findings import Finding, line_of

ROOMS = ("agents", "graphs", "distill", "finetune", "evals")
OURS = frozenset({"retort-distill", "retort"})
"""Names of our distribution: `retort` is what a checkout installed itself as before the name was found to be taken."""
HOME = Path(__file__).resolve().parents[2]
"""The folder in which `retort` and the rooms beside it lie."""


def rooms() -> list[Finding]:
    """One finding for each room that is not ours, or that another distribution installs too; one fine one else."""
    installed = packages_distributions()  # reads every distribution of the environment
    found = [each for name in ROOMS for each in _room(name, sorted(set(installed.get(name, ())) - OURS))]
    found += namesake(installed)
    return found or [Finding("rooms", "fine", f"{', '.join(ROOMS)} are the ones beside retort, in {HOME}")]


def shadowed() -> str | None:
    """What stands in the way of importing the house, as lines for the terminal; None where nothing does."""
    broken = [each for each in rooms() if each.severity == "broken"]
    if not broken:
        return None
    return "\n".join(f"broken   {each.name}  {line_of(each.seen)}  -> {line_of(each.step)}" for each in broken)


def folder_of(name: str) -> Path | None:
    """The folder that `import name` opens; None where there is none."""
    module = sys.modules.get(name)
    if module is not None:
        places = [module.__file__ or ""] if module.__file__ else list(getattr(module, "__path__", []))
    else:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or [])
    if not places:
        return None
    place = Path(places[0]).resolve()
    return place if place.is_dir() else place.parent


def _room(name: str, others: list[str]) -> list[Finding]:
    """The findings on one room, where distributions `others` install it too."""
    folder = folder_of(name)
    blame = f" (of {', '.join(_with_version(each) for each in others)})" if others else ""
    if folder is None:
        return [
            Finding("shadowed", "broken", f"{name!r} cannot be imported", f"install it again: pip install -e {HOME}")
        ]
    if folder != HOME / name:
        seen = f"`import {name}` opens {folder}{blame}, not {HOME / name}"
        step = f"pip uninstall {others[0]}" if others else f"take {folder.parent} out of PYTHONPATH, or start elsewhere"
        return [Finding("shadowed", "broken", seen, step + "; or give Retort a virtual environment of its own")]
    if others:
        seen = f"{name!r} is ours now, and {', '.join(_with_version(each) for each in others)} installs it too"
        return [Finding("shadowed", "warning", seen, f"pip uninstall {others[0]}, or use a virtual environment")]
    return []


def namesake(installed: Mapping[str, Sequence[str]]) -> list[Finding]:
    """The finding on the other distribution by the name `retort`, which the package index has."""
    if "retort" not in installed.get("retort", ()) or "retort" in installed.get("agents", ()):
        return []
    seen = f"the distribution {_with_version('retort')} installs a package `retort` too, and is no part of this project"
    step = f"pip uninstall retort; pip install -e {HOME}; or give each a virtual environment of its own"
    return [Finding("shadowed", "warning", seen, step)]


def _with_version(name: str) -> str:
    try:
        return f"{name} {distribution(name).version}"
    except PackageNotFoundError:
        return name
