"""Bases by name: model folders that come with Retort or with another package (entry points of `retort.bases`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import SeatError
from ..registry import Registry

TINY_BASE = "tiny-base"

bases: Registry[Callable[[], Path]] = Registry("base", {})
"""Name -> a function that gives the folder, and may fetch or convert it first."""


@bases.register(TINY_BASE)
def tiny_base() -> Path:
    """The folder of the tiny base, 1.4 M parameters, made by recipes/tiny_base; SeatError where it is not installed."""
    folder = Path(__file__).with_name("tiny_base")
    if (folder / "config.json").exists():
        return folder
    raise SeatError(f"{TINY_BASE!r} did not come with this installation: name a model folder or a hub id instead")
