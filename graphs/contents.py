"""Files by content: SHA-256 of files and folders, read again only where something may have changed.

A hash is remembered under the file's size, inode and times of change. The time of the inode's change (ctime) moves with
every write and cannot be set back by `touch` or `cp -p`; a file that changed a moment ago is not remembered, since two
writes within one tick of the file system's clock leave the same times.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from agents.files import write_json

SETTLED_SECONDS = 2.0
"""The coarsest clock of a file system in use (FAT); ext4, XFS and APFS tell milliseconds apart."""
WORTH_BYTES = 2**20
"""Files from this size on are remembered between processes; reading smaller ones costs less than the record."""
KEEPS_CHANGES = os.name != "nt"
"""Windows has the time of creation in `st_ctime`: nothing is remembered there."""

Stamp = tuple[int, int, int, int]
"""Size in bytes, time of change and time of the inode's change in nanoseconds, inode."""

_known: dict[str, tuple[Stamp, str]] = {}
_lock = threading.Lock()


def stamp_of(path: Path) -> Stamp:
    """What tells two states of a file apart without reading it; raises OSError where there is none."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content in hex.

    Raises:
        OSError: the file is not there or cannot be read.
    """
    name = os.path.abspath(path)
    before = stamp_of(path)
    with _lock:
        known = _known.get(name)
    if known is not None and known[0] == before:
        return known[1]
    begun = time.time_ns()
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    newest = max(before[1], before[2])
    if KEEPS_CHANGES and begun - newest > SETTLED_SECONDS * 1e9 and stamp_of(path) == before:
        with _lock:
            _known[name] = (before, found)
    return found


def files_of(folder: Path, without: Collection[str] = ()) -> list[Path]:
    """The files under a folder in the order of their names; hidden ones, caches and those named in `without` left out.

    Args:
        without: names of files right in the folder.
    """
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        places = path.relative_to(folder).parts
        hidden = any(place.startswith(".") or place == "__pycache__" for place in places)
        if not hidden and not (len(places) == 1 and places[0] in without):
            found.append(path)
    return found


def folder_contents(folder: Path, without: Collection[str] = ()) -> list[tuple[str, str]]:
    """(relative path, SHA-256) of every file that `files_of` finds; raises OSError."""
    return [(path.relative_to(folder).as_posix(), sha256_of(path)) for path in files_of(folder, without)]


def remembered(path: Path) -> bool:
    """Whether the file's hash would be told without reading it."""
    known = _known.get(os.path.abspath(path))
    return known is not None and known[0] == stamp_of(path)


def forget() -> None:
    """Forget every hash of this process."""
    with _lock:
        _known.clear()


def remember(path: Path) -> None:
    """Write the hashes of large files to `path`, for the next process; does nothing where that cannot be written."""
    with _lock:
        rows = {name: [*stamp, found] for name, (stamp, found) in _known.items() if stamp[0] >= WORTH_BYTES}
    with suppress(OSError):
        if rows and rows != _read(path):
            write_json(path, rows)


def recall(path: Path) -> None:
    """Take up the hashes that an earlier process wrote to `path`; a file that is absent or broken is none."""
    for name, row in _read(path).items():
        match row:
            case [int(size), int(changed), int(inode_changed), int(inode), str(found)] if KEEPS_CHANGES:
                with _lock:
                    _known.setdefault(name, ((size, changed, inode_changed, inode), found))


def _read(path: Path) -> dict[str, list[object]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
