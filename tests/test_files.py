"""JSON lines are written row by row, and whole or not at all."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.files import read_jsonl, write_jsonl


def test_rows_are_written_as_they_come(tmp_path: Path) -> None:
    """40 MB of rows pass through without being held."""

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(400):
            yield {"n": number, "text": "x" * 100_000}

    tracemalloc.start()
    try:
        assert write_jsonl(tmp_path / "rows.jsonl", rows()) == 400
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5e6
    assert (tmp_path / "rows.jsonl").stat().st_size > 40e6


def test_rows_that_break_off_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"n": 1}])

    def broken() -> Iterator[dict[str, Any]]:
        yield {"n": 2}
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_jsonl(path, broken())
    assert read_jsonl(path) == [{"n": 1}]
    assert [each.name for each in tmp_path.iterdir()] == ["rows.jsonl"]
