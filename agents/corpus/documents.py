"""Reads a folder of manuals: every file that a loader reads becomes one document, and all others are listed."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from ..errors import CorpusError, MissingExtra, RetortError
from ..folders import is_run_folder
from ..text import first_line
from .loaders import loader_of, suffixes

MAX_BYTES = 32_000_000
"""Of one page: five million words."""

_log = logging.getLogger("retort.library")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)


class Document(BaseModel):
    """One page of the manual, as Markdown or plain text."""

    model_config = ConfigDict(frozen=True)

    id: str
    """Unique in its corpus and stable: the file's path without its suffix, or the entity's name."""
    title: str
    text: str
    source: str
    """Where it came from: a path relative to the corpus folder, or `SCHEME:NAME` of a source that has no files."""


def read_document(path: Path, folder: Path, loader: str) -> Document:
    """One file as a document; its first heading is its title, else what its loader says, else its name.

    Raises:
        OSError, ValueError, RecursionError: the file cannot be read; other exceptions are a loader's mistake.
        MissingExtra: its loader needs a package that is not installed.
    """
    name = path.relative_to(folder).as_posix()
    page = loader_of(loader).load(path.read_bytes(), name)
    heading = _HEADING.search(page.text)
    title = (heading.group(1) if heading else page.title) or path.stem
    return Document(
        id=name.removesuffix(path.suffix), title=title.replace("`", "").strip(), text=page.text, source=name
    )


class Skipped(NamedTuple):
    """A file of the corpus folder that is not read."""

    file: str
    """Its path relative to the folder; what is no UTF-8 in it escaped."""
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


def pages(folder: Path, loaders: Mapping[str, str] | None = None) -> tuple[list[Path], list[Skipped]]:
    """The files under `folder` that are read as pages, in order of their paths, and all others with the reason.

    Args:
        loaders: suffix -> loader, where the config says it.

    A link to another file of the folder is read like that file; one that leads out of it is not, nor is a linked
    folder: what is no part of the manual would stand in the library, and in the student.
    """
    home = folder.resolve()
    known = suffixes(loaders)
    found: list[Path] = []
    skipped: list[Skipped] = []
    runs: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if any(run in path.parents for run in runs):
            continue
        reason = ""
        if path.is_symlink():
            reason = misled(path, home)
        elif path.is_dir():
            if is_run_folder(path):
                runs.append(path)
                reason = "a run folder of Retort, which is no part of a manual"
            else:
                continue
        elif not path.is_file():
            reason = "no file (a pipe, a socket or a device)"
        if not reason:
            reason = unreadable(path, known)
        if reason:
            skipped.append(Skipped(shown(path.relative_to(folder)), reason))
        else:
            found.append(path)
    return found, skipped


def misled(link: Path, home: Path) -> str:
    """Why a link is not followed; empty where it leads to a file of the folder `home`."""
    try:
        there = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    if home not in there.parents:
        return f"a link out of the corpus folder, to {shown(there)}; copy the file in if it belongs to the manual"
    return "" if there.is_file() else "a link to a folder, whose files are read at their own place"


def unreadable(path: Path, known: Mapping[str, str]) -> str:
    """Why a file is no page, by its name and size; empty where it is one.

    Args:
        known: suffix -> loader.
    """
    suffix = path.suffix.lower()
    if suffix not in known:
        kind = f"a {shown(Path(suffix))} file" if suffix else "a file without a suffix"
        return f"{kind} is no page; pages are {listed(known)}"
    if shown(path) != str(path):
        return "its name is not UTF-8"
    if path.stat().st_size > MAX_BYTES:
        return f"larger than {MAX_BYTES // 1_000_000} MB; cut it into pages"
    return ""


def listed(known: Mapping[str, str]) -> str:
    """The suffixes of pages in a line; the sections of man pages as a range."""
    plain = [suffix for suffix in known if not suffix[1:].isdigit()]
    numbers = sorted(suffix for suffix in known if suffix[1:].isdigit())
    return ", ".join([*plain, *([f"{numbers[0]} to {numbers[-1]}"] if numbers else [])])


def shown(path: Path) -> str:
    """A path as text that any file can hold."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode()


def scan(folder: Path, loaders: Mapping[str, str] | None = None) -> tuple[list[Document], list[Skipped]]:
    """All documents under `folder` in order of their paths, and every file that was skipped, with the reason.

    Args:
        loaders: suffix -> loader, where the config says it.

    Raises:
        CorpusError: the folder is missing, or nothing readable is in it.
        MissingExtra: files of it need a package that is not installed.
    """
    known = suffixes(loaders)
    if not folder.is_dir():
        kind = "is no folder" if folder.exists() else "is not there"
        raise CorpusError(f"the corpus folder {str(folder)!r} {kind}: give a folder of {listed(known)} files")
    documents: list[Document] = []
    taken: set[str] = set()
    lacking: dict[tuple[str, str], list[str]] = {}
    found, skipped = pages(folder, loaders)
    for path in found:
        name = path.relative_to(folder).as_posix()
        try:
            document = read_document(path, folder, known[path.suffix.lower()])
        except MissingExtra as error:
            lacking.setdefault((error.package, error.extra), []).append(name)
            continue
        except RetortError:  # a loader that is none
            raise
        except RecursionError:
            skipped.append(Skipped(name, "nested too deeply"))
            continue
        except (OSError, ValueError) as error:
            skipped.append(Skipped(name, str(error)))
            continue
        except Exception as error:  # what a library, or the user's own loader, happens to raise of a broken file
            skipped.append(Skipped(name, f"it cannot be read ({first_line(error)})"))
            continue
        if "\0" in document.text:
            skipped.append(Skipped(name, "binary: it holds NUL characters"))
            continue
        if not document.text.strip():
            skipped.append(Skipped(name, "empty"))
            continue
        if document.id in taken:
            document = document.model_copy(update={"id": document.source})
        taken.add(document.id)
        documents.append(document)
    if lacking:
        (package, extra), names = next(iter(lacking.items()))
        raise MissingExtra(package, extra, names)
    skipped.sort()
    if not documents:
        first = f"; {len(skipped)} could not be read, the first: {skipped[0]}" if skipped else ""
        raise CorpusError(f"the corpus folder {str(folder)!r} holds no readable {listed(known)} file{first}")
    return documents, skipped


def read_corpus(folder: Path, loaders: Mapping[str, str] | None = None) -> list[Document]:
    """`scan` whose skipped files go to the log as one line.

    Raises:
        CorpusError: the folder is missing, or nothing readable is in it.
        MissingExtra: files of it need a package that is not installed.
    """
    documents, skipped = scan(folder, loaders)
    if skipped:
        _log.warning("%d files of %s were skipped, the first: %s", len(skipped), folder, skipped[0])
    return documents
