"""Folders that commands write: made new or refused, so that nothing is changed that the command did not make.

A folder that a command made carries a record of its files. The same command may replace it as long as it holds exactly
these; anything else in it is somebody's, and the folder is refused.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import FolderError
from .files import write_json
from .storage import storage_error
from .text import shortened

RECORD = ".retort-made.json"
"""File of a folder that a command made: which command, and size and SHA-256 of every file."""
RUN_MARK = "run.json"
"""File of a run folder: which config it belongs to (retort/folders.py)."""
OTHER = "give a folder that is not there yet"
CAUSES = {
    errno.ENAMETOOLONG: "its path is too long for this file system (255 bytes a name at the most)",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "a file stands where a folder is needed",
    errno.EISDIR: "a folder stands where a file is needed",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.ENOENT: "no folder can be made there",
    errno.ENOTEMPTY: "another program wrote into it meanwhile",
}
"""Number of an operating system's error -> why a folder cannot be used."""


def unusable(folder: Path, error: OSError | ValueError) -> Exception:
    """What is raised for a folder that cannot be made or read: a full disk as such, anything else as `FolderError`."""
    if isinstance(error, OSError):
        unwritable = storage_error(error, folder) if error.errno not in CAUSES else None
        if unwritable is not None:
            return unwritable
        cause = CAUSES.get(error.errno or 0, error.strerror or str(error))
    else:
        cause = str(error)  # a NUL in a path
    return FolderError(
        f"{shortened(folder, 200)!r} cannot be used as a folder: {cause}; {OTHER}, under one that you may write"
    )


def entries(folder: Path) -> list[str]:
    """Names in a folder, sorted; none where it is not there.

    Raises:
        FolderError: it is a file, or cannot be read.
    """
    try:
        return sorted(each.name for each in folder.iterdir())
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise unusable(folder, error) from None


def refuse_occupied(folder: Path) -> None:
    """Raise FolderError unless a folder is absent or empty."""
    there = entries(folder)
    if there:
        raise FolderError(f"{str(folder)!r} holds {some(there)} already, which stays as it is: {OTHER}")


def refuse_foreign(folder: Path, made_by: str) -> None:
    """Raise FolderError unless a folder is absent, empty, or just as the command `made_by` made it.

    Args:
        made_by: what `made_folder` was given.
    """
    there = entries(folder)
    if not there:
        return
    if RECORD not in there:
        raise FolderError(
            f"{str(folder)!r} was not made by `retort {made_by}` and holds {some(there)}, which stays as it is: {OTHER}"
        )
    known, now = recorded(folder, made_by), contents(folder)
    other = sorted(name for name in {**known, **now} if known.get(name) != now.get(name))
    if other:
        raise FolderError(
            f"{str(folder)!r} was changed since `retort {made_by}` made it ({some(other)}), and stays as it is: {OTHER}"
        )


@contextmanager
def made_folder(folder: Path, made_by: str) -> Iterator[Path]:
    """A new folder to write into, which becomes `folder` when the block ends well, and vanishes when it raises.

    Args:
        folder: absent, empty, or made by the same command and not changed since: then it is replaced.
        made_by: name of the command.

    Raises:
        FolderError: `folder` holds anything else, or cannot be made. Nothing of it is changed.
        StorageError: disk full, read-only.
    """
    folder = absolute(folder)
    refuse_foreign(folder, made_by)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:80]}."))
    except OSError as error:
        raise unusable(folder, error) from None
    try:
        yield fresh
        write_json(fresh / RECORD, {"made_by": made_by, "files": contents(fresh)})
        fresh.chmod(0o755)
        refuse_foreign(folder, made_by)
        old = fresh.with_name(fresh.name + ".old")
        try:
            if entries(folder):
                folder.replace(old)
            fresh.replace(folder)
        except OSError as error:
            raise unusable(folder, error) from None
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def absolute(folder: Path) -> Path:
    """The folder's path with its links followed; raises FolderError where they lead in a circle or it is no path."""
    try:
        return folder.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        circle = OSError(errno.ELOOP, "links") if isinstance(error, RuntimeError) else error
        raise unusable(folder, circle) from None


def contents(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file in a folder but its record; of a link, where it leads."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file() and name != RECORD:
            with path.open("rb") as stream:
                found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
        elif not path.is_dir() and name != RECORD:
            found[name] = "no file"
    return found


def recorded(folder: Path, made_by: str) -> dict[str, str]:
    """What `contents` told when the command made the folder; nothing where another one did, or the record is broken."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        files = record["files"] if record["made_by"] == made_by else {}
        return {str(name): str(hashed) for name, hashed in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def some(names: list[str]) -> str:
    """The first names of several, quoted."""
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def is_run_folder(folder: Path) -> bool:
    """Whether a folder is a run's: one that Retort marked, or one of a version that marked none."""
    if (folder / RUN_MARK).is_file():
        return True
    return (folder / "run.toml").is_file() and (folder / "stages.json").is_file()
