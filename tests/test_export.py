"""`retort export`: the dataset of a run as a folder that other tools read, with its card, and nothing overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.errors import FolderError, StageError
from agents.files import read_json, read_jsonl, write_json, write_jsonl
from retort.cli import main
from retort.export import export


def test_an_export_holds_the_rows_of_the_dataset(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = copied / "run", tmp_path / "out"
    episode = read_jsonl(run / "kept.jsonl")[0]
    write_jsonl(run / "dropped.jsonl", [{"reason": "wrong", **episode}])
    made = read_json(run / "dataset.json", "dataset")
    write_json(run / "dataset.json", {**made, "dropped": 1, "reasons": {"wrong": 1}})
    assert main(["export", str(run), str(out), "--dropped", "--pages"]) == 0
    counts = read_json(run / "dataset.json", "dataset")
    assert f"{counts['kept']} rows of sft" in capsys.readouterr().out
    rows = read_jsonl(out / "sft.jsonl")
    assert [{k: row[k] for k in ("messages", "tools", "key", "task_id")} for row in rows] == read_jsonl(
        run / "data" / "sft.jsonl"
    )
    assert {row["level"] for row in rows} <= {"engineer", "professional", "consultant"}
    left = read_jsonl(out / "dropped.jsonl")
    assert len(left) == counts["dropped"] > 0
    assert {row["reason"] for row in left} == set(counts["reasons"])
    assert all(set(row) == {"messages", "tools", "key", "task_id", "level", "kind", "reason"} for row in left)
    assert len(read_jsonl(out / "cpt.jsonl")) == counts["cpt_chunks"]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nconfigs:\n- config_name: sft\n  data_files: sft.jsonl\n")
    assert f"{counts['kept']} kept + {counts['dropped']} dropped" in card
    assert all(f"`{reason}`" in card for reason in counts["reasons"])


def test_kept_rows_alone_are_exported_unless_more_is_asked_for(whole: Path, tmp_path: Path) -> None:
    export(whole / "run", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == {"README.md", "sft.jsonl"}


def test_sharegpt_tells_tools_and_calls_as_text(whole: Path, tmp_path: Path) -> None:
    export(whole / "run", tmp_path / "out", "sharegpt")
    row = read_jsonl(tmp_path / "out" / "sft.jsonl")[0]
    said = row["conversations"]
    assert [each["from"] for each in said][:4] == ["system", "human", "gpt", "tool"]
    assert set(said[0]) == {"from", "value"}
    assert "<tools>" in said[0]["value"]
    assert '<tool_call>\n{"name": "search"' in said[2]["value"]
    call = said[2]["value"].partition("<tool_call>")[2].partition("</tool_call>")[0]
    assert json.loads(call)["arguments"]["query"]
    assert said[3]["value"].startswith("<tool_response>")
    assert "messages" not in row


@pytest.mark.parametrize("form", ["messages", "parquet", "hf"])
def test_datasets_reads_back_what_was_exported(form: str, whole: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export(whole / "run", tmp_path / "out", form, dropped=True)  # type: ignore[arg-type]
    place, cache = tmp_path / "out", str(tmp_path / "cache")
    if form == "messages":
        table = datasets.load_dataset("json", data_files=str(place / "sft.jsonl"), split="train", cache_dir=cache)
    elif form == "parquet":
        table = datasets.Dataset.from_parquet(str(place / "sft.parquet"), cache_dir=cache)
    else:
        table = datasets.load_from_disk(str(place / "sft"))
    wanted = read_jsonl(whole / "run" / "data" / "sft.jsonl")
    assert [row["messages"] for row in table] == [row["messages"] for row in wanted]
    assert [row["tools"] for row in table] == [row["tools"] for row in wanted]
    if form != "messages":
        assert not list(place.glob("*.jsonl"))


def test_the_exported_messages_are_rows_that_training_takes(whole: Path, tmp_path: Path) -> None:
    """TRL's own check of a conversational dataset, on the file."""
    trl = pytest.importorskip("trl.data_utils")
    export(whole / "run", tmp_path / "out")
    assert all(trl.is_conversational(row) for row in read_jsonl(tmp_path / "out" / "sft.jsonl"))


def test_a_folder_that_no_export_made_stays_as_it_is(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("words", encoding="utf-8")
    with pytest.raises(FolderError, match=r"not made by `retort export`"):
        export(whole / "run", out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    export(whole / "run", tmp_path / "again")
    export(whole / "run", tmp_path / "again", "sharegpt")
    assert "conversations" in (tmp_path / "again" / "sft.jsonl").read_text(encoding="utf-8")


def test_a_run_without_a_dataset_says_which_stage_makes_it(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no run folder"):
        export(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "run.toml").write_text('name = "x"', encoding="utf-8")
    with pytest.raises(StageError, match="`retort dataset .*` makes it"):
        export(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_broken_file_of_the_run_is_named_with_what_makes_it(copied: Path, tmp_path: Path) -> None:
    for name in ("data/sft.jsonl", "exam.jsonl"):
        path = copied / "run" / name
        text = path.read_text(encoding="utf-8")
        path.write_text(text + '{"messages": [\n', encoding="utf-8")
        with pytest.raises(StageError, match=rf"{name.rpartition('/')[2]}, line \d+: .*retort"):
            export(copied / "run", tmp_path / "out")
        path.write_text(text, encoding="utf-8")
    assert not (tmp_path / "out").exists()
