"""Registries: parts of one kind under their names, imported when first asked for, open to other packages.

A part registers itself where it is defined, and a config names it::

    exporters: Registry[Exporter] = Registry("exporter", {"openai": "distill.exporters.openai"})

    @exporters.register("openai")                # in distill/exporters/openai.py
    def rows(trajectories): ...

    exporters.get("openai")                      # imports that module
    exporters.get("/home/me/mine.py:rows")       # the user's own, as own tools are named
    exporters.names()                            # all names, those of installed packages among them

Another package offers a part by an entry point of the group `retort.KINDs` (`retort.exporters`): its name is the part's
name, and it loads the part.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from .errors import ConfigError
from .own_code import own_object

T = TypeVar("T")
P = TypeVar("P")


class Registry(Generic[T]):
    """The parts of one kind.

    Args:
        kind: what one of them is called in errors, such as `exporter`; its plural names the group of entry points.
        builtin: name -> module that registers it when it is imported, in the order in which they are listed.
        plural: of `kind`; None = with an s.
    """

    def __init__(self, kind: str, builtin: Mapping[str, str], plural: str | None = None) -> None:
        self.kind = kind
        self.group = f"retort.{(plural or f'{kind}s').replace(' ', '_')}"
        self._builtin = dict(builtin)
        self._parts: dict[str, T] = {}
        self._own: dict[str, T] = {}
        """Those of the user's own that were asked for; they are none of the names that everybody has."""

    def register(self, name: str) -> Callable[[P], P]:
        """Decorator: put a part under a name; raises ValueError where another part has it."""

        def put(part: P) -> P:
            known = self._parts.get(name)
            if known is not None and file_of(known) != file_of(part):
                raise ValueError(f"two parts of the kind {self.kind} are named {name!r}")
            self._parts[name] = part  # type: ignore[assignment]  # a class stands for its objects, a function for T
            return part

        return put

    def names(self) -> list[str]:
        """Every name that `get` knows: built-in ones in their order, then the others."""
        return list(dict.fromkeys([*self._builtin, *self._parts, *self._offered]))

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._parts or name in self._offered

    def get(self, name: str) -> T:
        """The part of a name, or the user's own by `module:attribute` or `/path/file.py:attribute`.

        Raises:
            ConfigError: there is none of that name, or it cannot be imported.
        """
        if name in self._own:
            return self._own[name]
        if name not in self._parts:
            if name in self._builtin:
                importlib.import_module(self._builtin[name])
            elif name in self._offered:
                self._parts[name] = self._load(self._offered[name])
            elif ":" in name:
                self._own[name] = own_object(name, self.kind)
                return self._own[name]
            else:
                near = difflib.get_close_matches(name, self.names(), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigError(f"no {self.kind} is named {name!r}; there are {', '.join(self.names())}{hint}")
        return self._parts[name]

    def builtin(self, name: str) -> bool:
        """Whether a name is one of Retort's own parts."""
        return name in self._builtin

    def items(self) -> Iterator[tuple[str, T]]:
        """(name, part) of all; imports them."""
        for name in self.names():
            yield name, self.get(name)

    def file(self, name: str) -> Path | None:
        """The source file of a part, whose content tells whether what was made with it is still true."""
        return file_of(self.get(name))

    @cached_property
    def _offered(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def _load(self, point: EntryPoint) -> T:
        try:
            part: T = point.load()
        except Exception as error:  # another package's code may raise anything while it is imported
            package = point.dist.name if point.dist is not None else point.value
            raise ConfigError(
                f"the {self.kind} {point.name!r} of the package {package} cannot be loaded "
                f"({type(error).__name__}: {error}): upgrade that package, or uninstall it"
            ) from error
        return part


def file_of(part: Any) -> Path | None:
    """The file that defines a class, a function, or the class of an object."""
    for thing in (part, type(part)):
        try:
            return Path(inspect.getfile(thing))
        except TypeError:
            continue
    return None
