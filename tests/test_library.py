"""The library: documents, chunks, search by names, saving, and what broken input says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agents.corpus.chunks import split
from agents.corpus.documents import Document, read_corpus, scan
from agents.corpus.facts import read_facts
from agents.corpus.library import Library
from agents.corpus.loaders.html import page_of
from agents.corpus.loaders.rst import from_rst
from agents.corpus.tokens import words
from agents.errors import CorpusError, ExamError, StageError

PAGE = """# Cache module

Intro.

## Directive `cache_size`

Syntax: `cache_size size`

Default: `cache_size 4k`

```
# no heading
cache_size 8k;
```

## Directive `cache_size_max`

Default: `cache_size_max 16m`, never below cache_size.
"""


def page(text: str = PAGE, name: str = "cache") -> Document:
    return Document(id=name, title="Cache module", text=text, source=f"{name}.md")


def test_words_keep_names_whole_and_in_parts() -> None:
    assert words("str.rsplit") == ["str.rsplit", "str", "rsplit"]
    assert words("--alt-svc") == ["--alt-svc", "alt-svc", "alt", "svc"]
    assert words("getLogger max_size HTTPServer2") == [
        "getlogger", "get", "logger", "max_size", "max", "size", "httpserver2", "http", "server", "2",
    ]  # fmt: skip
    assert words("plain words.") == ["plain", "words"]


def test_chunks_by_heading_with_stable_ids() -> None:
    chunks = split(page())
    assert [(c.id, c.title) for c in chunks] == [
        ("cache#0", "Cache module"),
        ("cache#1", "Cache module > Directive cache_size"),
        ("cache#2", "Cache module > Directive cache_size_max"),
    ]
    assert "# no heading" in chunks[1].text
    assert not chunks[1].text.startswith("#")


def test_long_sections_are_cut_at_blank_lines() -> None:
    text = "# T\n\n" + "\n\n".join(f"paragraph {n} " + "x" * 300 for n in range(10))
    chunks = split(Document(id="t", title="T", text=text, source="t.md"), max_chars=700)
    assert len(chunks) == 5
    assert [c.part for c in chunks] == [0, 1, 2, 3, 4]
    assert all(len(c.text) <= 700 for c in chunks)
    assert "\n\n".join(c.text for c in chunks) == text.removeprefix("# T\n\n")


def test_search_puts_the_exact_name_first() -> None:
    library = Library.build([page()])
    assert library.search("cache_size default", 1)[0][0].id == "cache#1"
    assert library.search("cache_size_max default", 1)[0][0].id == "cache#2"
    assert [chunk.id for chunk, _ in library.search("cache_size", 9)] == ["cache#1", "cache#2", "cache#0"]
    assert library.search("zebra", 3) == []
    assert library.search("", 3) == []
    scores = [score for _, score in library.search("cache_size default module", 3)]
    assert scores == sorted(scores, reverse=True)


def test_case_tells_pages_apart() -> None:
    pages = [Document(id=n, title=n, text=f"# {n}\n\nnode\n", source="x") for n in ("ast.Expr", "ast.expr")]
    library = Library.build(pages)
    for name in ("ast.Expr", "ast.expr"):
        assert library.search(name, 1)[0][0].document == name


def test_save_open_and_leave_out(tmp_path: Path) -> None:
    library = Library.build([page()])
    library.save(tmp_path / "library")
    library.save(tmp_path / "library")
    assert [path.name for path in tmp_path.iterdir()] == ["library"]
    opened = Library.open(tmp_path / "library")
    assert opened.hash == library.hash
    assert opened.chunks == library.chunks
    assert opened.search("cache_size", 3) == library.search("cache_size", 3)
    less = Library.open(tmp_path / "library", without={"cache#1"})
    assert "cache#1" not in less
    assert [chunk.id for chunk, _ in less.search("cache_size", 1)] == ["cache#2"]
    assert less.hash != library.hash
    with pytest.raises(StageError, match="cache#1"):
        less.chunk("cache#1")


def test_search_from_many_threads_gives_the_same() -> None:
    library = Library.build([page(name=f"p{n}") for n in range(50)])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: library.search("cache_size default", 5), range(64)))
    assert all(hits == found[0] for hits in found)


def test_a_broken_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="run the stage 'index' first"):
        Library.open(tmp_path / "none")
    Library.build([page()]).save(tmp_path / "library")
    (tmp_path / "library" / "chunks.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(StageError, match="broken or of another version"):
        Library.open(tmp_path / "library")


def test_an_index_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    Library.build([page()]).save(tmp_path / "library")
    for path in (tmp_path / "library" / "index").iterdir():
        path.unlink()
    with pytest.raises(StageError, match="index' again"):
        Library.open(tmp_path / "library")


def test_missing_and_empty_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="not there"):
        read_corpus(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="no readable"):
        read_corpus(tmp_path)
    (tmp_path / "a.md").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(CorpusError, match=r"1 could not be read, the first: a\.md"):
        read_corpus(tmp_path)
    with pytest.raises(CorpusError, match="would be empty"):
        Library.build([Document(id="e", title="E", text="# only a heading\n", source="e.md")])


def test_corpus_reads_every_kind_and_counts_what_it_skips(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.md").write_text("# `One`\n\ntext\n", encoding="utf-8")
    (tmp_path / "deep" / "one.txt").write_text("plain\n", encoding="utf-8")
    (tmp_path / "two.rst").write_text("Two\n===\n\nPart\n----\n\nbody\n", encoding="utf-8")
    (tmp_path / "three.html").write_text(
        "<html><head><title>Three</title><style>no</style></head><body><h2>A &amp; B</h2><p>x<b>y</b></p>"
        "<pre>a  b</pre><ul><li>item</li></ul><script>no</script></body></html>",
        encoding="utf-8",
    )
    (tmp_path / "blank.md").write_text("  \n", encoding="utf-8")
    (tmp_path / "bad.txt").write_bytes(b"\xc3\x28")
    (tmp_path / "image.png").write_bytes(b"\x89")
    documents, remarks = scan(tmp_path)
    assert [(d.id, d.title) for d in documents] == [
        ("deep/one", "One"),
        ("deep/one.txt", "one"),
        ("three", "A & B"),
        ("two", "Two"),
    ]
    assert [remark.file for remark in remarks] == ["bad.txt", "blank.md", "image.png"]
    assert "3 files" in caplog.text or read_corpus(tmp_path) == documents
    assert "## Part" in documents[3].text
    assert "no" not in documents[2].text.split()
    assert "a  b" in documents[2].text


def test_html_and_rst_forms() -> None:
    text, title = page_of("<h1>T</h1><table><tr><td>a</td><td>b</td></tr></table><p>one<br>two</p>")
    assert title == ""
    assert "# T" in text
    assert "| a | b |" in text
    assert "one\ntwo" in text
    assert from_rst("====\nHead\n====\n\ntext\n") == "# Head\n\ntext\n"


def test_broken_fact_lines_are_named_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    good = '{"entity": "a", "attribute": "default", "value": "1", "source": "p.md", "extra": 1}'
    path.write_text(f'{good}\n{{"entity": \n\n{good}\n{{"entity": "b"}}\n[1]\n', encoding="utf-8")
    facts, remarks = read_facts(path)
    assert len(facts) == 2
    assert facts[0].kin == "default"
    assert [remark.line for remark in remarks if not remark.used] == [2, 5, 6]
    assert [str(remark) for remark in remarks if remark.used] == [
        f'line {number}: the unknown key "extra" is passed over' for number in (1, 4)
    ]
    assert "attribute" in remarks[3].reason


def test_facts_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ExamError, match=r"none\.jsonl"):
        read_facts(tmp_path / "none.jsonl")
    (tmp_path / "facts.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ExamError, match="holds no fact: line 1: entity"):
        read_facts(tmp_path / "facts.jsonl")
