"""What leaves the machine: no trace and no hub request by itself, and a trace where run.toml asks for one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import little
import pytest
import silence

from agents.errors import ConfigError
from retort.config import load_config
from retort.outward import OFFLINE, TRACING, keep_in, models, on_hub, settle

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
name = "kettle"
[corpus]
manuals = "manual"
facts = "facts.jsonl"
[exam]
train = 20
test = 20
[cpt]
max_steps = 1
max_length = 128
[sft]
max_steps = 1
batch = 2
[student]
max_tokens = 8
"""
STAGES = "import sys; from retort.cli import main\nfor stage in sys.argv[2:]: assert main([stage, sys.argv[1]]) == 0"


class Listener:
    """A server that writes down who asked for what, and knows nothing."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                """Quiet."""

            def answer(self) -> None:
                owner.seen.append(f"{self.command} {self.path}")
                self.rfile.read(int(self.headers.get("content-length") or 0))
                self.send_response(404)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST = do_HEAD = do_PATCH = do_PUT = answer

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listener for the length of a test."""
    made = Listener()
    yield made
    made.stop()


def run_stages(folder: Path, listener: Listener, *stages: str, config: str = CONFIG) -> str:
    """Run stages in a process whose shell asks for tracing and has a hub; returns its standard error."""
    little.write_microdomain(folder)
    (folder / "run.toml").write_text(config, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "LANG"))}
    environment |= dict.fromkeys(TRACING[:3], "true")
    environment |= {
        "HF_ENDPOINT": f"{listener.url}/hub",
        "HF_HOME": str(folder / "hf"),
        "LANGSMITH_ENDPOINT": f"{listener.url}/langsmith",
        "LANGSMITH_API_KEY": "x",
        "PYTHONPATH": silence.path(ROOT),
    }
    command = [sys.executable, "-c", STAGES, "run.toml", *stages]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_collecting_and_training_ask_nobody(tmp_path: Path, listener: Listener) -> None:
    """TRL reports each training to the hub, and LangChain each call, where a shell has these variables."""
    run_stages(tmp_path, listener, "index", "exam", "collect", "dataset", "train")
    assert (tmp_path / "runs" / "kettle" / "students" / "sft").exists()
    assert listener.seen == []


def test_a_config_that_asks_for_traces_gets_them(tmp_path: Path, listener: Listener) -> None:
    asked = CONFIG + "[tracing]\nlangsmith = true\n"
    said = run_stages(tmp_path, listener, "index", "exam", "collect", config=asked)
    assert any(line.startswith("POST /langsmith/runs") for line in listener.seen)
    assert "every prompt, reply, question and gold goes to LangSmith" in said


def written(folder: Path, text: str) -> Any:
    """The config of a run.toml."""
    (folder / "run.toml").write_text('name = "x"\n[corpus]\nsource = "stdlib"\n' + text, encoding="utf-8")
    return load_config(folder / "run.toml")


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("", False),
        ('[teams.teacher]\nreason = "hf:tiny-base"\n[student]\nbase = "model"\n', False),
        ('[teams.teacher]\nreason = "openai:org/name@https://host/v1"\n', False),
        ('[student]\nbase = "org/name"\n', True),
        ('[teams.teacher]\nreason = "hf:org/name"\n', True),
        ('[teams.teacher]\nreason = "hf:adapter"\n', True),
        ('[student]\nbase = "./not-there"\n', False),
    ],
)
def test_the_hub_is_asked_only_for_a_model_named_by_its_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, asks: bool
) -> None:
    for name, file, said in (
        ("model", "config.json", "{}"),
        ("adapter", "adapter_config.json", '{"base_model_name_or_path": "org/name"}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(said)
    monkeypatch.delenv(OFFLINE, raising=False)
    config = written(tmp_path, text)
    assert on_hub(models(config)) == asks
    assert settle(config) is None
    assert os.environ.get(OFFLINE) == (None if asks else "1")


def test_variables_of_the_shell_switch_nothing_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TRACING:
        monkeypatch.setenv(name, "true")
    keep_in()
    assert {os.environ[name] for name in TRACING} == {"false"}
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    for name in ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY", "LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="export LANGSMITH_API_KEY"):
        settle(written(tmp_path, "[tracing]\nlangsmith = true\n"))
    assert os.environ["LANGSMITH_TRACING"] == "false"
