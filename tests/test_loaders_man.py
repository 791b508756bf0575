"""Man pages: what the macros become, conditions and strings of roff, tables, and pages that are none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from agents.corpus.chunks import split
from agents.corpus.documents import Document, scan
from agents.corpus.loaders.man import Man
from agents.corpus.loaders.roff import decided, plain, words

HEAD = '.TH KETTLE 1 "May 2026"\n'


def read(body: str) -> str:
    """The Markdown of a page without its title."""
    text = Man().load((HEAD + body).encode(), "kettle.1").text
    assert text.startswith("# KETTLE(1)\n")
    return text.removeprefix("# KETTLE(1)\n").lstrip("\n")


def test_sections_paragraphs_and_fonts() -> None:
    assert read('.SH NAME\nkettle \\- boils\n.SH\nSEE ALSO\n.BR tea (1),\n.B "a b"\nand\n\\fIc\\fP\n.PP\nNext.\n') == (
        "## NAME\n\nkettle - boils\n\n## SEE ALSO\n\ntea(1), a b and c\n\nNext.\n"
    )
    assert read(".SS Two words\nOne\n.br\ntwo\n") == "### Two words\n\nOne\ntwo\n"


def test_a_term_stands_above_its_text() -> None:
    found = read(
        '.SH OPTIONS\n.TP\n.BR \\-v ", " \\-\\-verbose\nSays\nmore.\n.IP\nStill of it.\n'
        ".TP 8\n\\fB\\-x\\fR\n.TQ\n\\fB\\-y\\fR\nTwo.\n.IP \\-z 4\nThree.\n.PP\nAfter.\n"
    )
    assert found == (
        "## OPTIONS\n\n-v, --verbose\n  Says more.\n\n  Still of it.\n\n-x\n-y\n  Two.\n\n-z\n  Three.\n\nAfter.\n"
    )


def test_lists_blocks_and_what_stands_in() -> None:
    found = read(".SH A\n.IP \\(bu 2\nOne.\n.IP 1. 2\nTwo.\n.PP\nTerm\n.RS 4\nIn.\n.RE\nOut.\n")
    assert found == "## A\n\n- One.\n\n1. Two.\n\nTerm\n  In.\n\nOut.\n"


@pytest.mark.parametrize(("begin", "end"), [(".nf", ".fi"), (".EX", ".EE"), (".Vb 4", ".Ve")])
def test_code_is_fenced_as_it_stands(begin: str, end: str) -> None:
    found = read(f".SH A\nRun\n{begin}\n  kettle \\-v\n\n.B on\n\\&.x\n{end}\nthen.\n")
    assert found == "## A\n\nRun\n\n```\n  kettle -v\n\non\n.x\n```\n\nthen.\n"


def test_a_table_of_tbl() -> None:
    found = read(
        ".SH A\n.TS\nallbox tab(:);\nlb lb\nl l.\nName:Value\n_\nlimit:T{\nthree\n.B four\nT}\nrate:5\n.TE\nEnd.\n"
    )
    assert found == "## A\n\n| Name | Value |\n| --- | --- |\n| limit | three four |\n| rate | 5 |\n\nEnd.\n"


def test_definitions_and_conditions() -> None:
    found = read(
        ".de XX\n.B \\\\$1\n..\n.ig\nnothing\n..\n.if t for paper\n.if n for a terminal\n.ie \\n(.g new\n.el old\n"
        ".ie n \\{\\\n.ds L left\n.\\}\n.el \\{\\\n.ds L right\n.\\}\n.if \\nF>0 \\{\\\n.  am YY\n.  .\n.\\}\n"
        ".if !'a'b' not the same\n.SH A\n\\*L \\*(lq\\*[rq]\n"
    )
    assert found == "for a terminal old not the same\n\n## A\n\nleft “”\n"


def test_escapes() -> None:
    assert plain('\\fBa\\fP\\-\\-b \\(co\\[u00E9]\\[char65] \\s-1X\\s0 \\e \\" gone') == "a--b ©éA X \\ "
    assert plain("\\h'1'\\w'abc'u\\n(xx\\*(xx\\m[red]y\\m[]\\c") == "uy"
    assert plain("\\*a", {"a": "\\*a!"}) == "!" * 8, "a string of itself comes to an end"
    assert words('one "two ""2"" x" \\fB\\ y\\fP "" z \\" no') == ["one", 'two "2" x', "\\fB\\ y\\fP", "", "z"]
    assert (
        decided("n x") == (True, " x") and decided("!n x") == (False, " x") and decided("\\n(.g>1 x") == (False, " x")
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b".Dd May 1\n.Dt K 1\n.Sh NAME\n", "a man page of the mdoc macros: `mandoc -T man FILE` turns it into"),
        (b".so man1/other.1\n", "it only names another man page"),
        (b"Nov 21 kernel: x\n", "no man page: it has no line that begins with .TH"),
        (b".TH \xff\n", "invalid start byte"),
        (b"\x7fELF\0\0", "binary: it holds NUL characters"),
    ],
)
def test_what_is_no_such_page_is_one_remark(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "one.md").write_text("# One\n\ntext\n")
    (tmp_path / "a.1").write_bytes(content)
    documents, skipped = scan(tmp_path)
    assert [each.id for each in documents] == ["one"]
    assert [each.file for each in skipped] == ["a.1"] and said in skipped[0].reason


@pytest.mark.parametrize(
    "body", [".TP", ".nf\n.TP\nx", ".TS\n", '.IP "', ".if n \\{", ".el x", ".SH\n.SH", "\\", ".de", "'"]
)
def test_a_page_that_breaks_off_is_read(body: str) -> None:
    Man().load((HEAD + body).encode(), "a.1")


def test_a_page_is_cut_at_its_headings() -> None:
    text = Man().load((HEAD + ".SH NAME\nkettle\n.SH OPTIONS\n.TP\n-v\nSays.\n").encode(), "kettle.1").text
    chunks = split(Document(id="kettle", title="KETTLE(1)", text=text, source="kettle.1"))
    assert [(each.title, each.text) for each in chunks] == [
        ("KETTLE(1) > NAME", "kettle"),
        ("KETTLE(1) > OPTIONS", "-v\n  Says."),
    ]


def test_pages_of_this_machine_are_read() -> None:
    """Whatever man pages are installed: none leaves a macro in its text."""
    pages = sorted(Path("/usr/share/man/man1").glob("*.1.gz"))[:40]
    if not pages:
        pytest.skip("no man pages are installed")
    found = 0
    for path in pages:
        try:
            text = Man().load(gzip.decompress(path.read_bytes()), path.name).text
        except ValueError:
            continue
        found += 1
        assert "\n.SH" not in text and "\\fB" not in text, path
    assert found
