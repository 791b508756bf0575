"""Servers that Retort starts on this machine: found ready without a proxy, and ended where they do not get there."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from openai_server import serving

from agents.errors import SeatError
from agents.models.local_servers import free_port, wait_until
from agents.models.scripted import LineScript
from agents.models.vllm import healthy


def test_a_proxy_is_not_asked_for_the_health_of_a_server_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(LineScript(rows=[])) as server:
        assert healthy(server.url.removesuffix("/v1"))
    assert not healthy("http://127.0.0.1:9")


def test_a_server_that_is_late_is_ended_and_its_log_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("wb") as stream:
        late = subprocess.Popen(
            [sys.executable, "-c", "print('loading', flush=True); import time; time.sleep(60)"], stdout=stream
        )
    with pytest.raises(SeatError, match=r"was not ready after 4 s; its log .*server.log ends:\nloading"):
        wait_until(lambda: False, late, log, 4.0, SeatError)
    assert late.poll() is not None


def test_the_first_free_port_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert free_port(taken) is None
        assert free_port(taken, 0) not in (None, taken)
    assert free_port(70_000) is None
