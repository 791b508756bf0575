"""The table of bad inputs, second part: facts, pages, command lines, folders, and the files of a run."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_inputs import BASE, CONFIG, LONG, Bad

GOOD = {"entity": "heater_delay", "attribute": "default", "value": "5ms", "source": "manual/heater.md"}


def line(name: str, text: str | bytes, said: str) -> Bad:
    """A fourth line of the facts that is none: the index says so, and goes on without it."""

    def make(root: Path) -> None:
        with (root / "facts.jsonl").open("ab") as stream:
            stream.write((text if isinstance(text, bytes) else text.encode()) + b"\n")

    return Bad(f"facts: {name}", make, f"facts.jsonl, line 4: {said}", status=0)


def fact(name: str, said: str, **changes: Any) -> Bad:
    """A fourth line with other values; `...` takes a key out."""
    row = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    return line(name, json.dumps(row), said)


def facts(name: str, content: bytes, said: str) -> Bad:
    """All of the facts, of which nothing can be made."""

    def make(root: Path) -> None:
        (root / "facts.jsonl").write_bytes(content)

    def mend(root: Path) -> None:
        (root / "facts.jsonl").write_text(json.dumps(GOOD) + "\n")

    return Bad(f"facts: {name}", make, said, mend=mend)


FACTS = [
    fact("no entity", "entity: Field required", entity=...),
    fact("a slip in a key", "entity: Field required ('entty' is no key of a fact)", entity=..., entty="x"),
    fact("an empty entity", "entity: String should have at least 1 character", entity=""),
    fact("a blank entity", "entity: it is blank", entity=" "),
    fact("an entity of two lines", "entity: it holds a line break or a NUL", entity="a\nb"),
    fact("a NUL in an entity", "entity: it holds a line break or a NUL", entity="a\0b"),
    fact("a long entity", "entity: String should have at most 300 characters", entity=LONG),
    fact("a number for an entity", "entity: Input should be a valid string", entity=3),
    fact("no attribute", "attribute: Field required", attribute=...),
    fact("a blank attribute", "attribute: it is blank", attribute="\t"),
    fact("a list for an attribute", "attribute: Input should be a valid string", attribute=["a"]),
    fact("no value", "value: Field required", value=...),
    fact("a null value", "value: Input should be a valid string", value=None),
    fact("a number for a value", "value: Input should be a valid string", value=5),
    fact("an empty value", "value: String should have at least 1 character", value=""),
    fact("no source", "source: Field required", source=...),
    fact("a long source", "source: String should have at most 4000 characters", source=LONG),
    fact("an object for a section", "section: Input should be a valid string", section={}),
    fact("true for a module", "module: Input should be a valid string", module=True),
    fact("a number for a quote", "quote: Input should be a valid string", quote=1.5),
    fact("a list for a group", "group: Input should be a valid string", group=[]),
    fact("a number for a family", "family: Input should be a valid string", family=0),
    line("a key twice", '{"entity": "a", "entity": "b"}', "the key 'entity' stands in it twice"),
    line("half a line", '{"entity": "a", ', "not JSON ("),
    line("a list", "[1]", "a JSON list where an object is expected"),
    line("a bare word", "entity", "not JSON ("),
    line("a line nested too deeply", "[" * 50_000, "not JSON of a fact (nested too deeply)"),
    line("a line in Latin-1", b'{"entity": "\xfc"}', "not UTF-8"),
    line("a lone surrogate", '{"entity": "\\ud800"}', "entity: "),
    facts("an empty file", b"", "facts.jsonl' holds no fact; docs/your-own-manual.md shows one"),
    facts("no line that is a fact", b"{}\n", "holds no fact: line 1: entity: Field required"),
    facts("a file in UTF-16", json.dumps(GOOD).encode("utf-16"), "is UTF-16: save it as UTF-8"),
    facts("a CSV file", b"entity,attribute,value\na,b,c\n", "holds no fact: line 1: not JSON"),
]


def page(name: str, file: str, content: bytes, said: str) -> Bad:
    """A file of the corpus that is not read: the index says so, and goes on without it."""

    def make(root: Path) -> None:
        (root / "manual" / file).write_bytes(content)

    return Bad(f"corpus: {name}", make, said, status=0)


def corpus(name: str, make: Callable[[Path], None], said: str, status: int = 0) -> Bad:
    """Another state of the corpus."""
    return Bad(f"corpus: {name}" if status else name, make, said, status=status)


def only(file: str, content: bytes) -> Callable[[Path], None]:
    """A corpus of one file, or of none."""

    def make(root: Path) -> None:
        (root / "manual" / "heater.md").unlink()
        if file:
            (root / "manual" / file).write_bytes(content)

    return make


def out(root: Path) -> None:
    """A link out of the corpus."""
    (root / "secret").write_text("mine")
    (root / "manual" / "secret.md").symlink_to(root / "secret")


PAGES = [
    page("a PDF", "a.pdf", b"%PDF", "1 file: a .pdf file is no page"),
    page("a file without a suffix", "NOTES", b"x", "1 file: a file without a suffix is no page"),
    page("a binary page", "a.md", b"# a\n\0\x01", "1 file: binary: it holds NUL characters"),
    page("a page in Latin-1", "a.md", b"K\xfchl", "invalid"),
    page("a blank page", "a.md", b" \n", "1 file: empty"),
    Bad("corpus: a page of 33 MB", lambda root: os.truncate(touched(root / "manual" / "a.md"), 33_000_000),
        "1 file: larger than 32 MB; cut it into pages", status=0),
    corpus("a link to a file out of the corpus", out, "1 file: a link out of the corpus folder, to "),
    corpus("a link to a folder out of the corpus", lambda root: (root / "manual" / "all").symlink_to(root),
           "1 file: a link out of the corpus folder, to "),
    corpus("a link in a circle", lambda root: (root / "manual" / "a.md").symlink_to("a.md"), "leads nowhere"),
    corpus("a link that leads nowhere", lambda root: (root / "manual" / "a.md").symlink_to("b.md"), "leads nowhere"),
    corpus("no page at all", only("", b""), "holds no readable .md, .txt, .rst, .html, .htm, .docx, ", 2),
    corpus("PDFs alone", only("a.pdf", b"x"), "1 could not be read, the first: a.pdf: a .pdf file is no page", 2),
    corpus("one page without text", only("a.html", b"<html></html>"), "the first: a.html: empty", 2),
    corpus("a heading alone", only("a.md", b"# A\n"), "no document holds any text", 2),
]  # fmt: skip


def touched(path: Path) -> Path:
    """An empty file."""
    path.touch()
    return path


def words(name: str, said: str, *line: str, then: tuple[str, ...] | None = None, make: Any = None) -> Bad:
    """A bad command line, and one that does what was wanted."""
    return Bad(name, make or (lambda root: None), said, line=line, then=(then,) if then else ())


def file_in_the_way(root: Path) -> None:
    """A file and a folder with a file, where folders are to be made."""
    (root / "file").write_text("mine")
    (root / "thesis").mkdir()
    (root / "thesis" / "chapter.tex").write_text("mine")
    (root / "circle").symlink_to(root / "circle")


RUN = ("index", "{root}/run.toml", "--run")
PLACED = (*RUN, "{root}/made")
NEW = ("new", "{root}/made")
THERE = "give a folder that is not there yet"
FOLDERS = [
    words("no command of that name", "invalid choice: 'rnu'", "rnu", "{root}", then=CONFIG),
    words("an unknown option", "unrecognized arguments: --frce", "index", "{root}/run.toml", "--frce",
          then=(*CONFIG, "--force")),
    words("no config", "the following arguments are required: CONFIG", "index", then=CONFIG),
    words("--pilot -3", "'-3' is no whole number from 1 to 1,000,000", "plan", "{root}/run.toml", "--pilot", "-3"),
    words("--pilot 0", "'0' is no whole number", "plan", "{root}/run.toml", "--pilot", "0"),
    words("--pilot 1.5", "'1.5' is no whole number", "plan", "{root}/run.toml", "--pilot", "1.5"),
    words("--pilot many", "'many' is no whole number", "plan", "{root}/run.toml", "--pilot", "many"),
    words("--pilot of 30 digits", "is no whole number", "plan", "{root}/run.toml", "--pilot", "9" * 30),
    words("--seconds 0", "'0' is no number of seconds above 0", "doctor", "{root}/run.toml", "--seconds", "0"),
    words("--seconds nan", "'nan' is no number of seconds", "doctor", "{root}/run.toml", "--seconds", "nan"),
    words("--seconds inf", "'inf' is no number of seconds", "doctor", "{root}/run.toml", "--seconds", "inf"),
    words("--port 0", "'0' is no port: give a number from 1 to 65535", "studio", "{root}", "--port", "0"),
    words("--port 99999", "'99999' is no port", "studio", "{root}", "--port", "99999"),
    words("--split train", "invalid choice: 'train'", "run", "{root}/run.toml", "--split", "train"),
    words("--mode walk", "invalid choice: 'walk'", "ask", "{root}", "q", "--mode", "walk"),
    words("an empty path", "'' is no path", "index", "", then=CONFIG),
    words("a path too long", "is too long for a path: 255 bytes a name", "index", LONG, then=CONFIG),
    words("a config that is not there", "`retort new DIR` writes a commented run.toml", "index", "{root}/none.toml",
          then=NEW),
    words("a config folder without a run.toml", "manual/run.toml' is not there: `retort new DIR`", "index",
          "{root}/manual", then=NEW),
    words("a page for a config", "heater.md is not TOML", "index", "{root}/manual/heater.md", then=CONFIG),
    words("a device for a config", "cannot be read", "index", "/proc/self/mem", then=CONFIG),
    words("--run is a file", THERE, *RUN, "{root}/file", make=file_in_the_way, then=PLACED),
    words("--run under a file", THERE, *RUN, "{root}/file/run", make=file_in_the_way, then=PLACED),
    words("--run is occupied", "'chapter.tex', which stays as it is", *RUN, "{root}/thesis", make=file_in_the_way,
          then=PLACED),
    words("--run is the config's folder", "is the folder of the config, which stays as it is", *RUN, "{root}",
          then=CONFIG),
    words("--run is a link in a circle", "its symbolic links lead in a circle", *RUN, "{root}/circle",
          make=file_in_the_way, then=PLACED),
    words("--run under /proc", "/proc/run", *RUN, "/proc/run", then=PLACED),
    words("--run too long", "is too long for a path", *RUN, "{root}/" + LONG, then=PLACED),
    words("new on a file", THERE, "new", "{root}/file", make=file_in_the_way, then=NEW),
    words("new on an occupied folder", "'chapter.tex' already, which stays as it is", "new", "{root}/thesis",
          make=file_in_the_way, then=NEW),
    words("new on a config folder", "'run.toml' already, which stays as it is", "new", "{root}", then=NEW),
    words("new under /proc", "no folder can be made there", "new", "/proc/mine", then=NEW),
    words("merge of a folder that is not there", "no model folder", "merge", "{root}/none", "{root}/made"),
    words("merge of a folder without a model", "it is no model folder", "merge", "{root}/manual", "{root}/made"),
    words("merge of a full model", "is a full model already", "merge", "tiny-base", "{root}/made"),
    words("show of a folder that is not there", "is no run folder", "show", "{root}/none"),
    words("show before the leaderboard", "leaderboard.json is not there: ", "show", "{root}/made", make=lambda root:
          (root / "made").mkdir()),
    words("show of a folder that is no run", "is no run folder", "show", "{root}/run.toml"),
    words("ask of a folder that is no run", "`retort run CONFIG` makes one", "ask", "{root}/manual", "q"),
    words("studio of a folder that is no run", "`retort run CONFIG` makes one", "studio", "{root}/manual"),
    words("a stage before the one that it reads", "run it first, `retort index {root}/runs/kettle`", "exam",
          "{root}/run.toml", then=CONFIG),
    words("a team that there is not", "there are base, cpt, student, teacher", "ask", "{root}/made", "q", "--team",
          "x", make=lambda root: main_quietly(root)),
]  # fmt: skip


def main_quietly(root: Path) -> None:
    """A run with its index, in `made`."""
    from retort.cli import main

    assert main(["index", str(root / "run.toml"), "--run", str(root / "made")]) == 0


def half(data: bytes) -> bytes:
    """The first half of a file."""
    return data[: len(data) // 2]


def spoilt(file: str, how: str, change: Callable[[bytes], bytes | None], said: str, *line: str, then: str = "") -> Bad:
    """A file of a run folder, and the command that the sentence names: a stage of the run."""

    def make(root: Path) -> None:
        path = root / "run" / file
        changed = change(path.read_bytes())
        path.unlink()
        if changed is not None:
            path.write_bytes(changed)

    command = (then, "{root}/run")
    if then:
        said = f"{said}`retort {then} {{root}}/run` makes it"
    # A student of two steps and a demonstrator without the question answer nothing: the stage after it is asked.
    check = ("collect", "{root}/run") if line[0] == "ask" else line
    return Bad(f"{file}: {how}", make, said, line=line, then=(command, check) if then else (), whole=True)


def without(key: str) -> Callable[[bytes], bytes]:
    """A JSON object without one of its keys, or such a first row."""

    def change(data: bytes) -> bytes:
        row = json.loads(data if data.count(b"\n") > 5 and data[:2] == b"{\n" else data.splitlines()[0])
        del row[key]
        return json.dumps(row).encode()

    return change


def nothing(data: bytes) -> bytes:
    """An empty file."""
    return b""


def of(content: bytes) -> Callable[[bytes], bytes]:
    """Another content."""
    return lambda data: content


def gone(data: bytes) -> None:
    """No file."""


def broken_row(root: Path) -> None:
    """An episode of the ledger that is none."""
    with sqlite3.connect(root / "run" / "ledger.sqlite") as db:
        db.execute("UPDATE trajectories SET json = '{\"key\": 3}' WHERE rowid = 1")


SHOW, ASK = ("show", "{root}/run"), ("ask", "{root}/run", "What is the default of `heater_limit`?")
TEACHER, PLAN = (*ASK, "--team", "teacher"), ("plan", "{root}/run")
BOARD = "leaderboard"
RUNS = [
    spoilt("leaderboard.json", "truncated", half, "is not JSON (", *SHOW),
    spoilt("leaderboard.json", "empty", nothing, "is not JSON (Expecting value: line 1 column 1 (char 0)): ", *SHOW,
           then=BOARD),
    spoilt("leaderboard.json", "a list", of(b"[1]"), "is no Leaderboard (Input should be a valid dictionary or", *SHOW),
    spoilt("leaderboard.json", "without a key", without("rows"), "is no Leaderboard (rows: Field required): ", *SHOW,
           then=BOARD),
    spoilt("leaderboard.json", "binary", of(b"\xff\xfe\0"), "is not UTF-8 (invalid start byte): ", *SHOW, then=BOARD),
    spoilt("leaderboard.json", "absent", gone, "is not there: ", *SHOW, then=BOARD),
    spoilt("leaderboard_notes.json", "an object", of(b"{}"), "is no JSON list: ", *SHOW, then=BOARD),
    spoilt("exam.jsonl", "truncated", half, "not JSON (", *PLAN),
    spoilt("exam.jsonl", "a list", of(b"[1]\n"), "line 1: a JSON list where an object is expected: ", *PLAN,
           then="exam"),
    spoilt("exam.jsonl", "without a key", without("gold"), "row 1 is no Task (gold: Field required): ", *PLAN,
           then="exam"),
    spoilt("held_out.json", "empty, for the dataset", nothing, "`retort collect {root}/run`", "dataset", "{root}/run"),
    spoilt("stages.json", "truncated", half, "which is missing: run it first", BOARD, "{root}/run"),
    spoilt("stages.json", "of other types", of(b'{"evaluate": {"parts": {}, "made": {"a": 3}}}'),
           "which is stale (was done by another version of Retort)", BOARD, "{root}/run"),
    spoilt("ledger.sqlite", "no database", of(b"x" * 5000), "cannot be read as a ledger", *SHOW, "aa"),
    spoilt("library/chunks.jsonl", "truncated", half, "not JSON (", *TEACHER),
    spoilt("library/chunks.jsonl", "empty", nothing, "is broken or of another version: ", *TEACHER, then="index"),
    spoilt("library/library.json", "absent", gone, "is not there: ", *TEACHER, then="index"),
    spoilt("library/library.json", "a list", of(b"[]"), "is broken or of another version: ", *TEACHER, then="index"),
    spoilt("library/index/vocab.index.json", "truncated", half, "cannot be read (", *TEACHER),
    spoilt("library/index/data.csc.index.npy", "empty", nothing, "cannot be read (", *TEACHER),
    spoilt("scores/student.trajectories.jsonl", "truncated", half, "is not what the stage made): run it first", BOARD,
           "{root}/run"),
    spoilt("run.toml", "truncated", of(b"name = "), "`retort run {root}/run.toml --run {root}/run` writes it anew",
           "index", "{root}/run"),
    spoilt("run.toml", "empty", nothing, "is empty: ", "index", "{root}/run"),
    spoilt("run.toml", "absent", gone, "`retort run {root}/run.toml --run {root}/run` writes it anew", "index",
           "{root}/run"),
    spoilt("students/sft/model.safetensors", "truncated", half, "no model can be opened from '{root}/run/students/sft' "
           "(Error while deserializing header: incomplete metadata, file not fully covered): ", *ASK, then="train"),
    spoilt("students/sft/model.safetensors", "empty", nothing, "no model can be opened from", *ASK),
    spoilt("students/sft/model.safetensors", "absent", gone, "no model can be opened from", *ASK),
    spoilt("students/sft/config.json", "absent", gone, "so it is no model folder: `retort train", *ASK),
    spoilt("students/sft/config.json", "truncated", half, "no tokenizer in", *ASK),
    spoilt("students/sft/tokenizer.json", "absent", gone, "no tokenizer in", *ASK),
    spoilt("students/sft/tokenizer.json", "truncated", half, "no tokenizer in", *ASK),
    Bad("ledger.sqlite: a broken row", broken_row, "`retort collect --force {root}/run` sets it aside and plays it",
        line=(*SHOW, "aa"), then=(("collect", "{root}/run", "--force"),), whole=True),
]  # fmt: skip
MARKED = b"\xef\xbb\xbf" + BASE.encode()
BOM = Bad("a byte order mark in run.toml", lambda root: (root / "run.toml").write_bytes(MARKED), "library", status=0)
ROWS = [*FACTS, *PAGES, *FOLDERS, *RUNS, BOM]
