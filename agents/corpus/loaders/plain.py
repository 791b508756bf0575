"""Reads Markdown and plain text, in UTF-8."""

from __future__ import annotations

from . import Loader, Page, loaders


def decoded(data: bytes) -> str:
    """Text of UTF-8, with or without a byte order mark, its lines ended by a line feed.

    Raises:
        ValueError: it is no UTF-8, or binary.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{error}; save it as UTF-8") from None
    if "\0" in text:
        raise ValueError("binary: it holds NUL characters")
    return text.replace("\r\n", "\n").replace("\r", "\n")


@loaders.register("markdown")
class Markdown(Loader):
    """Markdown as it is."""

    suffixes = (".md",)

    def load(self, data: bytes, name: str) -> Page:
        """The text itself."""
        return Page(decoded(data))


@loaders.register("text")
class Text(Loader):
    """Plain text; lines that have the form of a Markdown heading are headings."""

    suffixes = (".txt",)

    def load(self, data: bytes, name: str) -> Page:
        """The text itself."""
        return Page(decoded(data))
