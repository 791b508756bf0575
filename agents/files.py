"""Reading and writing the files in which stages meet: whole or not at all, and a broken line is named.

Every write goes to a temporary file beside its target and is moved over it, so a killed process leaves the old file or
the new one, never half of one.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel

from .errors import StageError


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A stream (UTF-8) whose text becomes `path` when the block ends well; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            yield stream
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a failed write names no file
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` atomically, making its folder."""
    with replacing(path) as stream:
        stream.write(text)


def json_line(row: Mapping[str, Any] | BaseModel) -> str:
    """One row as one line of JSON, keys in their own order."""
    if isinstance(row, BaseModel):
        return row.model_dump_json()
    return json.dumps(row, ensure_ascii=False)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any] | BaseModel]) -> int:
    """Write one JSON line a row as the rows come, atomically; returns the number of rows."""
    count = 0
    with replacing(path) as stream:
        for row in rows:
            stream.write(json_line(row) + "\n")
            count += 1
    return count


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path, made_by: str) -> Any:
    """Read a JSON file; StageError names the stage that makes it when it is absent or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{path} is not there: run the stage {made_by!r} first") from None
    except ValueError as error:
        raise StageError(f"{path} is not JSON ({error}): delete it and run the stage {made_by!r} again") from None


def read_lines_kept(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Read JSON lines; returns the rows that are objects, and one remark (`line 3: ...`) for each line that is not.

    Raises:
        StageError: the file is not there.
    """
    rows: list[dict[str, Any]] = []
    remarks: list[str] = []
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise StageError(f"{path} is not there") from None
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            remarks.append(f"line {number}: not JSON ({error})")
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            remarks.append(f"line {number}: a JSON {type(row).__name__} where an object is expected")
    return rows, remarks


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines that Retort itself wrote; raises StageError naming file and line for anything else."""
    rows, remarks = read_lines_kept(path)
    if remarks:
        raise StageError(f"{path}, {remarks[0]}: delete the file and run the stage that makes it again")
    return rows
