"""benchmarks/indexes.py builds every index over a manual and prints how often each finds the evidence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import little
import silence
from embedding_models import static_model

ROOT = Path(__file__).resolve().parents[1]


def test_recall_of_three_indexes_in_three_wordings(tmp_path: Path) -> None:
    manual = little.write_microdomain(tmp_path / "kettle")
    model = static_model(tmp_path / "static")
    line = [sys.executable, "benchmarks/indexes.py", str(manual), "--model", str(model)]
    environment = {**os.environ, "PYTHONPATH": silence.path(ROOT)}
    done = subprocess.run(
        [*line, "--json", str(tmp_path / "rows.json")], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["index"], row["wording"]) for row in rows] == [
        (index, wording)
        for index in ("bm25", "dense static", "hybrid static")
        for wording in ("exam's", "reworded", "names as words")
    ]
    n = rows[0]["n"]
    assert n > 20 and all(0 <= row["at1"] <= row["at3"] <= row["at10"] <= n == row["n"] for row in rows)
    assert rows[0]["at1"] == n, "the kettle's names are told apart by words"
    assert f"{len(little.library().chunks)} passages, {n} look-ups (test,train)" in done.stdout
    unknown = subprocess.run([*line[:-1], "package:no_such_package"], cwd=ROOT, env=environment, capture_output=True)
    assert b"there is no package 'no_such_package'" in unknown.stderr
