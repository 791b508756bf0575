"""The vLLM seat: joins a running server, or starts one for a model folder and ends it with the process.

The server is started by module (`vllm.entrypoints.openai.api_server`) with the Python that RETORT_VLLM_PYTHON names, so
that vLLM may live in a venv of its own: CPU builds pin another torch. Flags follow vLLM 0.32: hermes tool calls with
their argument schemas enforced, adapters loadable.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from langchain_core.language_models.chat_models import BaseChatModel

from ..context import Seat
from ..errors import MissingExtra, SeatError
from ..redaction import redacted

START_SECONDS = 600.0
"""How long a server may take to become healthy; 33-69 s for a tiny model on 2 cores, minutes for a large one."""


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_command(python: str, model: str, name: str, port: int) -> list[str]:
    """The command line that serves `model` under `name` on loopback."""
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--served-model-name", name]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    if Path(model, "adapter_config.json").exists():
        raise SeatError(f"vllm:{model!r} is an adapter folder: merge it first (`retort merge`), or use hf:{model}")
    return command


def wait_healthy(process: subprocess.Popen[bytes], url: str, log: Path, seconds: float = START_SECONDS) -> None:
    """Wait until GET url/health answers; raises SeatError with the log's last lines when the server ends or is late."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    process.terminate()
    tail = redacted("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]))
    raise SeatError(f"the vLLM server on {url} did not become healthy; its log {log} ends:\n{tail}")


def start_server(model: str, name: str, *, seconds: float = START_SECONDS) -> str:
    """Start a server for `model`; returns its base URL (with /v1). It is ended with this process."""
    python = os.environ.get("RETORT_VLLM_PYTHON", "")
    if not python:
        if find_spec("vllm") is None:
            raise MissingExtra("vllm", "vllm")
        python = sys.executable
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="retort-vllm-"))
    log = folder / "server.log"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_HOST_IP": "127.0.0.1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            server_command(python, model, name, port), stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
    atexit.register(process.terminate)
    wait_healthy(process, f"http://127.0.0.1:{port}", log, seconds)
    return f"http://127.0.0.1:{port}/v1"


def open_vllm(model: str, url: str | None, seat: Seat) -> BaseChatModel:
    """The chat model for `vllm:model[@url]`."""
    from .openai import open_openai

    name = Path(model).name
    return open_openai(model if url else name, url or start_server(model, name), seat)
