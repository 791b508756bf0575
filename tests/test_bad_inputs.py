"""The table of bad inputs: each is answered by one clear sentence, nothing of the user's changes, its step works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import bad_files
import bad_inputs
import pytest
from bad_inputs import Bad

from retort.cli import main

ROOT = Path(__file__).resolve().parents[1]
ROWS = [*bad_inputs.ROWS, *bad_files.ROWS]
OWN = ("runs", "run", "made")
"""Folders of a project in which commands write."""


def test_there_are_166_kinds_and_more() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert len(names) >= 166


def snapshot(folder: Path) -> dict[str, bytes]:
    """Relative path -> what a file holds, a link leads to, or `folder`, of all but what commands write."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if name.parts[0] in OWN:
            continue
        if path.is_symlink():
            found[str(name)] = os.fsencode(path.readlink())
        else:
            found[str(name)] = path.read_bytes() if path.is_file() else b"folder"
    return found


def filled(line: tuple[str, ...], root: Path) -> list[str]:
    """A command line for the project in a folder."""
    return [word.replace("{root}", str(root)) for word in line]


def called(line: list[str]) -> int:
    """The command line's exit status, by `main` or by argparse."""
    try:
        return main(line)
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, in which nothing may be written."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_bad_input(
    row: Bad, tmp_path: Path, home: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "project"
    if row.whole:
        shutil.copytree(request.getfixturevalue("whole"), root)
    else:
        bad_inputs.small(root)
    row.make(root)
    before = snapshot(root)
    capsys.readouterr()
    line = filled(row.line, root)
    assert called(line) == row.status
    said = capsys.readouterr().err
    assert row.said.replace("{root}", str(root)) in said
    assert "Traceback" not in said
    assert "mistake in Retort" not in said
    if row.status:
        *progress, sentence = said.splitlines()
        assert sentence.startswith("retort: ")
        assert not progress or progress[0].startswith("index        manuals -> library"), "what was done before it"
        assert len(progress) <= 1
        assert len(sentence) < 1000
    assert snapshot(root) == before, "what the user wrote is as it was"
    assert not list(home.iterdir()), "nothing is written elsewhere"
    if row.mend is not None:
        row.mend(root)
    for step in row.then or ([row.line] if row.mend is not None else []):
        assert called(filled(step, root)) == 0, (step, capsys.readouterr().err)


@pytest.mark.parametrize("name", ["[exam] train = nan", "Latin-1", "--pilot -3", "a link to a file out of the corpus"])
def test_the_command_itself_says_it_so(name: str, tmp_path: Path) -> None:
    """A few of the rows in a process of their own, where nothing catches what `main` lets through."""
    row = next(row for row in ROWS if row.name == name)
    bad_inputs.small(tmp_path / "project")
    row.make(tmp_path / "project")
    command = [sys.executable, "-m", "retort", *filled(row.line, tmp_path / "project")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == row.status
    assert row.said in done.stderr
    assert "Traceback" not in done.stderr
