"""A folder of pages with a file of facts beside it: the source that a run has where it names no other."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..documents import pages, scan
from ..facts import read_facts
from ..loaders import loader_of, loaders, suffixes
from . import Corpus, CorpusConfig, Source, sources


@sources.register("folder")
class Folder(Source):
    """The files of `manuals`, each read by the loader of its suffix, and the lines of `facts`."""

    reads_folder = True

    @classmethod
    def problem(cls, settings: CorpusConfig) -> str:
        """Whether a folder or the facts are missing."""
        if settings.manuals is None:
            others = ", ".join(name for name in sources.names() if sources.get(name) is not cls)
            return f'give manuals = "FOLDER" with facts = "FILE", or a source: {others}'
        return "" if settings.facts is not None else 'manuals needs facts = "facts.jsonl" beside it'

    @property
    def manuals(self) -> Path:
        """The folder."""
        assert self.settings.manuals is not None, "`problem` is asked first"
        return self.settings.manuals

    @property
    def facts(self) -> Path:
        """The file of facts."""
        assert self.settings.facts is not None, "`problem` is asked first"
        return self.settings.facts

    def read(self) -> Corpus:
        """Pages in order of their paths, and facts in that of their lines."""
        documents, skipped = scan(self.manuals, self.settings.loaders)
        facts, remarks = read_facts(self.facts)
        rows: list[dict[str, Any]] = [each._asdict() for each in skipped]
        rows += [{"file": self.facts.name, **each._asdict()} for each in remarks]
        return Corpus(documents, facts, rows)

    def fingerprint(self, content: Callable[[Path], str]) -> dict[str, Any]:
        """The pages by relative path and content, the facts, and what reads the pages beside Retort's own code."""
        found, _ = pages(self.manuals, self.settings.loaders)
        stated = [(path.relative_to(self.manuals).as_posix(), content(path)) for path in found]
        parts: dict[str, Any] = {"manuals": stated, "facts": content(self.facts)}
        named = suffixes(self.settings.loaders)
        others = {}
        for name in sorted({named[path.suffix.lower()] for path in found}):
            path = None if loaders.builtin(name) else loaders.file(name)
            code = [content(path)] if path is not None else []
            versions = [f"{package} {installed(package)}" for package in loader_of(name).packages]
            if code or versions:
                others[Path(name.rpartition(":")[0]).name or name] = [*code, *versions]
        return {**parts, "loaders": others} if others else parts

    def about(self) -> str:
        """The folder's path."""
        return f"the pages of {self.manuals} and the facts of {self.facts}"


def installed(package: str) -> str:
    """The version of an installed package; empty where it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
