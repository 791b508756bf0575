"""The standard library as a manual: what is in it, that it is the same everywhere, and that its facts are true."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agents.corpus.documents import Document
from agents.corpus.library import Library
from agents.corpus.sources import examples
from agents.corpus.sources.modules import load, public_modules
from agents.corpus.sources.signatures import scrub, signature_line, value_text
from agents.corpus.sources.stdlib import Manual, documents, facts, read_manual


@pytest.fixture(scope="module")
def manual() -> Manual:
    return read_manual()


@pytest.fixture(scope="module")
def pages(manual: Manual) -> dict[str, Document]:
    return {page.id: page for page in manual.documents}


def test_there_is_much_of_it(manual: Manual, pages: dict[str, Document]) -> None:
    assert len(pages) == len(manual.documents) > 4000
    assert len(manual.facts) > 3000
    assert {"str.rsplit", "json.dumps", "collections.OrderedDict", "os.path.join", "math.pi", "json"} <= pages.keys()
    assert not {name for name in pages if name.split(".")[0] in ("test", "idlelib", "antigravity", "this", "turtle")}


def test_a_page_has_signature_base_and_docstring(pages: dict[str, Document]) -> None:
    assert pages["str.rsplit"].text.startswith("# str.rsplit\n\nstr.rsplit(self, /, sep=None, maxsplit=-1)\n\n")
    assert pages["str.rsplit"].source == "python:builtins"
    assert "\nBase class: dict\n" in pages["collections.OrderedDict"].text
    assert "\nDefining module: json.decoder\n" in pages["json.JSONDecoder"].text
    assert "Serialize" in pages["json.dumps"].text
    assert "Value: 404" in pages["http.HTTPStatus.NOT_FOUND"].text


def test_facts_are_true_and_stand_on_their_pages(manual: Manual, pages: dict[str, Document]) -> None:
    import socketserver

    values = {(fact.entity, fact.attribute): fact.value for fact in manual.facts}
    assert values["str.rsplit", "default of `maxsplit`"] == "-1"
    assert values["json.dumps", "default of `sort_keys`"] == "False"
    assert values["collections.OrderedDict", "base class"] == "dict"
    poll = inspect.signature(socketserver.BaseServer.serve_forever).parameters["poll_interval"].default
    assert values["socketserver.BaseServer.serve_forever", "default of `poll_interval`"] == repr(poll)
    for fact in manual.facts:
        assert fact.quote is not None
        assert fact.quote in pages[fact.entity].text
        assert "\n" not in fact.quote
        assert fact.value in fact.quote


def test_nothing_of_this_machine_or_run(manual: Manual) -> None:
    home = str(Path("~").expanduser())
    for page in manual.documents:
        assert not re.search(r"at 0x[0-9a-f]", page.text), page.id
        for place in (sys.prefix, sys.executable, str(Path.cwd()), *([home] if len(home) > 4 else [])):
            assert place not in page.text, page.id


def test_headings_are_the_pages_own(manual: Manual) -> None:
    assert all(len(re.findall(r"^# ", page.text, re.MULTILINE)) == 1 for page in manual.documents)
    library = Library.build(manual.documents[:300])
    assert all(" > " not in chunk.title for chunk in library.chunks)


def test_a_fresh_interpreter_reads_the_same_whatever_the_environment() -> None:
    program = (
        "import hashlib, inspect; inspect.getfile = lambda o: None\n"
        "from agents.corpus.sources.stdlib import documents, facts\n"
        "rows = repr([*documents(), *facts()]).encode(); print(hashlib.sha256(rows).hexdigest())"
    )
    root = str(Path(__file__).resolve().parents[1])
    found = []
    for seed, home in (("1", "/nowhere"), ("7", "/elsewhere")):
        env = {"PATH": "/usr/bin", "PYTHONHASHSEED": seed, "HOME": home, "PYTHONPATH": root, "TERM": "dumb"}
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        found.append(done.stdout)
    assert found[0] == found[1]
    assert "inspect.getfile" in json.dumps([page.id for page in documents()])
    assert len(facts()) > 3000


def test_modules_that_fail_are_counted(manual: Manual) -> None:
    modules, failed = public_modules()
    assert len(modules) > 150
    assert tuple(failed) == manual.failed
    assert load("no_such_module_anywhere") is None


def test_values_as_text() -> None:
    import http
    import signal

    assert value_text(None) == "None"
    assert value_text("a\nb") == "'a\\nb'"
    assert value_text(object()) is None
    assert value_text("x" * 99) is None
    assert value_text((1, object())) is None
    assert value_text(dict) == "dict"
    assert value_text(http.HTTPStatus.OK) == "200"
    assert value_text(signal.SIGTERM) == "15"
    assert value_text(print) == "print"
    assert value_text(lambda: None) is None
    assert value_text({}) == "{}"
    assert scrub(f"<f at 0x7f00> {sys.prefix}/x") == "<f> .../x"


def test_signature_lines_keep_their_marks() -> None:
    def sample(a, /, b, *, c=object(), d="x", **more): ...  # type: ignore[no-untyped-def]  # noqa: B008

    assert signature_line("m.f", inspect.signature(sample)) == "m.f(a, /, b, *, c=..., d='x', **more)"
    assert signature_line("m.g", None) == "m.g"


def test_examples_are_put_on_one_line() -> None:
    text = "Mean.\n\n>>> mean([1, 2])\n1.5\n\n>>> x = 3\n>>> f(x)\nTraceback\n>>> g(1)\na\nb\n"
    joined = examples.on_one_line(text)
    assert ">>> mean([1, 2]) # 1.5" in joined
    assert ">>> g(1)\na\nb" in joined
    assert examples.examples(joined) == [(">>> mean([1, 2]) # 1.5", "mean([1, 2])", "1.5")]
    assert examples.qualified("mean([1, 2])", "statistics.mean") == "statistics.mean([1, 2])"
    assert examples.qualified("mean(data)", "statistics.mean") is None
    assert examples.qualified("'a'.upper()", "str.upper") == "'a'.upper()"
    assert examples.qualified("other(1)", "statistics.mean") is None


def test_no_example_touches_files_or_processes(manual: Manual) -> None:
    shown = {fact.entity for fact in manual.facts if fact.family == "example"}
    assert len(shown) > 10
    assert not {
        name for name in shown if name.split(".")[0] in ("subprocess", "os", "shutil", "socket") and "path" not in name
    }
