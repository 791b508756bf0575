"""Cuts documents into chunks at their headings, and longer sections at blank lines.

A chunk's text holds no heading line: its title says where it stands. 1,200 characters are what two or three passages
may take in an observation of a small model.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict

from .documents import Document

_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r"^\s*(```|~~~)")


class Chunk(BaseModel):
    """A passage that a search can bring."""

    model_config = ConfigDict(frozen=True)

    id: str
    """`document#n`, n counted from 0."""
    document: str
    """The document's id."""
    title: str
    """`Document title > Section`, or the document's title alone; no backticks."""
    text: str
    part: int = 0
    """0 for the first chunk of its section, 1 for the next ..."""


def sections(text: str) -> list[tuple[str, str]]:
    """(innermost heading, body) in order; '' heads the text before the first one. Code fences are respected."""
    found: list[tuple[str, list[str]]] = [("", [])]
    fence: str | None = None
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark:
            fence = mark.group(1) if fence is None else None if fence == mark.group(1) else fence
        heading = None if fence or mark else _HEADING.match(line)
        if heading:
            found.append((heading.group(2).replace("`", "").strip(), []))
        else:
            found[-1][1].append(line.rstrip())
    return [(name, "\n".join(lines).strip("\n")) for name, lines in found]


def pieces(body: str, max_chars: int) -> list[str]:
    """`body` in pieces of at most `max_chars`, cut at blank lines, else at line ends; a longer line stays whole."""
    if len(body) <= max_chars:
        return [body]
    parts: list[str] = []
    now = ""
    for block in re.split(r"\n{2,}", body):
        for step, unit in enumerate([block] if len(block) <= max_chars else block.splitlines()):
            joint = "" if not now else "\n" if step else "\n\n"
            if now and len(now) + len(joint) + len(unit) > max_chars:
                parts.append(now)
                now = unit
            else:
                now += joint + unit
    return [part for part in [*parts, now] if part.strip()]


def split(document: Document, max_chars: int = 1200) -> list[Chunk]:
    """The chunks of a document, in order; sections without text give none."""
    chunks: list[Chunk] = []
    for name, body in sections(document.text):
        if not body.strip():
            continue
        title = document.title if name in ("", document.title) else f"{document.title} > {name}"
        for part, piece in enumerate(pieces(body, max_chars)):
            number = len(chunks)
            chunks.append(Chunk(id=f"{document.id}#{number}", document=document.id, title=title, text=piece, part=part))
    return chunks
