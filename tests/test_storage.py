"""Full and read-only disks, quotas and locks: one sentence with the cause, exit status 2, and the same command goes on.

Where the tests run as root they mount a small file system of their own; a limit on the size of files needs no root.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import little
import pytest
import silence

from agents.errors import LedgerError, StorageError
from agents.files import write_text
from agents.models.meter import Meter
from agents.spent import Spent
from agents.storage import storage_error
from graphs.runner.ledger import SYNC_SECONDS, Ledger
from graphs.trajectory import Trajectory, Verdict
from retort.cli import main

ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'name = "k"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n[exam]\ntrain = 40\ntest = 20\n'
KEPT = "run the same command again: what was recorded is kept"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run.toml over the kettle, and beside it a run with its exam."""
    folder = tmp_path_factory.mktemp("storage")
    little.write_microdomain(folder)
    (folder / "run.toml").write_text(CONFIG, encoding="utf-8")
    for stage in ("index", "exam"):
        assert main([stage, str(folder / "run.toml"), "--run", str(folder / "run")]) == 0
    return folder / "run.toml"


def run_in(folder: Path, config: Path) -> Path:
    """A run that is to be collected."""
    shutil.copytree(config.parent / "run", folder / "run")
    return folder / "run"


def retort(*arguments: object, limit: int | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own.

    Args:
        limit: bytes that a file may grow to.
    """
    program = [sys.executable, "-m", "retort", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": silence.path(ROOT), **variables}

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(program, env=environment, capture_output=True, text=True, preexec_fn=limited)


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed command said last, checked for its form."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "never retrieved" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def filled(folder: Path, leave: int) -> Path:
    """Fill a file system up but for some bytes; returns the file that fills it."""
    room = os.statvfs(folder)
    path = folder / "filler"
    path.write_bytes(b"x" * (room.f_bavail * room.f_frsize - leave))
    return path


@pytest.mark.parametrize("leave", [0, 300_000])
def test_a_disk_that_is_full_when_collecting(small: Path, config: Path, leave: int) -> None:
    """Full before the ledger is made, and full in the middle of the collection."""
    run = run_in(small, config)
    filler = filled(small, leave)
    said = sentence(retort("collect", config, "--run", run))
    assert "the disk is full" in said
    assert f"free some space, then {KEPT}" in said
    assert "move it away" not in said
    filler.unlink()
    before = 0
    if (run / "ledger.sqlite").exists():
        with Ledger(run / "ledger.sqlite") as ledger:
            before = len(ledger)
    assert bool(before) == bool(leave), "what was played while there was room is recorded"
    done = retort("collect", config, "--run", run)
    assert done.returncode == 0, done.stderr
    assert f"{before} known" in done.stderr
    with Ledger(run / "ledger.sqlite") as ledger:
        assert len(ledger) > 30


def test_a_read_only_run_folder(small: Path, config: Path) -> None:
    run = run_in(small, config)
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    said = sentence(retort("collect", config, "--run", run))
    assert str(run) in said
    assert "read-only" in said
    assert "--run" in said
    subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
    assert retort("collect", config, "--run", run).returncode == 0


@pytest.mark.parametrize("limit", [40_000, 160_000])
def test_a_limit_on_the_size_of_files(tmp_path: Path, config: Path, limit: int) -> None:
    """The ledger fails where SQLite can only say `disk I/O error`; everything else fits."""
    run = run_in(tmp_path, config)
    said = sentence(retort("collect", config, "--run", run, limit=limit))
    assert str(run / "ledger.sqlite") in said
    assert "ulimit -f" in said
    assert KEPT in said
    assert retort("collect", config, "--run", run).returncode == 0


def test_the_traceback_is_shown_on_request(tmp_path: Path, config: Path) -> None:
    done = retort("index", config, "--run", tmp_path / "run", limit=100, RETORT_DEBUG="1")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith(f"retort: {tmp_path / 'run'}")
    assert "ulimit -f" in sentence(retort("index", config, "--run", tmp_path / "run", limit=100))


def episode(number: int, size: int = 100) -> Trajectory:
    """A record."""
    said = {"role": "user", "content": "x" * size}
    verdict = Verdict(well_formed=True, accepted=True)
    return Trajectory(
        key=f"{number:016}", task_id=f"t{number}", team="t", mode="react", board="b", messages=(said,), verdict=verdict,
        stop="answered",
    )  # fmt: skip


def test_a_locked_ledger_is_waited_for_and_then_said(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    with Ledger(path, patience=0.2) as ledger:
        assert ledger.add(episode(1))
        other = sqlite3.connect(path)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match=rf"{path}: another program holds it locked .*{KEPT}"):
            ledger.add(episode(2))
        other.rollback()
        assert ledger.add(episode(2)), "the same ledger goes on"
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="another program holds it locked"):
            Ledger(path, patience=0.2)
        other.close()
        assert len(ledger) == 2


def test_what_could_not_be_written_down_is_not_forgotten(small: Path) -> None:
    """Accounts of a write that failed are written with the next one that succeeds."""
    path = small / "l.sqlite"
    meter = Meter()
    row = Spent(role="reason", prompt=100, completion=10, cached=0, usd=0.5, seconds=1.0)
    with Ledger(path) as ledger:
        meter.paid(row)
        ledger.add(episode(1), meter)
        filler = filled(small, 0)
        meter.paid(row)
        meter.fault("cut")
        for write in (lambda: ledger.add(episode(2, 200_000), meter), lambda: ledger.settle(meter, 1.0)):
            with pytest.raises(StorageError, match="the disk is full"):
                write()
        assert ledger.keys() == {episode(1).key}
        filler.unlink()
        meter.paid(row)
        ledger.settle(meter, 1.0)
        account = ledger.accounts()["reason"]
        assert (account.calls, account.usd, ledger.faults(), ledger.seconds()) == (3, 1.5, {"cut": 1}, 1.0)
        assert ledger.add(episode(2), meter)


def test_commits_outlive_a_power_cut_at_most_four_times_a_second(tmp_path: Path) -> None:
    """In a burst the first commit is synced; the first one after it, a quarter of a second later, takes all along."""
    full, normal = 2, 1  # values of SQLite's `synchronous`

    def level(ledger: Ledger) -> int:
        return int(ledger._db.execute("PRAGMA synchronous").fetchone()[0])

    with Ledger(tmp_path / "l.sqlite") as ledger:
        levels = []
        for number in range(5):
            ledger.add(episode(number))
            levels.append(level(ledger))
        assert levels[0] == full
        assert normal in levels
        time.sleep(SYNC_SECONDS)
        ledger.settle(Meter())
        assert level(ledger) == full


def test_a_file_that_is_no_ledger_is_still_to_be_moved(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    path.write_text("not a database " * 100)
    with pytest.raises(LedgerError, match="move it away"):
        Ledger(path)


def test_a_full_disk_leaves_the_old_file(small: Path) -> None:
    path = small / "a.json"
    write_text(path, "old")
    filled(small, 0)
    with pytest.raises(OSError, match=str(path)) as caught:
        write_text(path, "new" * 10_000)
    assert path.read_text() == "old"
    assert sorted(each.name for each in small.iterdir()) == ["a.json", "filler"]
    said = str(storage_error(caught.value))
    assert said.startswith(f"{path}: the disk is full")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/x/a"), "/x/a: the disk quota is used up"),
        (OSError(errno.EROFS, "Read-only file system", "/x/a"), "/x/a: it is on a read-only file system"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/a"), "/x/a: this user has no right to it"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the run folder: the disk is full"),
    ],
)
def test_each_cause_is_named(error: Exception, said: str) -> None:
    assert str(storage_error(error)).startswith(said)


@pytest.mark.parametrize(
    "error", [ValueError("no space"), FileNotFoundError(errno.ENOENT, "none", "/x"), KeyError("x")]
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert storage_error(error) is None
