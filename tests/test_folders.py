"""Folders that commands write: made new or refused; what a command did not make is not changed by a byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from agents.errors import FolderError
from agents.folders import RECORD, contents, made_folder, refuse_foreign, refuse_occupied
from agents.models.bases import tiny_base
from retort.cli import main


def snapshot(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of every file in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made(folder: Path, text: str = "one", by: str = "export") -> Path:
    """A folder as a command makes it."""
    with made_folder(folder, by) as fresh:
        (fresh / "deep").mkdir()
        (fresh / "deep" / "a.txt").write_text(text)
    return folder


def test_a_folder_that_is_not_there_or_empty_is_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty", "deep/new"):
        assert (made(tmp_path / name) / "deep" / "a.txt").read_text() == "one"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["deep", "empty", "new"], "nothing else is left"


def test_what_the_command_made_is_replaced_by_the_same_command_alone(tmp_path: Path) -> None:
    out = made(tmp_path / "out")
    assert (made(out, "two") / "deep" / "a.txt").read_text() == "two"
    before = snapshot(out)
    with pytest.raises(FolderError, match="was changed since `retort merge` made it"):
        made(out, "three", by="merge")
    assert snapshot(out) == before


@pytest.mark.parametrize("change", ["added", "edited", "removed", "link", "record"])
def test_a_folder_that_somebody_changed_is_refused(tmp_path: Path, change: str) -> None:
    out = made(tmp_path / "out")
    if change == "added":
        (out / "mine.txt").write_text("mine")
    elif change == "edited":
        (out / "deep" / "a.txt").write_text("mine")
    elif change == "removed":
        (out / "deep" / "a.txt").unlink()
    elif change == "link":
        (out / "there").symlink_to(tmp_path)
    else:
        (out / RECORD).write_text("[]")
    before = snapshot(out)
    with pytest.raises(FolderError, match=r"stays as it is: give a folder that is not there yet"):
        made(out, "two")
    assert snapshot(out) == before
    assert made(tmp_path / "other", "two"), "the next step works"


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    out = made(tmp_path / "out")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="half-way"), made_folder(out, "export") as fresh:
        (fresh / "b.txt").write_text("half")
        raise ValueError("half-way")
    assert snapshot(tmp_path) == before


def test_what_appears_while_the_command_works_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(FolderError, match="mine.txt"), made_folder(out, "export") as fresh:
        (fresh / "b.txt").write_text("ours")
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    assert snapshot(tmp_path) == {"out/mine.txt": b"mine"}


def test_places_that_can_hold_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    places = {
        tmp_path / "file": "a file stands where a folder is needed",
        tmp_path / "file" / "under": "a file stands where a folder is needed",
        tmp_path / ("x" * 300): "too long",
        tmp_path / "circle": "circle",
        Path("/proc/retort-out"): "no folder can be made there",
        Path(f"{tmp_path}/a\0b"): "null",
    }
    for place, said in places.items():
        with pytest.raises(FolderError, match=said) as caught:
            made(place)
        assert str(place)[:100] in str(caught.value).replace("\\x00", "\0")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["circle", "file"]


def test_an_occupied_folder_is_refused_whoever_made_it(tmp_path: Path) -> None:
    refuse_occupied(tmp_path / "absent")
    refuse_occupied(tmp_path)
    with pytest.raises(FolderError, match="'deep' already"):
        refuse_occupied(made(tmp_path / "out"))
    refuse_foreign(tmp_path / "out", "export")
    assert contents(tmp_path / "out").keys() == {"deep/a.txt"}


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter over the tiny base."""
    import peft
    from transformers import AutoModelForCausalLM

    from finetune.trainer import quiet_libraries

    folder = tmp_path_factory.mktemp("adapters") / "student"
    with quiet_libraries():
        base: Any = AutoModelForCausalLM.from_pretrained(tiny_base())
        config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
        peft.get_peft_model(base, config).save_pretrained(folder)
    return folder


def test_merge_writes_into_no_folder_that_it_did_not_make(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    before, adapter = snapshot(tmp_path), snapshot(student)
    for out in (tmp_path / "thesis", student, student / "merged", student.parent):
        assert main(["merge", str(student), str(out)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert repr(str(out)) in said
    assert snapshot(tmp_path) == before
    assert snapshot(student) == adapter
    for _ in range(2):  # the second one replaces what the first one made
        assert main(["merge", str(student), str(tmp_path / "merged")]) == 0
    assert (tmp_path / "merged" / "model.safetensors").exists()
    assert snapshot(student) == adapter


def test_a_broken_adapter_is_one_sentence(student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = shutil.copytree(student, tmp_path / "students" / "sft")
    weights = broken / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert main(["merge", str(broken), str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"retort: no adapter in {str(broken)!r} (")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert main(["merge", str(student), str(tmp_path / "out")]) == 0
