"""The examples' prepare.py scripts make pages and facts of what packages hold: made-up fragments, no network."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agents.corpus.documents import read_corpus
from agents.corpus.facts import Fact, read_facts
from agents.corpus.library import Library
from distill.exam.evidence import find_evidence
from retort.config import load_config

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

POSTFIX = """<h1>Parameters</h1><hr>
<h2> Postfix main.cf file format </h2>
<p> One setting
a line. </p>
<dl>
<DT><b><a name="lamp_hood">lamp_hood</a>
(default: $<a href="x.html#lamp">lamp_shade</a>, none)</b></DT><DD>
<p> The hood of the <a href="lamp.8.html">lamp(8)</a> daemon. </p>
<ul><li> <p> This feature is available in Postfix 9.9 and later. </p></ul>
<pre>
lamp_hood = &lt;&gt;
</pre>
<p> This feature is available in Postfix 2.3 and later. </p>
</DD>
<DT><b><a name="lamp_off_delay">lamp_off_delay</a>
(default: 5d)</b></DT><DD>
<p> Time units: s (seconds), d (days).
The default time unit is d (days). </p>
<p> This feature is available in Postfix 2.8 - 3.5. </p>
</DD>
<DT><b><a name="lamp_on">lamp_on</a>
(default: see "postconf -d" output)</b></DT><DD>
<p> Whether it is on. </p>
<p> This feature is available in Postfix 2.10. </p>
</DD>
<DT><b><a name="lamp_id">lamp_id</a>
(read-only)</b></DT><DD>
<p> Its number. </p> </DD>
<DT><b><a name="lamp_low">lamp_low</a>
(default: empty)</b></DT><DD>
<dl> <dt><b>dim</b></dt> <dd>Half. </dd> </dl>
<p> This feature is available in Postfix 2.0 and later. </p>
<p> This feature is available in Postfix 2.1 and later. </p> </DD>
<DT><b><a name="biff">biff</a>
(default: Postfix &ge; 3.0: yes, Postfix &lt; 3.0: no)</b></DT><DD> <p> Says so. </p> </DD>
</dl>
"""

MAN = r""".TH curl 1
.SH OPTIONS
Options start with dashes.
.IP "\-\-lamp"
Not reached twice.
.SH "ALL OPTIONS"
.IP "\-a, \-\-air\-pump <cubic feet>"
(HTTP FTPS) Pumps \fIair\fP.

If \fI\-a, \-\-air\-pump\fP is provided several times, the last set value will be used.

.RS
.IP fast
As fast as it goes.
.RE
Example:
.nf
curl --air-pump 3

 now
.fi

See also \fI--tlsv1.3\fP. This option is mutually exclusive to \fI-o, --open\fP and \fI--tls1.2\fP. Added in 7.64.1.
.IP "\-\-open"
Opens (Added in 7.70.0). Providing \-\-open multiple times has no extra effect.

Added in 7.1. See also \fI\-\-air\-pump\fP.
.SH FILES
.IP "\-\-none"
Added in 1.1.
"""

PROPERTIES: dict[str, Any] = {
    "lamp-width": {
        "syntax": "<length>\n  | auto", "media": ["visual", "paged"], "inherited": False, "animationType": "lpc",
        "percentages": "no", "groups": ["CSS Lamps & Light", "Other"], "initial": "auto", "appliesto": "lamps",
        "computed": "asSpecified", "order": "uniqueOrder", "status": "standard",
    },
    "lamp-color": {
        "syntax": "<color>", "media": "visual", "inherited": True, "animationType": "x" * 130, "percentages": "no",
        "groups": ["CSS Lamps & Light"], "initial": "keyword", "appliesto": "lamps", "computed": "asSpecified",
        "order": "uniqueOrder", "status": "experimental",
    },
    "lamp": {
        "syntax": "a || b", "media": "visual", "inherited": False, "animationType": ["lamp-width", "lamp-color"],
        "percentages": ["lamp-width"], "groups": ["CSS Lamps & Light"], "initial": ["lamp-width", "lamp-color"],
        "appliesto": "lamps", "computed": ["lamp-width", "lamp-color"], "order": "uniqueOrder", "status": "standard",
    },
}  # fmt: skip
TERMS = {
    "asSpecified": {"en-US": "as specified", "de": "wie angegeben"},
    "lamps": {"en-US": '{{HTMLElement("lamp")}} with {{cssxref("shade")}} &lt;hood&gt;'},
    "keyword": {"en-US": "<code>dim</code>, or nothing."},
    "lpc": {"en-US": '$1$, <a href="/x" title="of <percentage> type">percentage</a> or calc();'},
}


def script(name: str) -> ModuleType:
    """examples/`name`/prepare.py as a module."""
    spec = importlib.util.spec_from_file_location(f"prepare_{name}", EXAMPLES / name / "prepare.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def made(name: str) -> tuple[dict[str, str], list[Any]]:
    """What the script makes of its fragment."""
    module = script(name)
    if name == "postfix":
        return module.read_manual(POSTFIX)
    if name == "curl":
        return module.read_man_page(MAN)
    return module.read_tables(PROPERTIES, {"light": {"syntax": "on |\n off"}}, TERMS)


def told(facts: list[Any], entity: str) -> dict[str, str]:
    return {fact.attribute: fact.value for fact in facts if fact.entity == entity}


def test_postfix_pages_hold_the_text_with_headings_and_defaults() -> None:
    pages, _ = made("postfix")
    assert set(pages) == {"main.cf", "lamp", "b"}
    assert pages["main.cf"].startswith("# Postfix main.cf file format\n\nOne setting a line.")
    assert pages["lamp"].startswith(
        "# Postfix lamp_ parameters\n\n## lamp_hood\n\nDefault: $lamp_shade, none\n\nThe hood"
    )
    assert "\n\n```\nlamp_hood = <>\n```\n\n" in pages["lamp"]
    assert "## lamp_id\n\nRead-only\n\nIts number." in pages["lamp"]
    assert "\n\n- dim\n\nHalf.\n\n" in pages["lamp"]
    assert "Default: Postfix ≥ 3.0: yes, Postfix < 3.0: no" in pages["b"]


def test_postfix_facts_are_those_with_one_value() -> None:
    _, facts = made("postfix")
    assert told(facts, "lamp_hood") == {"default": "$lamp_shade, none", "available since version": "2.3"}
    assert told(facts, "lamp_off_delay") == {"default": "5d", "default time unit": "days"}
    assert told(facts, "lamp_on") == {"available since version": "2.10"}
    assert told(facts, "lamp_low") == {"default": "empty"}
    assert not told(facts, "lamp_id") and not told(facts, "biff")


def test_css_pages_and_facts() -> None:
    pages, facts = made("css")
    assert set(pages) == {"css-lamps-light", "syntax-of-data-types"}
    page = pages["css-lamps-light"]
    assert page.startswith(
        "# CSS Lamps & Light\n\n## lamp-width\n\nInitial value: auto\n\nApplies to: <lamp> with shade"
    )
    assert "Formal syntax: `<length> | auto`" in page
    assert "Animation type: " + "x" * 130 in page
    assert "## <light>\n\nFormal syntax: `on | off`" in pages["syntax-of-data-types"]
    assert told(facts, "lamp-width") == {
        "initial value": "auto",
        "applies-to entry": "<lamp> with shade <hood>",
        "inherited entry": "no",
        "percentages entry": "no",
        "computed value": "as specified",
        "animation type": "length, percentage or calc()",
        "media entry": "visual, paged",
        "status entry": "standard",
    }
    assert told(facts, "lamp-color")["initial value"] == "dim, or nothing"
    assert "animation type" not in told(facts, "lamp-color")
    lamp = told(facts, "lamp")
    assert lamp["constituent properties"] == "lamp-width, lamp-color"
    assert not {"initial value", "computed value", "animation type", "percentages entry"} & set(lamp)


def test_curl_pages_and_facts() -> None:
    pages, facts = made("curl")
    assert set(pages) == {"lamp", "air-pump", "open"}
    page = pages["air-pump"]
    assert page.startswith(
        "# --air-pump\n\n`-a, --air-pump <cubic feet>`\n\nProtocols: HTTP FTPS\n\n(HTTP FTPS) Pumps air."
    )
    assert "\n\nIf -a, --air-pump is provided several times, the last set value will be used.\n\n" in page
    assert pages["open"].startswith("# --open\n\n`--open`\n\nOpens (Added in 7.70.0). Providing --open")
    assert "- fast: As fast as it goes.\n\nExample:\n\n```\ncurl --air-pump 3\n\n now\n```\n" in page
    assert told(facts, "--air-pump") == {
        "short form": "-a",
        "argument": "<cubic feet>",
        "protocols": "HTTP FTPS",
        "effect of repeating": "the last set value will be used",
        "mutually exclusive options": "--open, --tls1.2",
        "added in version": "7.64.1",
    }
    assert told(facts, "--open") == {
        "effect of repeating": "multiple times has no extra effect",
        "added in version": "7.1",
    }


@pytest.mark.parametrize("name", ["postfix", "css", "curl"])
def test_every_fact_is_valid_and_its_page_says_so(tmp_path: Path, name: str) -> None:
    """What a script writes is read without a remark, and each fact finds its line on the page that it names."""
    pages, rows = made(name)
    sys.modules["manuals"].write_manual(tmp_path, pages, rows)
    facts, remarks = read_facts(tmp_path / "facts.jsonl")
    assert facts == [Fact.model_validate_json(row.line()) for row in rows] and not remarks
    library = Library.build(read_corpus(tmp_path / "corpus"))
    known, dropped, lost, _ = find_evidence(facts, library)
    assert len(known) == len(facts) and not dropped and lost is None
    for item in known:
        chunk = library.chunk(item.hop.chunk)
        assert item.hop.quote in chunk.text and item.fact.entity in f"{chunk.title}\n{chunk.text}"


def test_a_manual_is_never_written_over(tmp_path: Path) -> None:
    pages, rows = made("curl")
    manuals = sys.modules["manuals"]
    assert "3 pages, 8 facts (" in manuals.write_manual(tmp_path / "new", pages, rows)
    with pytest.raises(SystemExit, match="holds a manual already: give a new folder"):
        manuals.write_manual(tmp_path / "new", pages, rows)
    with pytest.raises(SystemExit, match="no pages or no facts"):
        manuals.write_manual(tmp_path / "other", pages, [])
    assert not (tmp_path / "other").exists()


def test_files_come_out_of_an_npm_package(tmp_path: Path) -> None:
    script("css")
    npm_files = sys.modules["manuals"].npm_files
    package = tmp_path / "mdn-data-1.0.0.tgz"
    with tarfile.open(package, "w:gz") as archive:
        member = tarfile.TarInfo("package/css/properties.json")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"{}"))
    assert npm_files("mdn-data", ["css/properties.json"], package) == {"css/properties.json": b"{}"}
    with pytest.raises(SystemExit, match=r"is no package of mdn-data.*l10n.css.json.*`npm pack mdn-data`"):
        npm_files("mdn-data", ["l10n/css.json"], package)
    with pytest.raises(SystemExit, match="is no package of mdn-data"):
        npm_files("mdn-data", ["l10n/css.json"], tmp_path / "none.tgz")


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not on this machine")
def test_files_come_out_of_a_debian_package(tmp_path: Path) -> None:
    script("postfix")
    deb_file = sys.modules["manuals"].deb_file
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: lamp\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    )
    (tree / "usr").mkdir()
    (tree / "usr" / "manual.html").write_bytes(b"light")
    package = tmp_path / "lamp.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(package)], check=True, capture_output=True
    )
    assert deb_file("lamp", "usr/manual.html", package) == b"light"
    with pytest.raises(SystemExit, match="holds no usr/other.html: give the package lamp"):
        deb_file("lamp", "usr/other.html", package)
    with pytest.raises(SystemExit, match="no such file; `apt-get download lamp` brings one"):
        deb_file("lamp", "usr/manual.html", tmp_path / "none.deb")
    (tmp_path / "bad.deb").write_bytes(b"no package")
    with pytest.raises(SystemExit, match="give the Debian package lamp"):
        deb_file("lamp", "usr/manual.html", tmp_path / "bad.deb")


def test_a_script_says_what_it_needs() -> None:
    for name in ("postfix", "css", "curl", "nginx"):
        out = subprocess.run(
            [sys.executable, str(EXAMPLES / name / "prepare.py"), "--help"], capture_output=True, text=True, check=True
        )
        assert "folder that gets corpus/ and facts.jsonl" in out.stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.toml")), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_configuration_of_an_example_parses(path: Path) -> None:
    config = load_config(path)
    assert config.name
    if (path.parent / "prepare.py").exists() and "shared" not in path.read_text():
        assert 'manuals = "manual/corpus"' in path.read_text() and 'facts = "manual/facts.jsonl"' in path.read_text()


def test_readmes_of_examples_are_short_and_their_lines_name_files_that_are_there() -> None:
    root = EXAMPLES.parent
    for path in EXAMPLES.glob("*/README.md"):
        lines = path.read_text(encoding="utf-8").splitlines()
        if (path.parent / "prepare.py").exists():
            assert len(lines) <= 40, path
        for line in lines:
            words = line.split()
            if words[:1] == ["python"]:
                assert (root / words[1]).is_file() and words[2] == f"examples/{path.parent.name}/manual", line
            elif words[:2] == ["retort", "run"]:
                assert (root / words[2]).is_file(), line
            elif line.startswith("{"):
                Fact.model_validate(json.loads(line))
