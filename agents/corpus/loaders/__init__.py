"""Loaders, by name: each turns the bytes of one kind of file into a page whose headings are Markdown's.

The suffix of a file says which one reads it; `[corpus] loaders` says it otherwise, and names the user's own::

    class Log(Loader):
        suffixes = (".log",)

        def load(self, data, name):
            return Page(text)

A function from bytes and name to text is one, too, where the config names the suffix: `".log" = "/path/mine.py:read"`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

from ...errors import ConfigError
from ...registry import Registry


class Page(NamedTuple):
    """What a loader makes of a file."""

    text: str
    """Markdown: `#` to `######` open its sections, one within the other."""
    title: str = ""
    """The page's title where no heading is one; empty = the first heading, or the file's name."""


class Loader(ABC):
    """Reads one kind of file."""

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Of the files that it reads, in small letters: `.md`."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions whose version decides what comes out."""

    @abstractmethod
    def load(self, data: bytes, name: str) -> Page:
        """The page of a file.

        Args:
            data: its content.
            name: its path within the corpus.

        Raises:
            ValueError: the file is broken; the message says how, and what helps.
            MissingExtra: a package is not installed.
        """


class _Function(Loader):
    """A function of the user's own."""

    def __init__(self, function: Callable[[bytes, str], Any]) -> None:
        self.function = function

    def load(self, data: bytes, name: str) -> Page:
        """What the function returns."""
        made = self.function(data, name)
        if isinstance(made, str):
            return Page(made)
        if isinstance(made, Page):
            return made
        raise ValueError(f"its loader returned {type(made).__name__}: it has to return text, or a Page")


loaders: Registry[type[Loader] | Callable[[bytes, str], Any]] = Registry(
    "loader",
    {
        "markdown": "agents.corpus.loaders.plain",
        "text": "agents.corpus.loaders.plain",
        "rst": "agents.corpus.loaders.rst",
        "html": "agents.corpus.loaders.html",
        "man": "agents.corpus.loaders.man",
        "markitdown": "agents.corpus.loaders.markitdown",
    },
)


def loader_of(name: str) -> Loader:
    """The loader of a name, or the user's own; raises ConfigError where there is none."""
    part = loaders.get(name)
    if isinstance(part, type):
        if not issubclass(part, Loader):
            raise ConfigError(f"loader {name!r}: it is a class that does not inherit agents.corpus.loaders.Loader")
        return part()
    if not callable(part):
        raise ConfigError(f"loader {name!r}: it is neither a function nor a class")
    return _Function(part)


def suffixes(chosen: Mapping[str, str] | None = None) -> dict[str, str]:
    """Suffix -> name of the loader that reads such files, those of installed packages and of the config among them.

    Args:
        chosen: what the config says; where it says nothing the first loader that names a suffix has it.
    """
    found: dict[str, str] = {}
    for name, part in loaders.items():
        for suffix in getattr(part, "suffixes", ()):
            found.setdefault(suffix, name)
    return found | {suffix.lower(): name for suffix, name in (chosen or {}).items()}
