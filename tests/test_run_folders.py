"""Config folder and run folder: inputs are never written, a run lies beside its config, and knows whose it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import little
import pytest
from kettle_run import folder_of

from retort.cli import main
from retort.folders import beside, config_of, run_given

COMMENTED = """# my own words about this run
name = "kettle"   # the kettle
[corpus]
manuals = "manual"
facts = "facts.jsonl"
"""


def project(root: Path, text: str = COMMENTED) -> Path:
    """A config folder whose facts hold a broken line and a key of the user's own."""
    folder_of(root, text)
    lines = (root / "facts.jsonl").read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), "checked_by": "me"})
    (root / "facts.jsonl").write_text("\n".join([*lines, '{"entity": "half']) + "\n")
    return root


def snapshot(folder: Path, without: str = "runs") -> dict[str, bytes]:
    """Relative path -> bytes of every file in a folder but those in one of its folders."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if folder / without not in path.parents}


@pytest.mark.parametrize("given", ["", "run.toml"])
def test_input_files_are_never_written(tmp_path: Path, given: str) -> None:
    root = project(tmp_path / "mine")
    before = snapshot(root)
    assert main(["index", str(root / given)]) == 0
    assert main(["plan", str(root / given)]) == 0
    assert snapshot(root) == before
    assert (root / "runs" / "kettle" / "facts.jsonl").exists()


def test_a_new_folder_is_a_config_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`retort new X`, then the command on X."""
    root = tmp_path / "X"
    assert main(["new", str(root)]) == 0
    little.write_microdomain(root)
    before = snapshot(root)
    assert main(["index", str(root)]) == 0
    assert snapshot(root) == before
    assert main(["index", str(root / "runs" / "X")]) == 0, "the run folder goes on from its own run.toml"
    assert "fresh" in capsys.readouterr().err


def test_a_run_lies_beside_its_config_wherever_the_command_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = project(tmp_path / "one"), project(tmp_path / "two")
    for place in (tmp_path, one, two / "manual"):
        monkeypatch.chdir(place)
        for root in (one, two):
            assert main(["index", str(root / "run.toml")]) == 0
    said = capsys.readouterr().err
    assert said.count("manuals -> library") == 2, "each once, whatever the current folder"
    assert said.count("fresh") == 4
    assert not (tmp_path / "runs").exists()
    for root in (one, two):
        assert config_of(beside(root / "run.toml", "kettle")) == root / "run.toml"


def test_two_projects_of_one_name_do_not_overwrite_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, shared = project(tmp_path / "one"), project(tmp_path / "two"), tmp_path / "shared"
    assert main(["index", str(one), "--run", str(shared)]) == 0
    before = snapshot(shared)
    capsys.readouterr()
    assert main(["index", str(two), "--run", str(shared)]) == 2
    said = capsys.readouterr().err
    assert f"is the run of {str(one / 'run.toml')!r}" in said
    assert "give another folder with --run" in said
    assert snapshot(shared) == before
    assert main(["index", str(two), "--run", str(tmp_path / "other")]) == 0
    assert main(["index", str(shared)]) == 0, "the run folder itself can always be named"
    assert config_of(shared) == one / "run.toml"


def test_a_project_can_be_moved_with_its_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = project(tmp_path / "one")
    assert main(["index", str(one)]) == 0
    two = one.rename(tmp_path / "two")
    capsys.readouterr()
    assert main(["index", str(two)]) == 0
    assert "fresh" in capsys.readouterr().err
    copy = shutil.copytree(two, tmp_path / "copy")
    assert main(["index", str(copy)]) == 0
    assert config_of(copy / "runs" / "kettle") == copy / "run.toml"


def test_an_earlier_run_in_the_current_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(tmp_path / "one")
    old = tmp_path / "runs" / "kettle"
    assert main(["index", str(root), "--run", str(old)]) == 0
    (old / "run.json").unlink()  # as earlier versions left it
    before = snapshot(old)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main(["index", "one/run.toml"]) == 0
    said = capsys.readouterr().err
    assert f"note: an earlier run lies in {old}" in said
    assert "`retort run one/run.toml --run runs/kettle` continues" in said
    assert snapshot(old) == before
    assert main(["index", "one/run.toml", "--run", "runs/kettle"]) == 0
    assert main(["index", "one/run.toml"]) == 0
    assert "earlier" not in capsys.readouterr().err, "said where the run begins, and not again"


@pytest.mark.parametrize("command", ["run", "index", "plan", "doctor"])
def test_a_folder_that_is_no_run_folder_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    root = project(tmp_path / "one")
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "facts.jsonl").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in (thesis, root, root / "manual", tmp_path / "file"):
        before = snapshot(tmp_path)
        assert main([command, str(root / "run.toml"), "--run", str(place)]) == 2
        said = capsys.readouterr().err
        assert said.startswith("retort: ")
        assert said.count("\n") == 1
        assert repr(str(place)) in said
        assert "give a folder that is not there yet" in said
        assert snapshot(tmp_path) == before
    assert not (root / "runs").exists()


def test_facts_in_the_run_folder_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An earlier version took a config folder for a run folder, and wrote its facts anew."""
    root = project(tmp_path / "one")
    (root / "stages.json").write_text("{}")
    before = snapshot(root)
    assert main(["index", str(root)]) == 2
    assert "lies in the run folder" in capsys.readouterr().err
    assert snapshot(root) == before
    assert main(["index", str(root), "--run", str(tmp_path / "run")]) == 0
    assert snapshot(root) == before


def test_a_run_folder_within_the_manuals_is_no_page(tmp_path: Path) -> None:
    root = project(tmp_path / "one", COMMENTED.replace('"manual"', '"."'))
    for _ in range(2):
        assert main(["index", str(root), "--force"]) == 0
    (root / "runs" / "kettle" / "leaderboard.md").write_text("# a result")
    assert main(["index", str(root), "--force"]) == 0
    library = (root / "runs" / "kettle" / "library" / "chunks.jsonl").read_text()
    assert "a result" not in library
    rows = [json.loads(line) for line in (root / "runs" / "kettle" / "skipped.jsonl").read_text().splitlines()]
    assert {"file": "runs/kettle", "reason": "a run folder of Retort, which is no part of a manual"} in rows


def test_a_broken_run_toml_of_a_run_folder_names_what_writes_it_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(tmp_path / "one")
    run = tmp_path / "run"
    assert main(["index", str(root), "--run", str(run)]) == 0
    good = (run / "run.toml").read_bytes()
    (run / "run.toml").write_text("name = ")
    capsys.readouterr()
    assert main(["index", str(run)]) == 2
    assert f"`retort run {root / 'run.toml'} --run {run}` writes it anew" in capsys.readouterr().err
    assert main(["index", str(root / "run.toml"), "--run", str(run)]) == 0
    assert (run / "run.toml").read_bytes() == good


def test_what_reads_a_run_takes_its_config_as_well(tmp_path: Path) -> None:
    root = project(tmp_path / "one")
    assert main(["index", str(root)]) == 0
    run = root / "runs" / "kettle"
    assert [run_given(each) for each in (run, root, root / "run.toml", run / "run.toml")] == [run] * 4
    assert run_given(tmp_path / "none") == tmp_path / "none"


@pytest.mark.parametrize("name", ["Kessel für Tee", "茶", "-dash", "a" * 200])
def test_new_with_any_name_writes_a_config_that_is_read(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    assert main(["new", str(root)]) == 0
    assert main(["index", str(root)]) == 0
