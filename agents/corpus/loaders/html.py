"""Reads HTML: headings, lists, tables and code become Markdown, terms stand above their indented definitions.

Words are kept as they are: no character of theirs is escaped (`cache_size` stays), and emphasis and the addresses of
links are left out, since a name with marks in it would not be found.
"""

from __future__ import annotations

import re
import warnings
from functools import cache, partial
from typing import Any

from . import Loader, Page, loaders
from .plain import decoded

HIDDEN = ("script", "style", "template", "noscript", "head")
"""Elements of which nothing is shown."""
ANCHOR = ".headerlink, .anchorjs-link, a.anchor"
"""Links to a heading itself, such as documentation generators put behind it."""
LAYOUT = ("h1", "h2", "h3", "h4", "h5", "h6", "table")
"""What makes a table that holds it a means of layout, whose cells are no cells of a table."""
STEP = "  "
"""What a definition's lines stand in by."""

_FENCED = re.compile(r"(^\s*```.*?^\s*```)", re.MULTILINE | re.DOTALL)


@loaders.register("html")
class Html(Loader):
    """HTML, with or without its end tags."""

    suffixes = (".html", ".htm")
    packages = ("beautifulsoup4", "lxml", "markdownify")

    def load(self, data: bytes, name: str) -> Page:
        """Its body as Markdown, and its title; of another encoding than UTF-8 where the page declares one."""
        try:
            text = decoded(data)
        except ValueError:
            text = in_its_encoding(data)
            if not text:
                raise
        return page_of(text)


def in_its_encoding(data: bytes) -> str:
    """The text in the encoding that the page declares; empty where it declares none, or another one than it has."""
    from bs4.dammit import EncodingDetector

    declared = EncodingDetector.find_declared_encoding(data, is_html=True)
    try:
        text = data.decode(declared or "utf-8")
    except (LookupError, ValueError):
        return ""
    return "" if "\0" in text else text


def page_of(text: str) -> Page:
    """The Markdown and the title of an HTML page; the title is empty where it has none."""
    from bs4 import BeautifulSoup

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what only looks like HTML: an address, a file name, XHTML
        soup = BeautifulSoup(text, builder=builder())
    title = " ".join(soup.title.get_text().split()) if soup.title is not None else ""
    for found in [*soup(HIDDEN), *soup.select(ANCHOR)]:
        found.decompose()
    for part in soup(["dt", "dd"]):  # the parser takes one without an end tag into the one before it
        if part.parent is not None and part.parent.name == part.name:
            part.parent.insert_after(part)
    for table in soup("table"):
        if table.find(LAYOUT) is not None:
            cells = table(["tbody", "thead", "tfoot", "tr", "td", "th"])
            for part in [table, *(each for each in cells if each.find_parent("table") is table)]:
                part.name = "div"
    made = converter()().convert_soup(soup)
    parts = _FENCED.split(made)  # blank lines of code stay
    parts[::2] = [re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+$", "", part, flags=re.MULTILINE)) for part in parts[::2]]
    return Page("".join(parts).strip() + "\n" if made.strip() else "", title)


def builder() -> Any:
    """What makes a tree of tags as a browser would: an open <p> or <li> is closed by the next one.

    `huge_tree`: without it whatever stands deeper than 256 elements is left out, and nothing says so.
    """
    from bs4.builder import builder_registry
    from lxml.etree import HTMLParser

    made: Any = builder_registry.lookup("lxml", "html")
    return made(parser=partial(HTMLParser, huge_tree=True))


@cache
def converter() -> Any:
    """The class that makes Markdown of a tree."""
    from markdownify import ATX, MarkdownConverter

    class Plain(MarkdownConverter):
        """Markdown with the words as they are."""

        class Options:
            heading_style = ATX
            bullets = "-"
            escape_asterisks = False
            escape_underscores = False
            escape_misc = False
            strong_em_symbol = ""
            sub_symbol = ""
            sup_symbol = ""
            newline_style = "\n"

        def convert_a(self, el: Any, text: str, parent_tags: set[str]) -> str:
            return text

        def convert_img(self, el: Any, text: str, parent_tags: set[str]) -> str:
            return str(el.get("alt") or "")

        def convert_br(self, el: Any, text: str, parent_tags: set[str]) -> str:
            return " " if "_inline" in parent_tags else "\n"

        def convert_dt(self, el: Any, text: str, parent_tags: set[str]) -> str:
            message = " ".join(text.split())
            if "_inline" in parent_tags:
                return f" {message} "
            follows = el.find_previous_sibling()
            gap = "\n" if follows is not None and follows.name == "dt" else "\n\n"
            return f"{gap}{message}\n" if message else ""

        def convert_dd(self, el: Any, text: str, parent_tags: set[str]) -> str:
            if "_inline" in parent_tags:
                return f" {text.strip()} "
            lines = text.strip("\n").rstrip().split("\n")
            if any(re.match(r"#{1,6} ", line) for line in lines):  # a heading that stands in is none
                return "\n\n" + "\n".join(lines) + "\n\n"
            return "\n".join(f"{STEP}{line}" if line.strip() else "" for line in lines) + "\n\n"

        def convert_pre(self, el: Any, text: str, parent_tags: set[str]) -> str:
            code = el.get_text().strip("\n")
            if not code.strip():
                return ""
            if "_inline" in parent_tags:  # in a cell of a table
                return f" `{' '.join(code.split())}` "
            lines = [line.rstrip() for line in code.split("\n")]
            return "\n\n```\n" + "\n".join(lines) + "\n```\n\n"

    return Plain
