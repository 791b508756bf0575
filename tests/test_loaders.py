"""Loaders: HTML as a browser would read it, loaders of the user's own and of the config, and their fingerprints."""

from __future__ import annotations

from pathlib import Path

import pytest
from kettle_run import CONFIG, folder_of

from agents.corpus.documents import listed, scan
from agents.corpus.loaders import Loader, loader_of, loaders, suffixes
from agents.corpus.loaders.html import page_of
from agents.errors import ConfigError
from retort.cli import main
from retort.config import load_config
from retort.parts import changes
from retort.pipeline import Run
from retort.stages import parts_of
from retort.table import STAGES
from retort.trust import named


def test_every_loader_names_its_suffixes() -> None:
    found = suffixes()
    assert {name: found[f".{name}"] for name in ("md", "txt", "rst", "html", "1", "docx")} == {
        "md": "markdown", "txt": "text", "rst": "rst", "html": "html", "1": "man", "docx": "markitdown",
    }  # fmt: skip
    assert suffixes({".LOG": "text", ".md": "text"}) == {**found, ".log": "text", ".md": "text"}
    assert listed(found) == ".md, .txt, .rst, .html, .htm, .docx, .pptx, .xlsx, .epub, .1 to .9"
    for name in loaders.names():
        assert isinstance(loader_of(name), Loader)


def test_definitions_lists_and_code_of_html() -> None:
    page = page_of(
        "<title>A  page</title><dl><dt><code>--foo</code><dt>-f<dd>Does foo.<p>More.<pre>x  y\n  z</pre>"
        "<dt>bar<dd>Is bar.</dl><ul><li>one<li>two<ul><li>in</ul></ul><ol><li>first</ol>"
    )
    assert page.title == "A page"
    assert page.text == (
        "`--foo`\n-f\n  Does foo.\n\n  More.\n\n  ```\n  x  y\n    z\n  ```\n\nbar\n  Is bar.\n\n"
        "- one\n- two\n  - in\n\n1. first\n"
    )


def test_tables_of_html() -> None:
    text = page_of(
        "<table><tr><th>Name<th>Value<tr><td>cache_size<td><pre>4k\n8k</pre></table>"
        "<table><tr><td>menu<td><h2>In a layout</h2><p>Text.</table>"
    ).text
    assert text == ("| Name | Value |\n| --- | --- |\n| cache_size | `4k 8k` |\n\nmenu\n\n## In a layout\n\nText.\n")


def test_words_of_html_are_as_they_are() -> None:
    text = page_of(
        "<h2>A &amp; B<a class='headerlink' href='#a'>¶</a></h2><p><b>cache_size</b> is *4* <em>or</em> &lt;n&gt;, see "
        "<a href='http://x'>there</a>.<script>no</script><style>no</style><img alt='Picture' src='data:x'>"
    ).text
    assert text == "## A & B\n\ncache_size is *4* or <n>, see there.Picture\n"


def test_html_in_the_encoding_that_it_declares(tmp_path: Path) -> None:
    page = "<meta charset={}><p>K\u00fchl"
    (tmp_path / "a.html").write_bytes(page.format("iso-8859-1").encode("latin-1"))
    (tmp_path / "b.html").write_bytes(page.format("utf-8").encode("latin-1"))
    (tmp_path / "c.html").write_bytes(page.format("none-such").encode("latin-1"))
    documents, skipped = scan(tmp_path)
    assert [each.text for each in documents] == ["K\u00fchl\n"]
    assert [each.file for each in skipped] == ["b.html", "c.html"]
    assert all(each.reason.endswith("invalid start byte; save it as UTF-8") for each in skipped)


def test_what_stands_deep_in_html_is_not_lost(tmp_path: Path) -> None:
    """libxml2 leaves out what is deeper than 256 elements unless it is told not to."""
    assert page_of("<div>" * 300 + "deep").text == "deep\n"
    (tmp_path / "one.md").write_text("# One\n\ntext\n")
    (tmp_path / "deep.html").write_text("<div>" * 5000 + "deep")
    assert scan(tmp_path)[1] == [("deep.html", "nested too deeply")]


OWN = '''
from agents.corpus.loaders import Loader, Page, loaders

def log(data: bytes, name: str) -> str:
    """Each day is a section."""
    return "\\n".join(f"## {line[4:]}" if line.startswith("DAY ") else line for line in data.decode().splitlines())

def wrong(data: bytes, name: str) -> int:
    """No text."""
    return 3

def fails(data: bytes, name: str) -> str:
    """Nothing."""
    raise KeyError("day")

class Titled(Loader):
    """A page with a title."""
    suffixes = (".day",)

    def load(self, data: bytes, name: str) -> Page:
        """The text."""
        return Page(data.decode(), title=f"Day of {name}")

class NoLoader:
    """Nothing."""

NUMBER = 3
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A file with loaders of the user's own, and a folder of files for them."""
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.log").write_text("DAY one\nlimit: 3\n")
    return tmp_path / "mine.py"


def test_a_loader_of_ones_own(own: Path) -> None:
    folder = own.parent / "pages"
    assert scan(folder, {".log": f"{own}:log"})[0][0].text == "## one\nlimit: 3"
    titled = scan(folder, {".LOG": f"{own}:Titled"})[0][0]
    assert (titled.title, titled.id) == ("Day of a.log", "a")
    assert scan(folder, {".log": "text"})[0][0].text == "DAY one\nlimit: 3\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wrong", "its loader returned int: it has to return text, or a Page"),
        ("fails", "it cannot be read ('day')"),
    ],
)
def test_what_a_loader_of_ones_own_does_wrong_is_one_remark(own: Path, name: str, said: str) -> None:
    (own.parent / "pages" / "one.md").write_text("# One\n\ntext\n")
    assert scan(own.parent / "pages", {".log": f"{own}:{name}"})[1] == [("a.log", said)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NoLoader", "does not inherit agents.corpus.loaders.Loader"),
        ("NUMBER", "it is neither a function nor a class"),
        ("absent", "has no 'absent'"),
    ],
)
def test_what_is_no_loader_is_told(own: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        scan(own.parent / "pages", {".log": f"{own}:{name}"})


def with_own(root: Path) -> Path:
    """The kettle's folder, a page of it read by a loader of the user's own."""
    text = CONFIG.replace('manuals = "manual"\n', 'manuals = "manual"\nloaders = {".log" = "mine.py:log"}\n')
    folder_of(root, text)
    (root / "mine.py").write_text(OWN)
    (root / "manual" / "day.log").write_text("DAY one\nlimit: 3\n")
    return root


def test_the_config_names_a_loader_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = with_own(tmp_path)
    config = load_config(root / "run.toml")
    assert config.corpus.loaders == {".log": f"{root / 'mine.py'}:log"}
    told = {each.description for each in named(config)}
    assert f"the loader {root / 'mine.py'}:log: the code of its file runs here" in told
    assert main(["index", "--trust", str(root)]) == 0
    assert "7 pages" in capsys.readouterr().err


def test_the_index_follows_from_a_loader_by_content(tmp_path: Path) -> None:
    def of(root: Path) -> dict[str, str]:
        return parts_of(Run(load_config(root / "run.toml"), root / "run"), STAGES["index"], {})

    before = of(with_own(tmp_path / "a"))
    assert of(with_own(tmp_path / "b")) == before, "the same loader in another folder"
    (tmp_path / "a" / "mine.py").write_text(OWN + "# changed\n")
    assert changes(before, of(tmp_path / "a")) == "the loaders changed"
    (tmp_path / "b" / "manual" / "page.html").write_text("<p>x")
    assert changes(before, of(tmp_path / "b")) == "the loaders and the manuals changed"  # the versions of the libraries
