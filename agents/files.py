"""Reading and writing the files in which stages meet: whole or not at all, and a broken line is named.

Every write goes to a temporary file beside its target and is moved over it, so a killed process leaves the old file or
the new one, never half of one.
"""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import StageError
from .text import first_line

M = TypeVar("M", bound=BaseModel)
STAGES = ("index", "exam", "collect", "dataset", "evaluate", "leaderboard")
"""Stages with a command of their own; all others are trainings."""


def command_of(stage: str) -> str:
    """The command that does a stage."""
    return stage if stage in STAGES else "train"


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


def made_anew(path: Path, made_by: str) -> str:
    """The step that makes a broken or absent file of a run: a command line where the run folder can be told.

    Args:
        made_by: the stage.
    """
    run = next((folder for folder in path.parents if (folder / "run.toml").is_file()), None)
    if made_by is None or run is None:
        return f"run the stage {made_by!r} again"
    return f"`{shlex.join(['retort', command_of(made_by), str(run)])}` makes it anew"


def read_text(path: Path, made_by: str) -> str:
    """The text of a file of a run; StageError names the stage that makes it where it is absent or not readable."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StageError(f"{path} is not there: {made_first(path, made_by)}") from None
    except UnicodeDecodeError as error:
        raise StageError(f"{path} is not UTF-8 ({error.reason}): {made_anew(path, made_by)}") from None
    except IsADirectoryError:
        raise StageError(
            f"{path} is a folder where a file is needed: take it away, then {made_anew(path, made_by)}"
        ) from None
    except OSError as error:
        raise StageError(f"{path} cannot be read ({error.strerror}): {made_anew(path, made_by)}") from None


def made_first(path: Path, made_by: str) -> str:
    """`made_anew` of a file that was never made."""
    step = made_anew(path, made_by)
    return step.replace(" makes it anew", " makes it") if step.startswith("`") else f"run the stage {made_by!r} first"


def read_json(path: Path, made_by: str) -> Any:
    """Read a JSON file; StageError names the stage that makes it when it is absent or broken."""
    text = read_text(path, made_by)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StageError(f"{path} is not JSON ({first_line(error)}): {made_anew(path, made_by)}") from None


def read_model(path: Path, model: type[M], made_by: str) -> M:
    """A JSON file as a record; raises StageError where it is absent, broken or no such record."""
    return as_record(read_json(path, made_by), model, path, made_by)


def read_models(path: Path, model: type[M], made_by: str) -> list[M]:
    """The rows of a JSON Lines file as records; raises StageError naming file and line."""
    rows, remarks = read_lines_kept(path, made_by)
    if remarks:
        raise StageError(f"{path}, {remarks[0]}: {made_anew(path, made_by)}")
    return [as_record(row, model, path, made_by, f", row {number}") for number, row in enumerate(rows, 1)]


def as_record(value: Any, model: type[M], path: Path, made_by: str, where: str = "") -> M:
    """A value that was read as a record; raises StageError naming the file and the first thing wrong with it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        text = f"{place}: {first['msg']}" if place else first["msg"]
        raise StageError(f"{path}{where} is no {model.__name__} ({text}): {made_anew(path, made_by)}") from None


def read_lines_kept(path: Path, made_by: str | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """Read JSON lines; returns the rows that are objects, and one remark (`line 3: ...`) for each line that is not.

    Args:
        made_by: the stage that makes the file; None = no stage does.

    Raises:
        StageError: the file is not there, or cannot be read.
    """
    rows: list[dict[str, Any]] = []
    remarks: list[str] = []
    first = f": {made_first(path, made_by)}" if made_by else ""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise StageError(f"{path} is not there{first}") from None
    except IsADirectoryError:
        step = f": take it away, then {made_anew(path, made_by)}" if made_by else ""
        raise StageError(f"{path} is a folder where a file is needed{step}") from None
    except OSError as error:
        step = f": {made_anew(path, made_by)}" if made_by else ""
        raise StageError(f"{path} cannot be read ({error.strerror}){step}") from None
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            remarks.append(f"line {number}: not JSON ({first_line(error)})")
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            remarks.append(f"line {number}: a JSON {type(row).__name__} where an object is expected")
    return rows, remarks


def read_jsonl(path: Path, made_by: str | None = None) -> list[dict[str, Any]]:
    """Read JSON lines that Retort itself wrote; raises StageError naming file and line for anything else."""
    rows, remarks = read_lines_kept(path, made_by)
    if remarks:
        step = made_anew(path, made_by) if made_by else "delete the file and run the stage that makes it again"
        raise StageError(f"{path}, {remarks[0]}: {step}")
    return rows
