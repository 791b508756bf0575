"""Fixtures that several test files share."""

from __future__ import annotations

import atexit
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("LANGSMITH_TRACING", "false")

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import little
import pytest

from agents.models import close_seats

STATE = tempfile.mkdtemp(prefix="retort-tests-")
atexit.register(shutil.rmtree, STATE, ignore_errors=True)  # mutmut imports this file many times in one process
os.environ["XDG_STATE_HOME"] = STATE  # what a test agrees to is nobody's who runs the tests
GUARD = Path(__file__).resolve().parent / "guard"
if "RETORT_SILENCE" not in os.environ:
    os.environ["RETORT_SILENCE"] = tempfile.mkstemp(prefix="retort-silence-", suffix=".txt")[1]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(GUARD), os.environ.get("PYTHONPATH")]))
sys.path.insert(0, str(GUARD))
import silence  # noqa: E402

sys.addaudithook(silence.guard)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Any connection that a test or a process of a test tried to another machine fails the whole session."""
    tried = Path(os.environ["RETORT_SILENCE"])
    said = tried.read_text(encoding="utf-8") if tried.exists() else ""
    if said:
        print(f"\nconnections that would have left this machine:\n{said}", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
async def fresh_seats() -> AsyncIterator[None]:
    """No test plays with another test's seats; connections are closed in the loop that they were made in."""
    yield
    await close_seats()


@pytest.fixture(scope="session")
def kettle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder over the made-up kettle: library, exam, held-out list. Read only."""
    return little.write_run(tmp_path_factory.mktemp("kettle"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real input beside a checkout; skips where it is absent."""
    root = Path(os.environ.get("RETORT_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
    if not root.is_dir():
        pytest.skip(f"no shared data at {root}: set RETORT_SHARED to a folder that holds data/")
    return root


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder (manual, facts, run.toml) whose run, in `run`, went from manuals to leaderboard. Not to be changed."""
    from kettle_run import folder_of

    from retort.cli import main

    root = folder_of(tmp_path_factory.mktemp("whole"))
    assert main(["run", str(root / "run.toml"), "--run", str(root / "run")]) == 0
    return root


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """A copy of `whole` that a test may change."""
    return shutil.copytree(whole, tmp_path / "copied")
