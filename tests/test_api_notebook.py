"""examples/notebook.py runs from an empty folder to a leaderboard, and again in what it has made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_notebook_runs_and_runs_again(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "notebook.py"), str(tmp_path / "kettle")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        said.append(done)
    first, second = said
    assert "every" in first.stdout or "is written" in first.stdout
    assert "teacher" in first.stdout and "report.html" in first.stdout
    assert "missing" in first.stdout and "missing" not in second.stdout
    assert second.stderr.splitlines().count("collect      fresh") == 1
    assert (tmp_path / "kettle" / "runs" / "kettle" / "report.html").is_file()
