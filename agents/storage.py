"""Files that cannot be written: the cause in words, and what to do; what is recorded already is never given up."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from pathlib import Path

from .errors import StorageError
from .text import shortened

AGAIN = "then run the same command again: what was recorded is kept"
ELSEWHERE = f"make it writable, or name another run folder with --run, {AGAIN}"
FULL = ("the disk is full", f"free some space, {AGAIN}")
READ_ONLY = ("it is on a read-only file system", ELSEWHERE)
DENIED = ("this user has no right to it", ELSEWHERE)
LOCKED = (
    "another program holds it locked",
    f"end that program (a second retort, a database browser, a backup), {AGAIN}",
)
FAILED = (
    "the disk failed, or a limit on the size of files is reached",
    f"look at `df`, `ulimit -f` and the system's log, {AGAIN}",
)
CAUSES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: ("the disk quota is used up", f"free some space, {AGAIN}"),
    errno.EROFS: READ_ONLY,
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.EFBIG: ("a limit on the size of files is reached", f"raise it with `ulimit -f unlimited`, {AGAIN}"),
    errno.EIO: FAILED,
    errno.EISDIR: ("a folder stands where a file is needed", f"move it away, {AGAIN}"),
    errno.ENOTDIR: ("a file stands where a folder is needed", f"move it away, {AGAIN}"),
    errno.EEXIST: ("a file stands where a folder is needed", f"move it away, {AGAIN}"),
    errno.ENAMETOOLONG: ("its path is too long for this file system", "give a shorter one"),
    errno.ELOOP: ("its symbolic links lead in a circle", f"move the link away, {AGAIN}"),
}
"""Number of an operating system's error -> cause and what to do."""
SQLITE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_IOERR: FAILED,
    sqlite3.SQLITE_PERM: DENIED,
}
"""Primary code of a SQLite error -> the same."""
_NUMBER = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust (safetensors, tokenizers) tell an operating system's error."""


def storage_error(error: BaseException, path: Path | None = None) -> StorageError | None:
    """The error in one sentence, where it says that a file cannot be written; None where it says something else.

    Args:
        path: the file, where the error does not name it.
    """
    found = cause_of(error, path)
    if found is None:
        return None
    cause, step = found
    # Where a file is moved to its place, the second name is the place.
    named = getattr(error, "filename2", None) or getattr(error, "filename", None) or path or "the run folder"
    named = shortened(named, 300)
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return StorageError(f"{named}: {cause} ({text}); {step}")


def cause_of(error: BaseException, path: Path | None) -> tuple[str, str] | None:
    """Cause and step of an error; None where it is of another kind."""
    if isinstance(error, OSError):
        return CAUSES.get(error.errno or 0)
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_CANTOPEN and path is not None:
            return cannot_open(path)
        return SQLITE.get(code)
    number = _NUMBER.search(str(error))
    return CAUSES.get(int(number[1])) if number else None


def cannot_open(path: Path) -> tuple[str, str]:
    """Why SQLite cannot open a file: it needs to write beside it, even to read."""
    try:
        read_only = bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return FAILED
    return READ_ONLY if read_only else DENIED
