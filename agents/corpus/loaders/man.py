"""Reads man pages: the man macros become headings, paragraphs, terms above their indented text, code and tables.

There is no library for this: what reads man pages are programs (mandoc, groff), which are not on every machine. The
macros are few, and what a page says is in its words. Pages of the other set of macros, mdoc, are refused, with what
turns them into these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from . import Loader, Page, loaders
from .plain import decoded
from .roff import logical_lines, plain, request, words

ALTERNATING = {"BR", "IR", "RB", "RI", "BI", "IB"}
"""Macros whose words change font from one to the next: nothing stands between them."""
FONTS = {"B", "I", "SM", "SB", "R", "CW", *ALTERNATING}
BULLETS = frozenset({"", "•", "*", "-", "–", "—", "o", "+", "·", "○", "□", "\\"})
STEP = 2
"""Blanks by which the text of a term stands in from it."""


@loaders.register("man")
class Man(Loader):
    """Man pages of the macro set man(7)."""

    suffixes = tuple(f".{number}" for number in range(1, 10))

    def load(self, data: bytes, name: str) -> Page:
        """Its sections under `# NAME(SECTION)`; raises ValueError where the file is no such page."""
        text = decoded(data)
        macros = {request(line)[0] for line in text.splitlines()}
        if "TH" not in macros:
            if {"Dd", "Dt", "Sh"} & macros:
                raise ValueError("a man page of the mdoc macros: `mandoc -T man FILE` turns it into one that is read")
            if "so" in macros:
                raise ValueError("it only names another man page")
            raise ValueError("no man page: it has no line that begins with .TH")
        return Page(ManPage().of(logical_lines(text)))


class ManPage:
    """Makes Markdown of the lines of one page."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._words: list[str] = []
        """Words of the paragraph that is being read."""
        self._indents: list[int] = []
        """Indents around the open `.RS` blocks."""
        self._indent = 0
        self._strings: dict[str, str] = {}
        self._next: Callable[[str], None] | None = None
        """What takes the next line of text: a heading, a term."""

    def of(self, lines: Iterator[str]) -> str:
        """The page; `lines` are those of `logical_lines`."""
        for line in lines:
            name, rest = request(line)
            if not name:
                self._text(line)
            elif name == "TS":
                self._table(lines)
            elif name in ("nf", "EX", "Vb"):
                self._code(lines)
            elif name in ("EQ", "PS"):
                self._until(lines, {"EQ": "EN", "PS": "PE"}[name])
            else:
                self._macro(name, rest)
        self._paragraph()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._out)).strip() + "\n"

    def _plain(self, text: str) -> str:
        return plain(text, self._strings)

    def _say(self, line: str) -> None:
        self._out.append(" " * self._indent + line if line else "")

    def _paragraph(self) -> None:
        """End the paragraph."""
        if self._words:
            self._say(" ".join(" ".join(self._words).split()))
            self._words = []
        if self._out and self._out[-1]:
            self._out.append("")

    def _text(self, line: str) -> None:
        text = self._plain(line)
        if not text.strip():
            if not line.strip():  # a line of escapes alone says nothing, and ends nothing
                self._paragraph()
        elif self._next is not None:
            take, self._next = self._next, None
            take(" ".join(text.split()))
        elif line[:1] in (" ", "\t") and self._words:  # an indented line begins on its own
            self._break()
            self._words.append(text.strip())
        else:
            self._words.append(text.strip())

    def _break(self) -> None:
        if self._words:
            self._say(" ".join(" ".join(self._words).split()))
            self._words = []

    def _macro(self, name: str, rest: str) -> None:
        given = [self._plain(word) for word in words(rest)]
        if name in ("SH", "SS"):
            self._paragraph()
            self._indents, self._indent = [], 0
            self._next = self._heading if name == "SH" else self._subheading
            if given:
                self._text(" ".join(words(rest)))
        elif name == "TH":
            section = f"({given[1]})" if len(given) > 1 and given[1] else ""
            self._out.append(f"# {given[0] if given else ''}{section}")
            self._out.append("")
        elif name in FONTS:
            self._font(name, given)
        elif name in ("TP", "TQ"):
            self._new_term(together=name == "TQ")
            self._next = self._term
        elif name == "IP":
            self._new_term()
            self._item(given[0] if given else None)
        elif name in ("PP", "P", "LP", "HP"):
            self._paragraph()
            self._indent = sum(self._indents)
        elif name == "RS":
            self._break()
            self._indents.append(STEP)
            self._indent = sum(self._indents)
        elif name == "RE":
            self._paragraph()
            if self._indents:
                self._indents.pop()
            self._indent = sum(self._indents)
        elif name in ("sp", "ne"):
            self._paragraph()
        elif name == "br":
            self._break()
        elif name == "ds":
            found = re.match(r"(\S+)\s*\"?(.*)$", rest)
            if found:
                self._strings[found[1]] = found[2]
        elif name in ("UR", "MT") and given:
            self._words.append(f"<{given[0]}>")
        elif name in ("UE", "ME") and given and self._words:
            self._words[-1] += given[0]
        elif name in ("SY", "OP", "MR"):
            self._synopsis(name, given)

    def _heading(self, text: str) -> None:
        self._out.extend(("", f"## {text}", ""))

    def _subheading(self, text: str) -> None:
        self._out.extend(("", f"### {text}", ""))

    def _font(self, name: str, given: list[str]) -> None:
        """Words in fonts; a font macro without words takes the next line, which is taken as it is."""
        text = ("" if name in ALTERNATING else " ").join(given)
        if not text.strip():
            return
        if self._next is not None:
            take, self._next = self._next, None
            take(" ".join(text.split()))
        else:
            self._words.append(text)

    def _synopsis(self, name: str, given: list[str]) -> None:
        if name == "SY":
            self._paragraph()
            self._words.extend(given)
        elif name == "OP":
            self._words.append(f"[{' '.join(given)}]")
        elif len(given) > 1:
            self._words.append(f"{given[0]}({given[1]}){''.join(given[2:3])}")

    def _new_term(self, *, together: bool = False) -> None:
        """A term begins; `together` with the one before it, whose text has not begun."""
        self._paragraph()
        self._indent = sum(self._indents)
        if together and len(self._out) > 1 and not self._out[-1]:
            self._out.pop()

    def _term(self, text: str) -> None:
        """A term on a line of its own; what follows it stands in."""
        self._say(text)
        self._indent += STEP

    def _item(self, mark: str | None) -> None:
        """The term of `.IP`: a bullet makes a list item, and none goes on with what stands in."""
        if mark is None:
            self._indent += STEP
        elif mark.strip() in BULLETS or re.fullmatch(r"\(?\d{1,2}[.)]|\[\d{1,3}\]", mark.strip()):
            self._words.append("-" if mark.strip() in BULLETS else mark.strip())
        else:
            self._term(" ".join(mark.split()))

    def _code(self, lines: Iterator[str]) -> None:
        """Lines that are not filled, in a fence."""
        self._break()
        code: list[str] = []
        for line in lines:
            name, rest = request(line)
            if name in ("fi", "EE", "Ve"):
                break
            if name in ("SH", "SS", "TH"):
                self._fence(code)
                self._macro(name, rest)
                return
            if not name:
                code.append(self._plain(line).rstrip())
            elif name in FONTS:
                code.append(("" if name in ALTERNATING else " ").join(self._plain(word) for word in words(rest)))
            elif name in ("sp", "PP", "P", "LP", "IP"):
                code.append("")
        self._fence(code)

    def _fence(self, code: list[str]) -> None:
        body = "\n".join(code).strip("\n")
        if not body.strip():
            return
        if self._next is not None:  # a term in a block that is not filled
            take, self._next = self._next, None
            first, _, body = body.partition("\n")
            take(" ".join(first.split()))
            if not body.strip():
                return
        self._paragraph()
        for line in ("```", *body.split("\n"), "```"):
            self._say(line)
        self._out.append("")

    def _table(self, lines: Iterator[str]) -> None:
        """A table of tbl(1): its first row is taken for its head."""
        self._paragraph()
        tab, rows, formats, block = "\t", list[list[str]](), True, list[str]()
        within = False
        for line in lines:
            if request(line)[0] == "TE":
                break
            if formats:
                found = re.search(r"tab\s*\((.)\)", line)
                tab = found[1] if found else tab
                formats = not line.rstrip().endswith(".")
                continue
            if within:
                if line.startswith("T}"):
                    within = False
                    cells = line[2:].split(tab)
                    rows[-1][-1] = " ".join(block)
                    rows[-1] += cells[1:]
                    within, block = rows[-1][-1].rstrip() == "T{", []
                elif not request(line)[0]:
                    block.append(line)
                elif request(line)[0] in FONTS:
                    block.append(" ".join(words(request(line)[1])))
                continue
            if request(line)[0] or line.strip() in ("_", "=", ""):
                formats = request(line)[0] == "T&"
                continue
            rows.append(line.split(tab))
            within, block = rows[-1][-1].rstrip() == "T{", []
        stated = [[" ".join(self._plain(cell).split()) for cell in row] for row in rows]
        width = max((len(row) for row in stated), default=0)
        for number, row in enumerate(stated):
            self._say("| " + " | ".join([*row, *[""] * (width - len(row))]) + " |")
            if number == 0:
                self._say("| " + " | ".join(["---"] * width) + " |")
        self._paragraph()

    def _until(self, lines: Iterator[str], end: str) -> None:
        for line in lines:
            if request(line)[0] == end:
                return
