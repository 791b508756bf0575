"""Reads a folder of manuals: every Markdown, text, reStructuredText or HTML file becomes one document."""

from __future__ import annotations

import logging
import re
from html.parser import HTMLParser
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..errors import CorpusError

SUFFIXES = (".md", ".txt", ".rst", ".html", ".htm")

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


def scan(folder: Path) -> tuple[list[Document], list[str]]:
    """All documents under `folder` in order of their paths, and a remark for every file that was skipped.

    Raises:
        CorpusError: the folder is missing, or nothing readable is in it.
    """
    if not folder.is_dir():
        raise CorpusError(
            f"the corpus folder {str(folder)!r} is not there: give a folder of {', '.join(SUFFIXES)} files"
        )
    documents: list[Document] = []
    remarks: list[str] = []
    taken: set[str] = set()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES):
        try:
            document = read_document(path, folder)
        except (OSError, UnicodeDecodeError) as error:
            remarks.append(f"{path.relative_to(folder).as_posix()}: {error}")
            continue
        if not document.text.strip():
            remarks.append(f"{document.source}: empty")
            continue
        if document.id in taken:
            document = document.model_copy(update={"id": document.source})
        taken.add(document.id)
        documents.append(document)
    if not documents:
        found = f"; {len(remarks)} could not be read, the first: {remarks[0]}" if remarks else ""
        raise CorpusError(f"the corpus folder {str(folder)!r} holds no readable {', '.join(SUFFIXES)} file{found}")
    return documents, remarks


def read_corpus(folder: Path) -> list[Document]:
    """`scan` whose remarks go to the log as one line.

    Raises:
        CorpusError: the folder is missing, or nothing readable is in it.
    """
    documents, remarks = scan(folder)
    if remarks:
        _log.warning("%d files of %s were skipped, the first: %s", len(remarks), folder, remarks[0])
    return documents
