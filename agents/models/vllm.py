"""The vLLM seat: joins a running server, or starts one for a model folder and ends it with the process.

The server is started by module (`vllm.entrypoints.openai.api_server`) with the Python that RETORT_VLLM_PYTHON names, so
that vLLM may live in a venv of its own: CPU builds pin another torch. Flags follow vLLM 0.32: hermes tool calls with
their argument schemas enforced, adapters loadable.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from langchain_core.language_models.chat_models import BaseChatModel

from ..context import Seat
from ..errors import MissingExtra, SeatError
from .local_servers import free_port, reply_of, wait_until

START_SECONDS = 600.0
"""How long a server may take to become healthy; 33-69 s for a tiny model on 2 cores, minutes for a large one."""


def server_command(python: str, model: str, name: str, port: int) -> list[str]:
    """The command line that serves `model` under `name` on loopback."""
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--served-model-name", name]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    if Path(model, "adapter_config.json").exists():
        raise SeatError(f"vllm:{model!r} is an adapter folder: merge it first (`retort merge`), or use hf:{model}")
    return command


def healthy(url: str) -> bool:
    """Whether GET url/health answers."""
    try:
        with reply_of(f"{url}/health", 2.0):
            return True
    except OSError:
        return False


def start_server(model: str, name: str, *, seconds: float = START_SECONDS) -> str:
    """Start a server for `model`; returns its base URL (with /v1). It is ended with this process."""
    python = os.environ.get("RETORT_VLLM_PYTHON", "")
    if not python:
        if find_spec("vllm") is None:
            raise MissingExtra("vllm", "vllm")
        python = sys.executable
    port = free_port(0)
    if port is None:
        raise SeatError("no port of 127.0.0.1 is free: end a program that listens on one")
    folder = Path(tempfile.mkdtemp(prefix="retort-vllm-"))
    log = folder / "server.log"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_HOST_IP": "127.0.0.1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            server_command(python, model, name, port), stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
    atexit.register(process.terminate)
    wait_until(lambda: healthy(f"http://127.0.0.1:{port}"), process, log, seconds, SeatError)
    return f"http://127.0.0.1:{port}/v1"


def open_vllm(model: str, url: str | None, seat: Seat) -> BaseChatModel:
    """The chat model for `vllm:model[@url]`."""
    from .openai import open_openai

    name = Path(model).name
    return open_openai(model if url else name, url or start_server(model, name), seat)
