"""What a stage made, file by file: recorded when the stage ends, compared whenever somebody asks whether it is fresh.

A file is recorded by size and SHA-256. A ledger is not: it grows by later collecting, and its bytes change with every
checkpoint of its log. Its record is the number of its episodes and a digest of their keys, up to the last one that was
there.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from graphs.contents import files_of, sha256_of

LEDGER = "ledger.sqlite"
DEV, BENCHMARKS = "scores/dev", "scores/benchmarks"
"""Folders of the dev tasks and of benchmarks: no stage makes them, and playing those changes nothing that one made."""
BESIDE = (f"{LEDGER}-wal", f"{LEDGER}-shm")
"""SQLite's files beside a ledger: part of it while it is open."""

Record = Mapping[str, Any]


def files_made(run: Path, names: Sequence[str]) -> Iterator[Path]:
    """The files that `names` stand for: files of the run folder, and all in its folders; absent ones left out."""
    for name in names:
        path = run / name
        if path.is_dir():
            apart = {run / DEV, run / BENCHMARKS}
            yield from (each for each in files_of(path) if each.name not in BESIDE and not apart & {*each.parents})
        elif path.is_file():
            yield path


def made(run: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Relative path -> record of every file that a stage made.

    Args:
        names: files and folders of the run folder.

    Raises:
        OSError: a file cannot be read.
    """
    return {path.relative_to(run).as_posix(): record(path) for path in files_made(run, names)}


def record(path: Path) -> dict[str, Any]:
    """What is recorded of a file; of an unreadable ledger what is recorded of any other file."""
    episodes = ledger_keys(path) if path.name == LEDGER else None
    return episodes or {"size": path.stat().st_size, "sha256": sha256_of(path)}


def ledger_keys(path: Path, last: int | None = None) -> dict[str, Any] | None:
    """Number of episodes of a ledger, its last row, and a digest of their keys; None where it cannot be read as one.

    Args:
        last: only rows up to this one, the last one of an earlier call: rows are only ever added.
    """
    # Not read-only: such a connection leaves its log behind. The second reads a ledger in a folder not to be written.
    for mode in ("mode=rw", "immutable=1"):
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=30.0)) as db:
                return keys_of(db, last)
        except sqlite3.DatabaseError:
            if any(path.with_name(name).exists() for name in BESIDE):  # what lies beside must be read with it
                return None
    return None


def keys_of(db: sqlite3.Connection, last: int | None) -> dict[str, Any]:
    """`ledger_keys` of an open ledger; the index of keys has all that is asked for, and no episode is read."""
    total, count, newest = hashlib.sha256(), 0, 0
    for row, key in db.execute("SELECT rowid, key FROM trajectories ORDER BY key"):
        if last is None or row <= last:
            total.update(f"{key}\n".encode())
            count, newest = count + 1, max(newest, row)
    return {"episodes": count, "last": newest, "keys": total.hexdigest()}


def damage(run: Path, records: Mapping[str, Record]) -> list[str]:
    """What is no longer as the stage made it, one sentence each.

    Args:
        records: what `made` told when the stage ended.
    """
    found = []
    for name, known in records.items():
        path = run / name
        if not path.is_file():
            found.append(f"{name} is gone")
        elif "keys" in known:
            now = ledger_keys(path, known["last"])
            if now is None:
                found.append(f"{name} cannot be read as a ledger: move it away, then every episode is played again")
            elif now["keys"] != known["keys"]:
                there = f"{now['episodes']} of its {known['episodes']} episodes"
                found.append(f"{name} is not what the stage made ({there} are there)")
        elif not unchanged(path, known):
            found.append(f"{name} is not what the stage made")
    return found


def unchanged(path: Path, known: Record) -> bool:
    """Whether a file is as it was recorded."""
    try:
        return [path.stat().st_size, sha256_of(path)] == [known["size"], known["sha256"]]
    except OSError:
        return False
