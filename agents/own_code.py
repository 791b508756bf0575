"""Loads the user's own code, named `module:attribute` or `/path/file.py:attribute`; a file is loaded once a process."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import ConfigError


def own_object(spec: str, kind: str) -> Any:
    """The object that `spec` names; it runs the code of its module.

    Args:
        kind: what it is to be, for errors: `tool`, `index`, ...

    Raises:
        ConfigError: no such module, file or attribute.
    """
    place, _, attribute = spec.rpartition(":")
    module = module_of(place, spec, kind)
    try:
        return getattr(module, attribute)
    except AttributeError:
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        near = ", ".join(own[:5])
        raise ConfigError(f"{kind} {spec!r}: {place!r} has no {attribute!r}; it has {near or 'no functions'}") from None


def module_of(place: str, spec: str, kind: str) -> ModuleType:
    """The module that a thing stands in, by its name or by its file."""
    path = Path(place)
    try:
        if path.suffix != ".py":
            return importlib.import_module(place)
        if not path.is_absolute():
            raise ConfigError(f"{kind} {spec!r}: write the file's whole path, from the root")
        if not path.is_file():
            raise ConfigError(f"{kind} {spec!r}: there is no file {place!r}; correct the path")
        name = f"retort_own_{path.stem}_{hashlib.sha256(place.encode()).hexdigest()[:8]}"
        return sys.modules.get(name) or from_file(name, path)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{kind} {spec!r}: {place!r} cannot be imported ({type(error).__name__}: {error}); "
            "mend it, or name its file as /path/to/file.py:function"
        ) from error


def from_file(name: str, path: Path) -> ModuleType:
    """Load a file as the module `name`."""
    made = importlib.util.spec_from_file_location(name, path)
    assert made is not None
    assert made.loader is not None
    module = importlib.util.module_from_spec(made)
    sys.modules[name] = module  # before it runs: annotations of classes in it are looked up there
    try:
        made.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
