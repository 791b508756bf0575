"""The guard under which all tests run: nothing leaves this machine, not even from a process that a test starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import silence

TRY = "import socket\ntry: socket.create_connection(('192.0.2.1', 9), timeout=1)\nexcept OSError as e: print(e)"


@pytest.mark.parametrize("host", ["example.org", "192.0.2.1", "10.0.0.1", b"example.org", "2001:db8::1", "8.8.8.8"])
def test_other_machines(host: str | bytes) -> None:
    assert silence.leaves(host)


@pytest.mark.parametrize("host", [None, "", "localhost", "127.0.0.1", "127.3.2.1", b"localhost", "::1", "0.0.0.0"])
def test_this_machine(host: str | bytes | None) -> None:
    assert not silence.leaves(host)


def test_connections_and_look_ups_are_refused_and_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETORT_SILENCE", str(tmp_path / "tried.txt"))
    with pytest.raises(ConnectionRefusedError, match="nothing may leave this machine here"):
        socket.getaddrinfo("example.org", 443)
    with socket.socket() as client, pytest.raises(ConnectionRefusedError, match="192.0.2.1"):
        client.connect(("192.0.2.1", 9))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, pytest.raises(ConnectionRefusedError):
        client.sendto(b"x", ("192.0.2.1", 9))
    said = (tmp_path / "tried.txt").read_text().splitlines()
    assert [line.split(" by ")[0] for line in said] == [
        "socket.getaddrinfo 'example.org'",
        "socket.connect '192.0.2.1'",
        "socket.sendto '192.0.2.1'",
    ]


def test_a_process_of_a_test_is_guarded_too(tmp_path: Path) -> None:
    tried = tmp_path / "tried.txt"
    environment = {**os.environ, "PYTHONPATH": silence.path(), "RETORT_SILENCE": str(tried)}
    done = subprocess.run([sys.executable, "-c", TRY], env=environment, capture_output=True, text=True, check=True)
    assert "nothing may leave this machine here" in done.stdout
    assert "192.0.2.1" in tried.read_text()
