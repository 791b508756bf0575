"""Every public function and method has an example in its docstring, and every example is run."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import retort
from graphs.runner import executors

CLASSES = {name: getattr(retort, name) for name in ("Run", "Trajectories", "Leaderboard")}
FUNCTIONS = {name: getattr(retort, name) for name in ("play", "close")}
WITHOUT = {"agree", "check_place", "settle", "student_model", "collecting", "to_collect", "context", "tasks"}
"""Methods of a run that stages use; `tasks` is in the examples of others."""


def documented() -> list[tuple[str, Any]]:
    """(name, object) of what is public."""
    found: list[tuple[str, Any]] = list(FUNCTIONS.items())
    for name, kind in CLASSES.items():
        own = {key: value for key, value in vars(kind).items() if not key.startswith("_") and key not in WITHOUT}
        for key, value in own.items():
            inner = value.__func__ if isinstance(value, classmethod) else value
            if callable(inner) or isinstance(inner, property):
                found.append((f"{name}.{key}", inner))
    return found


def test_every_public_function_has_an_example() -> None:
    names = [name for name, _ in documented()]
    assert {"Run.load", "Run.create", "Run.train", "Run.evaluate", "play", "Trajectories.to_dataset"} <= set(names)
    for name, thing in documented():
        text = inspect.getdoc(thing) or ""
        assert text, f"{name} has no docstring"
        beside = name.endswith("_async") or (
            name == "Trajectories.filter"
        )  # shown by the method or class it belongs to
        assert beside or ">>>" in text, f"{name} shows no example"


def test_the_examples_run(copied: Path, tmp_path: Path) -> None:
    run = retort.Run.load(copied / "run")
    names = {"retort": retort, "asyncio": asyncio, "run": run, "folder": tmp_path / "examples"}
    runner, seen = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), 0
    modules = ("retort.run", "retort.episodes", "retort.trajectories", "evals.frames", executors.__name__)
    for module in map(importlib.import_module, modules):
        for test in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=names):
            if test.examples:
                seen += 1
                found = runner.run(test)
                if found.failed:
                    pytest.fail(f"the example of {test.name} fails")
    assert seen > 20
    retort.close()
