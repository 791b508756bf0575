"""`langgraph dev` with the project's own langgraph.json: no key, no network; the SDK streams an episode."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import little
import pytest

from agents.files import write_text
from retort.config import load_config, write_resolved

ROOT = Path(__file__).resolve().parents[1]
langgraph_sdk = pytest.importorskip("langgraph_sdk", reason="extra 'studio' is not installed")
pytest.importorskip("langgraph_api", reason="extra 'studio' is not installed")


@pytest.fixture(scope="module")
def studio(kettle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a dev server over the kettle's run; the student's seat is the demonstrator too."""
    folder = tmp_path_factory.mktemp("studio")
    little.write_microdomain(folder)
    seat = f"scripted:answer-key@{kettle / 'exam.jsonl'}"
    write_text(
        folder / "run.toml",
        f'name = "kettle"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n[student]\nstages = []\n'
        f'[teams.teacher]\nreason = "{seat}"\n[teams.student]\nreason = "{seat}"\n',
    )
    write_resolved(load_config(folder / "run.toml"), kettle)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not re.search("KEY|TOKEN|LANGSMITH", name)},
        "RETORT_RUN": str(kettle),
        "LANGSMITH_TRACING": "false",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    }
    log = folder / "server.log"
    command = [
        str(Path(sys.executable).with_name("langgraph")),
        "dev",
        "--no-browser",
        "--no-reload",
        "--port",
        str(port),
    ]
    # In a folder of its own, since the server writes .langgraph_api where it is started.
    write_text(folder / "langgraph.json", (ROOT / "langgraph.json").read_text().replace('["."]', f'["{ROOT}"]'))
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        else:
            pytest.fail(f"the server did not start:\n{log.read_text()}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
async def client(studio: str) -> AsyncIterator[Any]:
    """The SDK's client."""
    async with langgraph_sdk.get_client(url=studio) as made:
        yield made


@pytest.mark.parametrize("name", ["teacher", "student"])
async def test_an_episode_streams(client: Any, name: str) -> None:
    task = little.tasks(little.library())[0]
    thread = await client.threads.create()
    nodes = []
    given = {"question": task.question, "options": list(task.options), "gold": task.gold}
    async for part in client.runs.stream(thread["thread_id"], name, input=given, stream_mode=["updates", "custom"]):
        assert part.event != "error", part.data
        if part.event == "updates":
            nodes += list(part.data)
        if part.event == "custom":
            assert part.data == {"search": "heater_limit default"}
    assert nodes == ["reason", "act", "reason", "verify"]
    state = await client.threads.get_state(thread["thread_id"])
    assert state["values"]["stop"] == "answered"
    assert state["values"]["verdict"]["accepted"] is True


async def test_a_thread_of_words_alone_and_another_context(client: Any) -> None:
    """What a person types into Studio's chat: one message, no question field; and rules changed for one thread."""
    typed = {"messages": [{"role": "user", "content": "What is the default of `heater_limit`?"}]}
    free = await client.runs.wait(None, "teacher", input=typed)
    assert free["stop"] == "answered"
    assert free["answer"] == "3"
    short = await client.runs.wait(None, "teacher", input=typed, context={"board": {"limits": {"searches": 0}}})
    assert short["stop"] == "limit:searches"


async def test_both_graphs_are_listed(client: Any) -> None:
    assert {row["graph_id"] for row in await client.assistants.search()} == {"teacher", "student"}
