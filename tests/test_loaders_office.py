"""Office files: real .docx, .pptx, .xlsx and .epub are read, and broken, encrypted or too large ones are one remark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import office_files
import pytest
from kettle_run import folder_of

from agents.corpus.documents import Document, scan
from agents.corpus.loaders import markitdown
from agents.corpus.loaders.markitdown import Office
from retort.cli import main
from retort.config import load_config
from retort.doctor.before import corpus_findings

pytest.importorskip("markitdown")
ROOT = Path(__file__).resolve().parents[1]
GOOD = {
    "a.docx": office_files.docx,
    "b.pptx": office_files.pptx,
    "c.xlsx": office_files.xlsx,
    "d.epub": office_files.epub,
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Document]:
    """The documents of one file of each kind, by id."""
    folder = tmp_path_factory.mktemp("office")
    for name, made in GOOD.items():
        (folder / name).write_bytes(made())
    documents, skipped = scan(folder)
    assert not skipped
    return {each.id: each for each in documents}


def test_a_word_document_has_its_headings_tables_and_names(read: dict[str, Document]) -> None:
    text = read["a"].text
    assert read["a"].title == "Guide"
    assert text.startswith("# Guide\n\nAbout *all* of it.\n\n## cache_size\n\nDefault: 4k\n")
    assert "| cache_size | 4k |" in text


def test_slides_are_sections(read: dict[str, Document]) -> None:
    text = read["b"].text
    assert read["b"].title == "Cache"
    assert "# Cache\n" in text and "# Table\n" in text and "<!--" not in text
    assert "cache_size is *4k*" in text and "| cache_size | 4k |" in text


def test_cells_of_a_sheet_are_as_they_stand(read: dict[str, Document]) -> None:
    """markitdown's own reader makes NaN of None and n/a, and 5.0 of 5."""
    assert read["c"].text == (
        "## Defaults\n\n| name | default | since |\n| --- | --- | --- |\n| cache_size | 5 | None |\n"
        "| cache_max |  | n/a |\n| on | TRUE | 1.5 |\n"
    )


def test_a_book_has_its_chapters(read: dict[str, Document]) -> None:
    text = read["d"].text
    assert "# Cache\n\ncache_size\n  Default: 4k\n" in text
    assert "# Heater\n\nDefault: *7*" in text


BAD = {
    "text.docx": (b"not a zip", "no .docx file, or a broken one"),
    "cut.docx": (office_files.docx()[:-200], "no .docx file, or a broken one"),
    "empty.pptx": (office_files.archive({"a.txt": "x"}), "it cannot be read ("),
    "wrong.xlsx": (office_files.archive({"xl/worksheets/a.xml": "<"}), "it cannot be read ("),
    "none.epub": (office_files.archive({"mimetype": "application/epub+zip"}), "it cannot be read ("),
    "entity.docx": (
        office_files.archive({"word/document.xml": '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'}),
        "it cannot be read (",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_file_is_one_remark(tmp_path: Path, name: str) -> None:
    content, said = BAD[name]
    (tmp_path / "one.md").write_text("# One\n\ntext\n")
    (tmp_path / name).write_bytes(content)
    documents, skipped = scan(tmp_path)
    assert [each.id for each in documents] == ["one"]
    assert [each.file for each in skipped] == [name]
    assert skipped[0].reason.startswith(said)


def test_a_file_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    bombs = {
        "text.docx": {"word/document.xml": bytes(markitdown.MAX_TEXT + 1)},
        "images.pptx": {f"ppt/media/{n}.png": bytes(65_000_000) for n in range(4)},
    }
    for name, members in bombs.items():
        (tmp_path / name).write_bytes(office_files.archive(members))
        assert (tmp_path / name).stat().st_size < 1_000_000
    (tmp_path / "far.xlsx").write_bytes(office_files.xlsx(far="XFD1048576"))
    book = {"a.xhtml": "<script>" + "x" * 9_000_000 + "</script>"}
    (tmp_path / "again.epub").write_bytes(office_files.epub(book, times=100))
    (tmp_path / "one.md").write_text("# One\n\ntext\n")
    _, skipped = scan(tmp_path)
    reasons = dict(skipped)
    assert reasons["text.docx"].startswith("it unpacks to 64 MB, 64 MB of them text; at most 256 and 64 MB are read")
    assert reasons["images.pptx"].startswith("it unpacks to 260 MB, 0 MB of them text")
    assert reasons["again.epub"] == "its chapters, those named twice counted twice, are over 64 MB"
    assert reasons["far.xlsx"].startswith("a sheet of 1048576 rows and 16384 columns; at most 5,000,000 cells")


def test_an_encrypted_file_says_so() -> None:
    data = bytearray(office_files.docx())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    with pytest.raises(ValueError, match=r"it is encrypted: save it as \.docx without a password"):
        Office().load(bytes(data), "a.docx")


WITHOUT = (
    "import sys; sys.modules['markitdown'] = None; sys.modules['openpyxl'] = None\n"
    "from retort.cli import main; sys.exit(main(sys.argv[1:]))"
)


def test_a_missing_extra_is_told_with_the_files_that_need_it(tmp_path: Path) -> None:
    root = folder_of(tmp_path)
    for name in ("a.docx", "b.pptx"):
        (root / "manual" / name).write_bytes(GOOD[name]())
    done = subprocess.run([sys.executable, "-c", WITHOUT, "index", str(root)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "a.docx, b.pptx of the corpus need 'markitdown', which is not installed: pip install " in done.stderr
    assert "[documents]'" in done.stderr
    done = subprocess.run([sys.executable, "-c", WITHOUT, "plan", str(root)], cwd=ROOT, capture_output=True, text=True)
    assert "a.docx, b.pptx of the corpus need 'markitdown'" in done.stdout


def test_the_line_runs_on_a_word_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fact of a .docx is found, by the path of its file."""
    root = folder_of(tmp_path)
    body = "".join(
        office_files.paragraph(text, style)
        for text, style in (("Boiler", "Heading1"), ("boiler_limit", "Heading2"), ("Default: 41", ""))
    )
    (root / "manual" / "boiler.docx").write_bytes(office_files.docx(body))
    with (root / "facts.jsonl").open("a") as stream:
        stream.write(
            '{"entity": "boiler_limit", "attribute": "default", "value": "41", "source": "manual/boiler.docx", '
            '"section": "boiler_limit"}\n'
        )
    assert not [each for each in corpus_findings(load_config(root / "run.toml").corpus) if each.severity != "fine"]
    for stage in ("index", "exam"):
        assert main([stage, str(root)]) == 0
    assert "facts {given: 217, usable: 217}" in capsys.readouterr().err
