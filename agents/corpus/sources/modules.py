"""Finds the public modules of the running interpreter's standard library, and the public names in them.

Modules that open a browser or a window, print, or change the process when imported are never imported.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import pkgutil
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any


def listed(text: str) -> frozenset[str]:
    """The names in a text."""
    return frozenset(text.split())


SKIPPED = listed(
    "antigravity this idlelib lib2to3 turtle turtledemo tkinter test pydoc_data distutils encodings ensurepip venv "
    # imports that change the process, and alternative names of os.path
    "rlcompleter readline posixpath ntpath genericpath posix nt sre_compile sre_constants sre_parse nturl2path"
)
"""Top-level modules that are left out."""

DEEP = listed(
    "asyncio collections concurrent ctypes curses dbm email html http importlib json logging multiprocessing os re "
    "sqlite3 unittest urllib wsgiref xml xmlrpc zoneinfo"
)
"""Packages whose public submodules are read too."""


def load(name: str) -> types.ModuleType | None:
    """Import a module quietly; None where this machine cannot."""
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except (Exception, SystemExit):
        return None


def public_modules() -> tuple[list[types.ModuleType], list[str]]:
    """Public modules in order of their names, and the names of those that cannot be imported here."""
    found: list[types.ModuleType] = []
    failed: list[str] = []
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in SKIPPED:
            continue
        module = load(name)
        if module is None:
            failed.append(name)
            continue
        found.append(module)
        for deeper in sorted(submodules(module)) if name in DEEP else ():
            below = load(deeper)
            if below is None:
                failed.append(deeper)
            else:
                found.append(below)
    return found, failed


def submodules(package: types.ModuleType, depth: int = 2) -> Iterator[str]:
    """Names of the public modules below a package."""
    if package.__name__ == "os":
        yield "os.path"
        return
    for entry in pkgutil.iter_modules(getattr(package, "__path__", ())):
        if entry.name.startswith("_") or entry.name in ("test", "tests"):
            continue
        name = f"{package.__name__}.{entry.name}"
        yield name
        if entry.ispkg and depth > 1:
            below = load(name)
            if below is not None:
                yield from submodules(below, depth - 1)


def module_name(module: types.ModuleType) -> str:
    """The public name of a module (`os.path`, not `posixpath`)."""
    return "os.path" if module is sys.modules["os.path"] else module.__name__


def root(name: str | None) -> str:
    """`_collections_abc` -> `collections_abc`, `json.decoder` -> `json`."""
    return (name or "").lstrip("_").split(".")[0]


def member(module: types.ModuleType, name: str) -> Any:
    """What a module's name stands for, loaded where the module loads it late; None where it stands for nothing."""
    if name in vars(module):
        return vars(module)[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(module, name, None)


def public_names(module: types.ModuleType) -> list[str]:
    """`__all__`, or the names without an underscore that were defined in the module or its package."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted({name for name in listed if not name.startswith("_") and member(module, name) is not None})
    home = root(module.__name__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (not callable(value) or root(getattr(value, "__module__", None)) == home)
    )


def is_entity(value: Any) -> bool:
    """Whether a value gets a page of its own: a class, or anything that Python itself calls a routine."""
    return isinstance(value, type) or inspect.isroutine(value)


def public_entities(modules: list[types.ModuleType]) -> list[tuple[str, str, Any]]:
    """(name, module, object) of every public class and function, once each, under its most public name, by name.

    Where several modules export one object, its own package goes first, then the shortest path.
    """
    best: dict[int, tuple[tuple[bool, int, bool, str, str], str, str, Any]] = {}
    for module in modules:
        where = module_name(module)
        for name in public_names(module):
            value = member(module, name)
            if not is_entity(value) or isinstance(value, types.GenericAlias):
                continue
            home = getattr(value, "__module__", None)
            renamed = getattr(value, "__name__", name) != name
            rank = (root(home) != root(where), where.count("."), renamed, where, name)
            entity = name if where == "builtins" else f"{where}.{name}"
            if id(value) not in best or rank < best[id(value)][0]:
                best[id(value)] = (rank, entity, where, value)
    return sorted(((entity, where, value) for _, entity, where, value in best.values()), key=lambda row: row[0])


def own_methods(cls: type) -> list[tuple[str, Any]]:
    """(name, callable) of the public methods that a class defines itself, by name."""
    found = []
    for name, raw in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(raw, (staticmethod, classmethod)) or inspect.isroutine(raw):
            try:
                value = getattr(cls, name)
            except AttributeError:
                continue
            if inspect.isroutine(value):
                found.append((name, value))
    return sorted(found)
