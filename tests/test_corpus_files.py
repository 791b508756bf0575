"""What of manuals and facts is not read is refused or listed by name: links, other files, broken and double facts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import little
import pytest
from kettle_run import folder_of

from agents.corpus import documents as corpus
from agents.corpus.documents import pages, scan
from agents.corpus.facts import Fact, read_facts
from agents.errors import CorpusError, ExamError
from distill.exam.build import ExamConfig, build_exam
from retort.cli import main


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_link_out_of_the_corpus_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "id_rsa.md"
    secret.write_text("# Key\n\nprivate\n")
    folder = tmp_path / "manual"
    (folder / "deep").mkdir(parents=True)
    (folder / "one.md").write_text("# One\n\ntext\n")
    (folder / "deep" / "again.md").symlink_to(folder / "one.md")
    (folder / "key.md").symlink_to(secret)
    (folder / "away.md").symlink_to(Path("..") / "id_rsa.md")
    (folder / "gone.md").symlink_to(tmp_path / "gone.md")
    (folder / "circle.md").symlink_to(folder / "circle.md")
    (folder / "all").symlink_to(tmp_path)
    (folder / "within").symlink_to(folder / "deep")
    os.mkfifo(folder / "pipe.md")
    documents, skipped = scan(folder)
    assert [document.source for document in documents] == ["deep/again.md", "one.md"]
    reasons = dict(skipped)
    assert set(reasons) == {"all", "away.md", "circle.md", "gone.md", "key.md", "pipe.md", "within"}
    for name in ("all", "away.md", "key.md"):
        assert "a link out of the corpus folder" in reasons[name]
    assert "leads nowhere" in reasons["gone.md"]
    assert "leads nowhere" in reasons["circle.md"]
    assert "pipe" in reasons["pipe.md"]


def test_files_that_are_no_page_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path)
    (root / "manual" / "appendix.pdf").write_bytes(b"%PDF")
    (root / "manual" / "deep").mkdir()
    (root / "manual" / "deep" / "NOTES").write_text("x")
    (root / "manual" / "nul.md").write_bytes(b"# a\n\0\n")
    (root / "manual" / os.fsdecode(b"b\xff.md")).write_text("x")
    assert main(["index", str(root)]) == 0
    said = capsys.readouterr().err
    assert (
        "1 file: a .pdf file is no page; pages are .md, .txt, .rst, .html, .htm, .docx, .pptx, .xlsx, .epub, .1 to .9"
        in said
    )
    assert "4 files not read" in said
    listed = root / "runs" / "kettle" / "skipped.jsonl"
    assert str(listed) in said
    assert {row["file"] for row in rows(listed)} == {"appendix.pdf", "deep/NOTES", "nul.md", "b\\udcff.md"}


def test_a_page_that_is_too_large_is_listed(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("# One\n\ntext\n")
    with (tmp_path / "large.md").open("wb") as stream:
        stream.truncate(corpus.MAX_BYTES + 1)
    found, skipped = pages(tmp_path)
    assert [path.name for path in found] == ["one.md"]
    assert skipped == [("large.md", "larger than 32 MB; cut it into pages")]


def test_a_corpus_without_a_page_says_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_text("x")
    with pytest.raises(CorpusError, match=r"1 could not be read, the first: a\.pdf: a \.pdf file is no page"):
        scan(tmp_path)
    with pytest.raises(CorpusError, match="is no folder"):
        scan(tmp_path / "a.pdf")


def fact(**changes: Any) -> str:
    """A line of facts.jsonl."""
    row = {"entity": "heater_limit", "attribute": "default", "value": "3", "source": "manual/heater.md"}
    return json.dumps({**row, **changes})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (fact(entity=" "), "entity: it is blank"),
        (fact(attribute="\t"), "attribute: it is blank"),
        (fact(entity="a\nb"), "entity: it holds a line break or a NUL"),
        (fact(entity="a\0b"), "entity: it holds a line break or a NUL"),
        (fact(entity="x" * 301), "entity: String should have at most 300 characters"),
        (fact(value=3), "value: Input should be a valid string"),
        (fact(value=""), "value: String should have at least 1 character"),
        (fact(source=None), "source: Input should be a valid string"),
        (fact(module=["a"]), "module: Input should be a valid string"),
        ('{"entity": "a", "entity": "b"}', "the key 'entity' stands in it twice"),
        ('{"entty": "a"}', "entity: Field required ('entty' is no key of a fact)"),
        ("[" * 100_000, "not JSON of a fact (nested too deeply)"),
        ('{"entity": "\\ud800"}', "entity:"),
        ("17", "a JSON int where an object is expected"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text(f"{fact()}\n{line}\n", encoding="utf-8")
    facts, remarks = read_facts(path)
    assert len(facts) == 1
    assert [remark.line for remark in remarks] == [2]
    assert remarks[0].reason.startswith(said)


def test_an_unknown_key_is_counted_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path)
    lines = [json.loads(line) for line in (root / "facts.jsonl").read_text().splitlines()]
    for line in lines[:3]:
        line["sektion"] = line.pop("section")
    (root / "facts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["index", str(root)]) == 0
    said = capsys.readouterr().err
    assert "facts.jsonl, 3 lines: the unknown key \"sektion\" is passed over; did you mean 'section'?" in said
    assert "216 facts" in said
    assert [row["line"] for row in rows(root / "runs" / "kettle" / "skipped.jsonl")] == [1, 2, 3]


def test_facts_that_ask_nothing_are_listed_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A contradiction, a blank value, a huge one and a broken line; none of them is asked, or an option."""
    root = folder_of(tmp_path)
    place = {"source": "manual/heater.md", "section": "`heater_limit`", "module": "heater"}
    bad = [
        {"entity": "heater_limit", "attribute": "Default", "value": "99", **place},
        {"entity": "heater_limit", "attribute": "note", "value": " ", **place},
        {"entity": "heater_limit", "attribute": "text", "value": "x" * 100_000, **place},
    ]
    page = root / "manual" / "heater.md"
    page.write_text(page.read_text().replace("Default: 3\n", "Default: 3\n\nDefault: 99\n", 1))
    with (root / "facts.jsonl").open("a") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in bad) + "{\n")
    for stage in ("index", "exam"):
        assert main([stage, str(root)]) == 0
    said = capsys.readouterr().err
    run = root / "runs" / "kettle"
    assert "4 of 219 facts ask nothing; why, by name:" in said
    listed = rows(run / "facts_rejected.jsonl")
    assert [(row.get("line"), row["reason"]) for row in listed] == [
        (220, "not JSON (Expecting property name enclosed in double quotes)"),
        (None, "the value is blank"),
        (None, "the value is longer than 200 characters"),
        (None, "two values of one attribute"),
        (None, "two values of one attribute"),
    ]
    assert {row["attribute"] for row in listed[3:]} == {"default", "Default"}
    tasks = rows(run / "exam.jsonl")
    assert tasks
    for task in tasks:
        assert all(option.strip() and len(option) < 1000 for option in (task["gold"], *task["options"]))
        assert not (task["gold"] == "3" and "heater_limit" in task["question"] and "default" in task["question"])


def test_how_many_facts_an_exam_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path)
    text = (root / "run.toml").read_text().replace("train = 60", "train = 6000")
    (root / "run.toml").write_text(text)
    for stage in ("index", "exam"):
        assert main([stage, str(root)]) == 0
    said = capsys.readouterr().err
    assert "6000 training and 40 test questions need about" in said
    assert "usable facts; there are 216" in said
    facts, _ = read_facts(root / "facts.jsonl")
    with pytest.raises(ExamError, match=r"of 3 usable facts.*: at least \d+ need about \d+ facts, so give more"):
        build_exam(facts[:3], little.library(), ExamConfig(least_test=10))


def test_shares_of_more_than_one_exam_are_refused() -> None:
    with pytest.raises(ValueError, match=r"make them sum to 1 \(now 3\)"):
        ExamConfig(engineer=1.0, professional=1.0, consultant=1.0)
    facts = [Fact.model_validate(json.loads(fact()))]
    assert facts[0].kin == "default"
    made = ExamConfig(engineer=1.0, professional=0.0, consultant=0.0, train=20, test=10, dev=0)
    root_facts = [Fact(entity=row["entity"], attribute="default", value=row["default"], source=f"{row['module']}.md")
                  for row in little.settings()]  # fmt: skip
    exam = build_exam(root_facts, little.library(), made)
    assert sum(task.split == "train" for task in exam.tasks) <= 20
    assert sum(task.split == "test" for task in exam.tasks) <= 10


def test_an_unreadable_facts_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text(fact(), encoding="utf-16")
    with pytest.raises(ExamError, match="is UTF-16: save it as UTF-8"):
        read_facts(path)
    path.write_text(fact(), encoding="utf-8-sig")
    assert len(read_facts(path)[0]) == 1
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ExamError, match="it is no file"):
        read_facts(path)
