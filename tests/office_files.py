"""Makes small office files on the spot: .docx and .epub by hand, .pptx and .xlsx by the libraries that read them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def archive(members: Mapping[str, str | bytes]) -> bytes:
    """A zip archive of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return stream.getvalue()


def related(kind: str, target: str) -> str:
    """The part of a package that names one other part."""
    return (
        f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{OFFICE}/{kind}" Target="{target}"/>'
        "</Relationships>"
    )


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of a Word document."""
    styled = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{styled}<w:r><w:t>{text}</w:t></w:r></w:p>"


def docx(body: str = "") -> bytes:
    """A Word document with two headings, a table, and `cache_size` in its text."""
    cell = "<w:tc>{}</w:tc>".format
    row = "".join(cell(paragraph(text)) for text in ("name", "default"))
    other = "".join(cell(paragraph(text)) for text in ("cache_size", "4k"))
    body = body or (
        paragraph("Guide", "Heading1")
        + paragraph("About *all* of it.")
        + paragraph("cache_size", "Heading2")
        + paragraph("Default: 4k")
        + f"<w:tbl><w:tr>{row}</w:tr><w:tr>{other}</w:tr></w:tbl>"
    )
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/></w:style>' for n in (1, 2)
    )
    types = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    return archive(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{types}.document.main+xml"/>'
            f'<Override PartName="/word/styles.xml" ContentType="{types}.styles+xml"/></Types>',
            "_rels/.rels": related("officeDocument", "word/document.xml"),
            "word/_rels/document.xml.rels": related("styles", "styles.xml"),
            "word/styles.xml": f'<w:styles xmlns:w="{WORD}">{styles}</w:styles>',
            "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
        }
    )


def pptx() -> bytes:
    """A presentation of two slides, one with a table."""
    from pptx import Presentation
    from pptx.util import Inches

    made = Presentation()
    first = made.slides.add_slide(made.slide_layouts[1])
    first.shapes.title.text = "Cache"
    first.placeholders[1].text = "cache_size is *4k*"
    second = made.slides.add_slide(made.slide_layouts[5])
    second.shapes.title.text = "Table"
    table = second.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for row, texts in enumerate((("name", "default"), ("cache_size", "4k"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def xlsx(far: str = "") -> bytes:
    """A workbook of two sheets, one of them empty; `far` names a cell that is filled besides."""
    from openpyxl import Workbook

    made = Workbook()
    sheet = made.active
    sheet.title = "Defaults"
    for row in (("name", "default", "since"), ("cache_size", 5, "None"), ("cache_max", None, "n/a"), ("on", True, 1.5)):
        sheet.append(row)
    if far:
        sheet[far] = "x"
    made.create_sheet("Empty")
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def epub(chapters: Mapping[str, str] | None = None, times: int = 1) -> bytes:
    """A book of two chapters, named so many times."""
    chapters = chapters or {
        "one.xhtml": "<h1>Cache</h1><dl><dt>cache_size</dt><dd>Default: 4k</dd></dl>",
        "two.xhtml": "<h1>Heater</h1><p>Default: *7*</p>",
    }
    items = "".join(f'<item id="{n}" href="{n}" media-type="application/xhtml+xml"/>' for n in chapters)
    spine = "".join(f'<itemref idref="{n}"/>' for n in chapters) * times
    head = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body>{}</body></html>'
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="content.opf"/></rootfiles></container>',
            "content.opf": '<package xmlns="http://www.idpf.org/2007/opf"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Kettle</dc:title></metadata>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
            **{name: head.format(body) for name, body in chapters.items()},
        }
    )
