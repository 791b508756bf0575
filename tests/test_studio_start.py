"""How a Studio server starts, and what it says when something is missing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import silence
from studio_run import ROOT, Served, play_episodes, running, trajectories, write_run

from agents.errors import ConfigError
from retort.studio_server import answers, checked_port
from retort.studio_settings import token

langgraph_sdk = pytest.importorskip("langgraph_sdk", reason="extra 'studio' is not installed")
pytest.importorskip("langgraph_api", reason="extra 'studio' is not installed")

NOBODY = "http://127.0.0.1:9"
"""An address at which nothing listens."""
PROXIES = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"), NOBODY)
TYPED = {"messages": [{"role": "user", "content": "What is the default of `heater_limit`?"}]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that opens an episode, where a proxy is named that is not there, and a seat lacks its key."""
    seat = '{ model = "openai:m@https://api.example.com/v1", key_env = "ABSENT" }'
    run = play_episodes(write_run(tmp_path_factory.mktemp("start"), f"[teams.keyless]\nreason = {seat}\n"))
    (opened, *_) = trajectories(run)
    with running(run, opened.key, tmp_path_factory.mktemp("elsewhere"), PROXIES) as started:
        yield started


def test_a_proxy_is_not_asked_for_this_machine(served: Served) -> None:
    """The server was found to be ready, and a thread was opened in it."""
    assert re.search(r"^thread +\S+", served.said, re.MULTILINE)


def test_where_the_log_is_is_told(served: Served) -> None:
    found = re.search(r"^log +(\S+)", served.said, re.MULTILINE)
    assert found is not None
    assert "langgraph" in Path(found[1]).read_text()


async def test_a_missing_key_is_told_in_the_thread(served: Served) -> None:
    """What Studio shows of a run that failed: the reason, not only that it failed."""
    async with langgraph_sdk.get_client(url=served.url, api_key=None) as client:
        stream = client.runs.stream(None, "teacher", input=TYPED, context={"team": "keyless"})
        (told,) = [part.data async for part in stream if part.event == "error"]
    assert told["error"] == "SeatError"
    assert "environment variable 'ABSENT' is empty; export the key there" in told["message"]


def posted(url: str, body: Any) -> tuple[int, str]:
    """Status and answer of a request with JSON."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_checkouts_own_langgraph_json_is_as_safe(tmp_path: Path) -> None:
    """`langgraph dev` itself, without `retort studio`: it makes a token of its own, and prints Studio's address."""
    shutil.copy(ROOT / "langgraph.json", tmp_path)
    port = checked_port(0)
    kept = {name: value for name, value in os.environ.items() if "RETORT" not in name and "LANGSMITH" not in name}
    command = [sys.executable, "-P", "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--allow-blocking"]
    with subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=tmp_path,
        env={
            **kept,
            "PYTHONPATH": silence.path(ROOT),
            "RETORT_RUN": str(write_run(tmp_path)),
            "LANGSMITH_TRACING": "false",
            "LANGGRAPH_CLI_NO_ANALYTICS": "1",
            "LANGGRAPH_NO_VERSION_CHECK": "true",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        watchdog = threading.Timer(120, process.kill)
        watchdog.start()
        assert process.stdout is not None
        said, found = "", None
        while found is None and (line := process.stdout.readline()):
            said += line
            found = re.search(rf"only this address is answered: (http://127.0.0.1:{port}/(\S+))$", said, re.MULTILINE)
        try:
            assert found is not None, said
            limit = time.monotonic() + 60
            while not answers(found[1]) and time.monotonic() < limit:
                time.sleep(0.1)
            body = {"assistant_id": "teacher", "input": TYPED, "context": {"board": {"mcp": {"x": {"command": "sh"}}}}}
            for path, status in ((f"http://127.0.0.1:{port}", 401), (found[1], 422)):
                assert posted(f"{path}/runs/wait", body)[0] == status
            status, answer = posted(f"{found[1]}/runs/wait", {"assistant_id": "teacher", "input": TYPED})
            assert (status, json.loads(answer)["answer"]) == (200, "3")
        finally:
            watchdog.cancel()
            process.terminate()
            process.stdout.read()


@pytest.mark.parametrize("given", ["short", "sixteen/with/slashes", "x" * 20 + "\u00e4"])
def test_a_token_of_ones_own_is_checked(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETORT_STUDIO_TOKEN", given)
    with pytest.raises(ConfigError, match="RETORT_STUDIO_TOKEN must be 16 or more"):
        token()
    monkeypatch.setenv("RETORT_STUDIO_TOKEN", "x" * 16)
    assert token() == "x" * 16
    monkeypatch.delenv("RETORT_STUDIO_TOKEN")
    assert len({token(), token(), token()}) == 3
