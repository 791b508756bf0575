"""One process a run folder: who works on it holds a lock, which the system takes back however the process ends."""

from __future__ import annotations

import errno
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.errors import StageError
from agents.files import write_json

LOCK = ".lock"
"""The locked file. It stays: a lock on a file that is taken away would be no lock for whoever comes next."""
OWNER = ".lock.json"
"""Who holds the lock, readable while it is held."""
PATIENCE_SECONDS = 1.0
"""How long a process that has just taken the lock may need to write down who it is."""
COMMAND_CHARS = 200
"""Of a command line that is told."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a run folder, which is made, for the length of a with block.

    Raises:
        StageError: another process holds it, or the folder cannot be locked.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Never a lock by mere existence: one that a killed process leaves would have to be removed by hand.
        lock = FileLock(folder / LOCK, timeout=0, fallback_to_soft=False)
        lock.acquire()
    except Timeout:
        raise StageError(taken(folder)) from None
    except OSError as error:
        if error.errno in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise  # told as what it is, like any write that fails so
        raise StageError(
            f"the run folder {str(folder)!r} cannot be locked ({error}): give a folder that you may write, on a file "
            "system with locks (--run)"
        ) from None
    try:
        write_json(folder / OWNER, me())
        yield
    finally:
        (folder / OWNER).unlink(missing_ok=True)
        lock.release()


def me() -> dict[str, Any]:
    """Who this process is."""
    since = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime())
    return {"pid": os.getpid(), "host": socket.gethostname(), "command": command_line(), "since": since}


def command_line() -> str:
    """The command that this process was started with."""
    program = Path(sys.argv[0])
    name = "retort" if program.parent.name == "retort" and program.stem == "__main__" else program.name
    return shlex.join([name, *sys.argv[1:]])[:COMMAND_CHARS]


def taken(folder: Path) -> str:
    """What is said to the second process."""
    owner = owner_of(folder)
    if owner is None:
        return (
            f"{folder} is in use by another process, which has just begun: wait for it, then run the same command again"
        )
    pid, host = owner["pid"], owner.get("host")
    where = f"process {pid} on {host}"
    stop = f"kill {pid}" if host == socket.gethostname() else f"there: kill {pid}"
    return (
        f"{folder} is in use by {where} since {owner.get('since')}: `{owner.get('command')}`. Wait for it or end it "
        f"({stop}), then run the same command again"
    )


def owner_of(folder: Path) -> dict[str, Any] | None:
    """Who holds the lock; None where that is not written down yet."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            owner = json.loads((folder / OWNER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            owner = None
        if isinstance(owner, dict) and isinstance(owner.get("pid"), int) and runs(owner):
            return owner
        if time.monotonic() > end:
            return None
        time.sleep(0.05)


def runs(owner: dict[str, Any]) -> bool:
    """Whether that process is there, as far as this machine can tell: a killed one leaves its name."""
    if owner.get("host") != socket.gethostname() or os.name == "nt":  # signal 0 would end a process of Windows
        return True
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
