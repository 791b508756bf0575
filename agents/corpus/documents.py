"""Reads a folder of manuals: every Markdown, text, reStructuredText or HTML file becomes one document."""

from __future__ import annotations

import logging
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from ..errors import CorpusError
from ..folders import is_run_folder

SUFFIXES = (".md", ".txt", ".rst", ".html", ".htm")
MOST_BYTES = 32_000_000
"""Of one page: five million words."""

_log = logging.getLogger("retort.library")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
_RULE = re.compile(r"^([=\-~^\"'*+#])\1{2,}\s*$")


class Document(BaseModel):
    """One page of the manual, as Markdown or plain text."""

    model_config = ConfigDict(frozen=True)

    id: str
    """Unique in its corpus and stable: the file's path without its suffix, or the entity's name."""
    title: str
    text: str
    source: str
    """Where it came from: a path relative to the corpus folder, or `python:MODULE` for live docstrings."""


class _Markdown(HTMLParser):
    """HTML to Markdown as far as search needs it: headings, paragraphs, list items, preformatted blocks."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title = ""
        self._hidden = 0
        self._in_title = False
        self._pre = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._hidden += 1
        elif tag == "title":
            self._in_title = True
        elif re.fullmatch(r"h[1-6]", tag):
            self.parts.append("\n\n" + "#" * int(tag[1]) + " ")
        elif tag == "pre":
            self._pre = True
            self.parts.append("\n\n```\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag in ("p", "div", "table", "section", "ul", "ol", "dl"):
            self.parts.append("\n\n")
        elif tag in ("br", "tr", "dt", "dd"):
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden = max(0, self._hidden - 1)
        elif tag == "title":
            self._in_title = False
        elif tag == "pre":
            self._pre = False
            self.parts.append("\n```\n\n")
        elif re.fullmatch(r"h[1-6]|p|div|table", tag):
            self.parts.append("\n\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._hidden:
            self.parts.append(data if self._pre else re.sub(r"\s+", " ", data))


def from_html(text: str) -> tuple[str, str]:
    """(title, Markdown) of an HTML page; the title is empty where it has none."""
    parser = _Markdown()
    parser.feed(text)
    parser.close()
    body = re.sub(r"\n[ \t]+(?=\n)", "\n", "".join(parser.parts))
    return " ".join(parser.title.split()), re.sub(r"\n{3,}", "\n\n", body).strip() + "\n"


def from_rst(text: str) -> str:
    """reStructuredText with its underlined headings turned into Markdown ones; levels in order of appearance."""
    lines = text.splitlines()
    levels: list[str] = []
    out: list[str] = []
    for line in lines:
        rule = _RULE.match(line)
        if rule and out and out[-1].strip() and not out[-1].startswith("#") and len(line) >= len(out[-1].rstrip()):
            mark = rule.group(1)
            if mark not in levels:
                levels.append(mark)
            out[-1] = "#" * min(6, levels.index(mark) + 1) + " " + out[-1].strip()
        elif not (rule and (not out or not out[-1].strip())):
            out.append(line)
    return "\n".join(out) + "\n"


def read_document(path: Path, folder: Path) -> Document:
    """One file as a document; its first heading is its title, else its HTML title, else its name.

    Raises:
        OSError, UnicodeDecodeError: the file cannot be read as UTF-8.
    """
    name = path.relative_to(folder).as_posix()
    text = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    title = ""
    if path.suffix.lower() in (".html", ".htm"):
        title, text = from_html(text)
    elif path.suffix.lower() == ".rst":
        text = from_rst(text)
    heading = _HEADING.search(text)
    title = (heading.group(1) if heading else title) or path.stem
    return Document(id=name.removesuffix(path.suffix), title=title.replace("`", "").strip(), text=text, source=name)


class Skipped(NamedTuple):
    """A file of the corpus folder that is not read."""

    file: str
    """Its path relative to the folder; what is no UTF-8 in it escaped."""
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


def pages(folder: Path) -> tuple[list[Path], list[Skipped]]:
    """The files under `folder` that are read as pages, in order of their paths, and all others with the reason.

    A link to another file of the folder is read like that file; one that leads out of it is not, nor is a linked
    folder: what is no part of the manual would stand in the library, and in the student.
    """
    home = folder.resolve()
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
            reason = unreadable(path)
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


def unreadable(path: Path) -> str:
    """Why a file is no page, by its name and size; empty where it is one."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        kind = f"a {shown(Path(suffix))} file" if suffix else "a file without a suffix"
        return f"{kind} is no page; pages are {', '.join(SUFFIXES)}"
    if shown(path) != str(path):
        return "its name is not UTF-8"
    if path.stat().st_size > MOST_BYTES:
        return f"larger than {MOST_BYTES // 1_000_000} MB; cut it into pages"
    return ""


def shown(path: Path) -> str:
    """A path as text that any file can hold."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode()


def scan(folder: Path) -> tuple[list[Document], list[Skipped]]:
    """All documents under `folder` in order of their paths, and every file that was skipped, with the reason.

    Raises:
        CorpusError: the folder is missing, or nothing readable is in it.
    """
    if not folder.is_dir():
        kind = "is no folder" if folder.exists() else "is not there"
        raise CorpusError(f"the corpus folder {str(folder)!r} {kind}: give a folder of {', '.join(SUFFIXES)} files")
    documents: list[Document] = []
    taken: set[str] = set()
    found, skipped = pages(folder)
    for path in found:
        name = path.relative_to(folder).as_posix()
        try:
            document = read_document(path, folder)
        except (OSError, ValueError, RecursionError) as error:
            skipped.append(Skipped(name, f"{error}; save it as UTF-8" if isinstance(error, ValueError) else str(error)))
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
    skipped.sort()
    if not documents:
        first = f"; {len(skipped)} could not be read, the first: {skipped[0]}" if skipped else ""
        raise CorpusError(f"the corpus folder {str(folder)!r} holds no readable {', '.join(SUFFIXES)} file{first}")
    return documents, skipped


def read_corpus(folder: Path) -> list[Document]:
    """`scan` whose skipped files go to the log as one line.

    Raises:
        CorpusError: the folder is missing, or nothing readable is in it.
    """
    documents, skipped = scan(folder)
    if skipped:
        _log.warning("%d files of %s were skipped, the first: %s", len(skipped), folder, skipped[0])
    return documents
