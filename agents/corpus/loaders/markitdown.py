r"""Reads office files: .docx, .pptx and .epub by markitdown, .xlsx by openpyxl, which comes with it.

Their HTML goes through the reader of HTML beside this one: markitdown's escapes names (`cache\_size`). Its spreadsheets
go through a data frame, which makes NaN of `None` and `n/a` in a cell, and 5.0 of 5 beside an empty one. Its converters
are called by suffix: what guesses the kind of a file loads a neural network.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from functools import cache
from typing import Any

from ...errors import need
from . import Loader, Page, loaders
from .html import page_of

MAX_UNPACKED = 256_000_000
"""Bytes of all members of a file, unpacked."""
MAX_TEXT = 64_000_000
"""Bytes of its members that hold text, unpacked: as objects they take twenty times as much."""
MAX_CELLS = 5_000_000
"""Cells of a sheet, empty ones counted: one cell far down makes a large sheet of a small file."""
TEXTS = (".xml", ".rels", ".html", ".xhtml", ".htm", ".opf", ".ncx")

_SLIDE = re.compile(r"^<!-- Slide number: \d+ -->$", re.MULTILINE)
_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]*?r="([A-Z]{1,3})(\d{1,7})"')


@loaders.register("markitdown")
class Office(Loader):
    """Word, PowerPoint, Excel and EPUB."""

    suffixes = (".docx", ".pptx", ".xlsx", ".epub")
    packages = ("markitdown", "mammoth", "python-pptx", "openpyxl", "beautifulsoup4", "lxml", "markdownify")

    def load(self, data: bytes, name: str) -> Page:
        """Its text under its headings, slides or sheets; raises ValueError where it is broken or too large."""
        suffix = name[name.rfind(".") :].lower()
        check_size(data, suffix)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles that a file lacks
            if suffix == ".xlsx":
                return Page(workbook(data))
            made = converter(suffix).convert(io.BytesIO(data), stream_info(suffix))
        text = _SLIDE.sub("", made.markdown).strip()
        return Page(f"{text}\n" if text else "", " ".join((made.title or "").split()))


def check_size(data: bytes, suffix: str) -> None:
    """Raise ValueError where a file is no archive, or one that would unpack to too much."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if any(each.flag_bits & 1 for each in members):
                raise ValueError(f"it is encrypted: save it as {suffix} without a password")
            whole = sum(each.file_size for each in members)
            text = sum(each.file_size for each in members if each.filename.lower().endswith(TEXTS))
            if whole > MAX_UNPACKED or text > MAX_TEXT:
                raise ValueError(
                    f"it unpacks to {whole // 1_000_000} MB, {text // 1_000_000} MB of them text; at most "
                    f"{MAX_UNPACKED // 1_000_000} and {MAX_TEXT // 1_000_000} MB are read: cut it into several files"
                )
            if suffix == ".xlsx":
                for each in members:
                    if each.filename.startswith("xl/worksheets/") and each.filename.endswith(".xml"):
                        check_cells(archive.read(each))
    except zipfile.BadZipFile as error:
        raise ValueError(f"no {suffix} file, or a broken one ({error}): save it anew as {suffix}") from None


def check_cells(sheet: bytes) -> None:
    """Raise ValueError where the cells of a sheet span too large a table."""
    rows, columns = 0, 0
    for column, row in _CELL.findall(sheet):
        number = 0
        for letter in column:
            number = 26 * number + letter - 64
        rows, columns = max(rows, int(row)), max(columns, number)
    if rows * columns > MAX_CELLS:
        raise ValueError(
            f"a sheet of {rows} rows and {columns} columns; at most {MAX_CELLS:,} cells are read: take out the cells "
            "that stand far from the others"
        )


def stream_info(suffix: str) -> Any:
    """What markitdown is told of a file."""
    return need("markitdown", "documents").StreamInfo(extension=suffix)


def converter(suffix: str) -> Any:
    """markitdown's converter of a suffix, its HTML turned into Markdown here."""
    theirs, html = classes()
    made = theirs[suffix]()
    made._html_converter = html()
    return made


@cache
def classes() -> tuple[dict[str, Any], Any]:
    """Suffix -> markitdown's class; and the class that takes the place of its reader of HTML."""
    theirs: Any = need("markitdown.converters", "documents")
    result = need("markitdown", "documents").DocumentConverterResult
    need("mammoth", "documents")
    need("pptx", "documents")

    class Html(theirs.HtmlConverter):  # type: ignore[misc]
        """Makes Markdown as the loader of HTML does."""

        left = MAX_TEXT
        """Bytes that may still come: a book may name one chapter a million times."""

        def convert(self, file_stream: Any, stream_info: Any, **options: Any) -> Any:
            data = file_stream.read()
            self.left -= len(data)
            if self.left < 0:
                raise ValueError(f"its chapters, those named twice counted twice, are over {MAX_TEXT // 1_000_000} MB")
            page = page_of(data.decode("utf-8", "replace"))
            return result(markdown=page.text, title=page.title or None)

    found = {".docx": theirs.DocxConverter, ".pptx": theirs.PptxConverter, ".epub": theirs.EpubConverter}
    return found, Html


def workbook(data: bytes) -> str:
    """The sheets of a workbook as tables under headings, values as they stand in the cells."""
    openpyxl = need("openpyxl", "documents")
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    out: list[str] = []
    try:
        for sheet in book.worksheets:
            rows = [[shown(value) for value in row] for row in sheet.iter_rows(values_only=True)]
            rows = [row for row in rows if any(row)]
            width = max((max(n for n, cell in enumerate(row, 1) if cell) for row in rows), default=0)
            if not width:
                continue
            out.append(f"## {sheet.title}\n")
            for number, row in enumerate(rows):
                out.append("| " + " | ".join([*row, *[""] * width][:width]) + " |")
                if number == 0:
                    out.append("| " + " | ".join(["---"] * width) + " |")
            out.append("")
    finally:
        book.close()
    return "\n".join(out)


def shown(value: Any) -> str:
    """A cell's value on one line; a whole number without a fraction."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return " ".join(str(value).split())
