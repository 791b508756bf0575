"""Sources, by name: where a manual's pages and facts come from, and which kinds of question can be asked of them.

`[corpus] source` names one; without it the pages are files of a folder. The user's own is a class::

    class Tickets(Source):
        def read(self):
            return Corpus(documents, facts)

        def fingerprint(self, content):
            return {"tickets": content(self.settings.manuals)}

named `/path/tickets.py:Tickets`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from ...errors import ConfigError
from ...registry import Registry
from ..documents import Document
from ..facts import Fact
from ..loaders import loaders

_SUFFIX = re.compile(r"\.[^./\\\s]{1,20}")


@dataclass(frozen=True)
class Corpus:
    """What a source has."""

    documents: Sequence[Document]
    """The pages, each with an id of its own."""
    facts: Sequence[Fact]
    left_out: Sequence[Mapping[str, Any]] = ()
    """What was not read, by `file` and `reason`; of a line of facts also its `line`, and whether it is `used`."""


class Source(ABC):
    """Where pages and facts come from."""

    kinds: ClassVar[tuple[str, ...]] = ()
    """Names of the kinds of question that can be asked of its facts; empty = all that execute nothing."""
    reads_folder: ClassVar[bool] = False
    """Whether its pages are the files of `settings.manuals`, and its facts the lines of `settings.facts`."""

    def __init__(self, settings: CorpusConfig) -> None:
        self.settings = settings

    @classmethod
    def problem(cls, settings: CorpusConfig) -> str:
        """Why the source cannot be made with these settings; empty where it can. It reads no file."""
        return ""

    @abstractmethod
    def read(self) -> Corpus:
        """Pages and facts.

        Raises:
            CorpusError, ExamError: there are no pages, or no facts.
        """

    @abstractmethod
    def fingerprint(self, content: Callable[[Path], str]) -> dict[str, Any]:
        """What pages and facts follow from: a noun in the plural or singular -> a value that JSON can hold.

        Args:
            content: hash of a file's content, remembered from call to call.
        """

    def about(self) -> str:
        """What it is, in a phrase."""
        return f"the source {type(self).__name__}"


sources: Registry[type[Source]] = Registry(
    "source", {"folder": "agents.corpus.sources.folder", "stdlib": "agents.corpus.sources.stdlib"}
)


class CorpusConfig(BaseModel):
    """[corpus]: the source of pages and facts; the usual one is a folder of pages with a file of facts."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    source: str = "folder"
    """Name of a source, or your own as `/path/file.py:CLASS`."""
    manuals: Path | None = None
    """Folder with the manual's pages; their suffixes say what reads them."""
    facts: Path | None = None
    """facts.jsonl: one attribute of one entity a line."""
    loaders: dict[str, str] = {}
    """Suffix -> what reads such files: `{".log" = "text"}`, or your own as `/path/file.py:FUNCTION`."""

    @field_validator("loaders")
    @classmethod
    def _suffixes(cls, value: dict[str, str]) -> dict[str, str]:
        for suffix, name in value.items():
            if not _SUFFIX.fullmatch(suffix):
                raise ValueError(f"{suffix[:120]!r} is no suffix of a file: write it as '.log'")
            if ":" not in name and name not in loaders:
                raise ValueError(f"no loader is named {name[:120]!r}; there are {', '.join(loaders.names())}")
        return value

    @model_validator(mode="after")
    def _can_be_made(self) -> CorpusConfig:
        if ":" in self.source:  # the user's own: its code runs when the source is opened, and not before
            return self
        if self.source not in sources:
            raise ValueError(f"no source is named {self.source[:120]!r}; there are {', '.join(sources.names())}")
        problem = sources.get(self.source).problem(self)
        if problem:
            raise ValueError(problem)
        return self

    def opened(self) -> Source:
        """The source.

        Raises:
            ConfigError: there is none of that name, it is none, or it cannot be made with these settings.
        """
        part = sources.get(self.source)
        if not (isinstance(part, type) and issubclass(part, Source)):
            raise ConfigError(f"corpus.source: {self.source!r} is no class that inherits agents.corpus.sources.Source")
        problem = part.problem(self)
        if problem:
            raise ConfigError(f"[corpus]: {problem}")
        return part(self)
