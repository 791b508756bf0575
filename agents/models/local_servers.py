"""Servers that Retort starts on this machine: a free port, whether one answers, and why one did not start."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import RetortError
from ..redaction import redacted

LOOK_SECONDS = 0.2
"""Between two looks whether a server is ready."""
TAIL_LINES = 12
"""Lines of a log that an error shows."""
END_SECONDS = 20.0
"""What a server has to end by itself, before it is killed."""


def free_port(*wanted: int) -> int | None:
    """The first of these ports of the loopback interface that nothing listens on, 0 = any; None where there is none."""
    for port in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just closed is free
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return int(probe.getsockname()[1])
    return None


def reply_of(request: urllib.request.Request | str, seconds: float) -> Any:
    """The open reply of a server on this machine, asked directly, whatever proxy the environment names; OSError."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=seconds)


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    log: Path,
    seconds: float,
    error: Callable[[str], RetortError] = RetortError,
) -> None:
    """Return when a server is ready; where it ends before or is late, end it and raise `error` with its log's end."""
    limit = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < limit:
        if ready():
            return
        time.sleep(LOOK_SECONDS)
    status = process.poll()
    end(process)
    tail = redacted("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]))
    why = f"ended with status {status}" if status is not None else f"was not ready after {seconds:g} s"
    raise error(f"the server did not start: it {why}; its log {log} ends:\n{tail}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server: asked first, killed where it does not."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
