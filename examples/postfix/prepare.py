"""Makes Retort's input of the Postfix manual: `python prepare.py OUT` writes OUT/corpus/*.md and OUT/facts.jsonl.

The manual is `postconf.5.html` of the Debian package postfix-doc, which `apt-get download` brings; no root is needed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from manuals import Row, deb_file, write_manual

MANUAL = "usr/share/doc/postfix/html/postconf.5.html"
FAMILY = 5
"""Parameters that begin with the same word share a page from this many on; the others stand on a page a letter."""

_ENTRY = re.compile(r'<DT><b><a name="([^"]+)">')
_HEAD = re.compile(r"(.*?)</b>\s*</DT>\s*<DD>", re.DOTALL)
_DEFAULT = re.compile(r"\(default: (.+)\)$")
_COMPUTED = re.compile(r"postconf -d|Postfix\s*[<>≥≤]")
_SINCE = re.compile(r"^This feature is available in Postfix (?:version )?(\d+\.\d+)( and later\b|\.(?: |$))")
_UNIT = re.compile(r"The default time unit is (?:\w \()?(seconds|minutes|hours|days|weeks)\)?")


class _Markdown(HTMLParser):
    """HTML to blocks of Markdown: a paragraph a line, lists, terms with their text, preformatted text in fences."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[tuple[int, str]] = []
        """(depth in lists, text) of each paragraph, item or preformatted block."""
        self._depth = 0
        self._mark = ""
        self._pre = False
        self._text = ""

    def _flush(self) -> None:
        if self._pre:
            text = "\n".join(line.rstrip() for line in self._text.strip("\n").expandtabs().splitlines())
            text = f"```\n{text}\n```" if text.strip() else ""
        else:
            text = "\n".join(filter(None, (" ".join(line.split()) for line in self._text.split("\n"))))
        if text:
            self.blocks.append((self._depth, self._mark + text))
            self._mark = ""
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self._text += "\n"
        elif tag in ("p", "pre", "li", "dt", "dd", "ul", "ol", "dl", "blockquote"):
            self._flush()
            self._pre = tag == "pre"
            self._depth += tag in ("ul", "ol", "dl")
            self._mark = "- " if tag in ("li", "dt") else "" if tag == "dd" else self._mark

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "pre", "li", "dt", "dd", "ul", "ol", "dl", "blockquote"):
            self._flush()
            self._pre = False
            self._depth -= tag in ("ul", "ol", "dl")

    def handle_data(self, data: str) -> None:
        self._text += data if self._pre else re.sub(r"\s+", " ", data)

    def close(self) -> None:
        super().close()
        self._flush()


def blocks(html: str) -> list[tuple[int, str]]:
    """(depth in lists, text) of each block of a piece of HTML."""
    parser = _Markdown()
    parser.feed(html)
    parser.close()
    return parser.blocks


def plain(html: str) -> str:
    """A piece of HTML as text on one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", "", html)).split())


def entries(manual: str) -> Iterator[tuple[str, str, list[tuple[int, str]]]]:
    """(name, the words behind it, the blocks below it) of each parameter."""
    parts = _ENTRY.split(manual)
    for name, rest in zip(parts[1::2], parts[2::2], strict=True):
        head = _HEAD.match(rest)
        if head is not None:
            yield name, plain(head.group(1)).removeprefix(name).strip(), blocks(rest[head.end() :])


def facts_of(name: str, head: str, text: list[tuple[int, str]], page: str) -> Iterator[Row]:
    """What the manual says of one parameter: only statements with one value, and none that holds for a part of it."""
    default = _DEFAULT.match(head)
    if default and not _COMPUTED.search(default.group(1)):
        yield Row(name, "default", default.group(1), page, name)
    since = {found.group(1): found.group() for depth, line in text if not depth and (found := _SINCE.match(line))}
    if len(since) == 1:
        version, quote = since.popitem()
        yield Row(name, "available since version", version, page, name, quote=quote.rstrip(" .,"))
    units = {found.group(1): found.group() for _, line in text for found in _UNIT.finditer(line)}
    if len(units) == 1:
        unit, quote = units.popitem()
        yield Row(name, "default time unit", unit, page, name, quote=quote)


def read_manual(manual: str) -> tuple[dict[str, str], list[Row]]:
    """(page name -> Markdown, facts) of postconf.5.html."""
    found = list(entries(manual))
    count = Counter(name.split("_")[0] for name, _, _ in found)
    pages: dict[str, str] = {}
    facts: list[Row] = []
    intro = "\n\n".join(text for _, text in blocks(_ENTRY.split(manual)[0].partition("<hr>")[2]))
    pages["main.cf"] = intro.replace("Postfix main.cf file format", "# Postfix main.cf file format", 1) + "\n"
    for name, head, text in found:
        word = name.split("_")[0]
        page, title = (word, f"{word}_ parameters") if count[word] >= FAMILY else (name[0], f"parameters: {name[0]}")
        default = _DEFAULT.match(head)
        line = f"Default: {default.group(1)}" if default else head.strip("()").capitalize()
        body = "\n\n".join([f"## {name}", line, *(block for _, block in text)])
        pages[page] = pages.get(page, f"# Postfix {title}\n") + f"\n{body}\n"
        facts.extend(facts_of(name, head, text, f"corpus/{page}.md"))
    return pages, facts


def main() -> None:
    """Read the arguments and write the manual."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder that gets corpus/ and facts.jsonl")
    parser.add_argument("--deb", type=Path, help="a postfix-doc package at hand, instead of downloading one")
    args = parser.parse_args()
    manual = deb_file("postfix-doc", MANUAL, args.deb).decode()
    print(write_manual(args.out, *read_manual(manual)))


if __name__ == "__main__":
    main()
