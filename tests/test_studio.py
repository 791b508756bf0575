"""`retort studio` as a person starts it, without key or network: what is stored opens, forks and plays on."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import little
import pytest
import silence

from agents.context import Seat
from agents.errors import RetortError, StageError
from agents.files import write_text
from agents.seats import close_seats
from distill.ledger import Ledger
from graphs.episode import Table, play
from graphs.trajectory import Trajectory
from retort.config import load_config, write_resolved
from retort.pipeline import Run
from retort.studio_server import GRAPHS, checked_port, environment, studio, wait_until
from retort.studio_thread import open_thread, stored

ROOT = Path(__file__).resolve().parents[1]
langgraph_sdk = pytest.importorskip("langgraph_sdk", reason="extra 'studio' is not installed")
pytest.importorskip("langgraph_api", reason="extra 'studio' is not installed")

ASTRAY = [
    {"turn": 0, "reply": "I look it up.", "call": {"arguments": {"query": "pump_rate default"}}},
    {"turn": 1, "reply": "The manual says so.\nQuote: Default: 3\nAnswer: 3"},
]
"""A student that answers right, from a page that it did not find: its quote stands in nothing that it retrieved."""


class Served(NamedTuple):
    """A running `retort studio RUN --trajectory KEY`, and what it printed."""

    url: str
    run: Path
    said: str
    opened: Trajectory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over the kettle with two collected episodes and one of the student's exam."""
    folder = tmp_path_factory.mktemp("studio")
    little.write_microdomain(folder)
    made = little.write_run(folder / "run")
    script = little.seat(folder, ASTRAY)
    write_text(
        folder / "run.toml",
        f'name = "kettle"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n[student]\nstages = []\n'
        f'[teams.teacher]\nreason = "scripted:answer-key"\n[teams.student]\nreason = "{script.model}"\n',
    )
    write_resolved(load_config(folder / "run.toml"), made)
    opened = Run(load_config(made), made)
    tasks = opened.tasks()

    async def both() -> None:
        with Ledger(made / "ledger.sqlite") as ledger:
            for task in (tasks[0], tasks[-1]):
                ledger.add(await play(task, Table.lay(opened.collecting("react"))))
        with Ledger(made / "scores" / "ledger.sqlite") as ledger:
            ledger.add(await play(tasks[0], Table.lay(opened.context("student", "react", "score", held_out=False))))
        await close_seats()

    with asyncio.Runner() as runner:
        runner.run(both())
    return made


def trajectories(run: Path, ledger: str = "ledger.sqlite") -> list[Trajectory]:
    with Ledger(run / ledger) as opened:
        return list(opened.trajectories())


@pytest.fixture(scope="module")
def served(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The command itself, started from another folder; in the end a signal stops it and it leaves nothing behind."""
    wanted = trajectories(run)[0]
    program = (
        "import sys; from pathlib import Path; from retort.studio_server import studio; "
        f"sys.exit(studio(Path({str(run)!r}), {wanted.key[:10]!r}, None, False))"
    )
    secret = re.compile("KEY|TOKEN|LANGSMITH")
    kept = {name: value for name, value in os.environ.items() if not secret.search(name)}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env={**kept, "PYTHONPATH": silence.path(ROOT), "LANGSMITH_API_KEY": "not to be seen by the server"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(180, process.kill)
    watchdog.start()
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if line.startswith("Control-C"):
                break
        else:
            pytest.fail(f"the server did not start:\n{said}")
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found is not None
        yield Served(found.group(), run, said, wanted)
        process.send_signal(signal.SIGTERM)  # as Control-C, which a shell's background job would not get
        assert process.wait(40) == 0
        assert process.stdout.read() == "\nstopped\n"
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(found.group().rpartition(":")[2]))) != 0
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Any]:
    """The SDK's client."""
    async with langgraph_sdk.get_client(url=served.url, api_key=None) as made:
        yield made


async def test_an_episode_streams(client: Any) -> None:
    task = little.tasks(little.library())[0]
    thread = await client.threads.create()
    nodes = []
    given = {"question": task.question, "options": list(task.options), "gold": task.gold}
    async for part in client.runs.stream(
        thread["thread_id"], "teacher", input=given, stream_mode=["updates", "custom"]
    ):
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


async def test_the_student_has_a_seat_of_its_own(client: Any) -> None:
    given = {"question": "What is the default of `heater_limit`?", "gold": "3"}
    found = await client.runs.wait(None, "student", input=given)
    assert [row["query"] for row in found["searches"]] == ["pump_rate default"]
    assert found["verdict"]["reasons"] == ["ungrounded"]


async def test_the_search_agent_alone(client: Any) -> None:
    found = await client.runs.wait(None, "search", input={"query": "heater_limit default"})
    assert "Default: 3" in found["extract"]
    assert found["hits"]


async def test_three_graphs_are_listed(client: Any) -> None:
    listed = await client.assistants.search(metadata={"created_by": "system"})
    assert {row["graph_id"] for row in listed} == set(GRAPHS) == {"teacher", "student", "search"}
    assert json.loads((ROOT / "langgraph.json").read_text())["graphs"] == GRAPHS


async def test_the_command_opens_a_stored_trajectory(served: Served, client: Any) -> None:
    """One checkpoint a step, each with the node that came next; the last one is the episode's end."""
    (thread,) = re.findall(r"^thread +(\S+)", served.said, re.MULTILINE)
    assert f"https://smith.langchain.com/studio/thread/{thread}?baseUrl=http%3A%2F%2F127.0.0.1%3A" in served.said
    history = (await client.threads.get_history(thread, limit=100))[::-1]
    nodes = ["reason", "act"] * len(served.opened.searches) + ["reason", "verify"]
    assert [state["next"] for state in history] == [*([node] for node in nodes), []]
    said = [line.split() for line in served.said.splitlines() if line.startswith("    step")]
    assert [words[2] for words in said] == ["input", *nodes]
    assert [words[4] for words in said] == [*nodes, "end"]
    values = history[-1]["values"]
    assert values["answer"] == served.opened.answer
    assert values["verdict"] == served.opened.verdict.model_dump(mode="json")
    assert [message["content"] for message in values["messages"]] == [m["content"] for m in served.opened.messages]
    assert [row["extract"] for row in values["searches"]] == [row.extract for row in served.opened.searches]
    assert (await client.threads.get(thread))["metadata"]["trajectory"] == served.opened.key


async def test_fork_at_the_second_step_with_another_query(served: Served, client: Any) -> None:
    """Must show 5: the edited call finds the right page, so the same answer is accepted; the old branch stays."""
    (played,) = trajectories(served.run, "scores/ledger.sqlite")
    assert played.verdict.reasons == ("ungrounded",)
    opened = open_thread(served.url, stored(served.run, played.key))
    assert (opened.graph, opened.steps[1]) == ("student", ("reason", "act"))

    history = (await client.threads.get_history(opened.thread, limit=100))[::-1]
    message = history[1]["values"]["messages"][-1]
    message["tool_calls"][0]["args"] = {"query": "heater_limit default"}
    fork = await client.threads.update_state(
        opened.thread, {"messages": [message]}, as_node="reason", checkpoint=history[1]["checkpoint"]
    )
    edited = await client.threads.get_state(opened.thread, checkpoint=fork["checkpoint"])
    assert edited["next"] == ["act"]
    assert len(edited["values"]["messages"]) == 3  # edited, not added
    end = await client.runs.wait(opened.thread, opened.assistant, input=None, checkpoint=fork["checkpoint"])
    assert [row["query"] for row in end["searches"]] == ["heater_limit default"]
    assert end["verdict"]["accepted"] is True
    assert (end["answer"], end["steps"]) == (played.answer, played.usage.calls)

    after = await client.threads.get_history(opened.thread, limit=100)
    verdicts = [state["values"]["verdict"]["accepted"] for state in after if not state["next"]]
    assert verdicts == [True, False]
    old = await client.threads.get_state(opened.thread, checkpoint=history[-1]["checkpoint"])
    assert old["values"] == history[-1]["values"]


async def test_fork_at_the_answer(served: Served, client: Any) -> None:
    """Another answer in the last turn's place: the verifier takes it up and finds it wrong."""
    episode = stored(served.run, served.opened.key)
    opened = open_thread(served.url, episode)
    history = (await client.threads.get_history(opened.thread, limit=100))[::-1]
    assert history[-2]["next"] == ["verify"]
    assert episode.task is not None
    other = next(option for option in episode.task.options if option != episode.task.gold)
    message = history[-2]["values"]["messages"][-1]
    message["content"] = message["content"].replace(f"Answer: {episode.task.gold}", f"Answer: {other}")
    place = history[-2]["checkpoint"]
    fork = await client.threads.update_state(opened.thread, {"messages": [message]}, as_node="reason", checkpoint=place)
    end = await client.runs.wait(opened.thread, opened.assistant, input=None, checkpoint=fork["checkpoint"])
    assert (end["answer"], end["verdict"]["reasons"]) == (other, ["wrong"])
    assert served.opened.verdict.accepted


async def test_a_fork_plays_by_the_rules_of_its_episode(served: Served, client: Any) -> None:
    """The assistant that comes with a collected episode bars held-out pages and revises, as collecting does."""
    opened = open_thread(served.url, stored(served.run, served.opened.key))
    assistant = await client.assistants.get(opened.assistant)
    run = Run(load_config(served.run), served.run)
    assert assistant["context"] == run.collecting("react").model_dump(mode="json")
    assert assistant["metadata"]["trajectory"] == served.opened.key


def test_what_cannot_be_opened_is_named(run: Path, tmp_path: Path) -> None:
    keys = sorted(played.key for played in trajectories(run))
    with pytest.raises(StageError, match=rf"no trajectory of .* starts with 'zzz'; there are 3: {keys[0]}"):
        stored(run, "zzz")
    with pytest.raises(StageError, match="2 trajectories start with ''"):
        stored(run, "")
    with pytest.raises(StageError, match="is no run folder"):
        studio(tmp_path, None, None, False)
    write_text(tmp_path / "run.toml", (run / "run.toml").read_text())
    with pytest.raises(StageError, match="run the stage 'collect' first"):
        stored(tmp_path, "a")


def test_an_episode_whose_task_or_team_is_gone_opens_all_the_same(run: Path, tmp_path: Path) -> None:
    write_text(tmp_path / "run.toml", 'name = "kettle"\n[corpus]\nsource = "stdlib"\n')
    (played,) = trajectories(run, "scores/ledger.sqlite")
    with Ledger(tmp_path / "scores" / "ledger.sqlite") as ledger:
        ledger.add(played)
    episode = stored(tmp_path, played.key)
    assert episode.played == played
    assert (episode.task, episode.context) == (None, None)


def test_a_port_in_use_is_named(run: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RetortError, match=f"port {port} .*--port"):
            studio(run, None, port, False)
    assert checked_port(port) == port
    with pytest.raises(RetortError, match="port 70000 "):
        checked_port(70000)


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("wb") as stream:
        broken = subprocess.Popen([sys.executable, "-c", "raise SystemExit('no such graph')"], stderr=stream)
    with pytest.raises(RetortError, match="no such graph"):
        wait_until(lambda: False, broken, log)


def test_the_server_calls_nobody(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_API_KEY", "x")
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "true")
    given = environment(run)
    assert {name: value for name, value in given.items() if name.startswith(("LANGSMITH", "LANGCHAIN"))} == {
        "LANGSMITH_TRACING": "false"
    }
    assert given["RETORT_RUN"] == str(run)
    assert given["PATH"] == os.environ["PATH"]


def test_seats_of_graphs(run: Path) -> None:
    """Each graph's context has the run's values as defaults, whole."""
    program = (
        "import json; from retort import studio as s; "
        "print(json.dumps([g.context_schema().model_dump(mode='json') for g in (s.teacher, s.student, s.search)]))"
    )
    env = {**os.environ, "RETORT_RUN": str(run), "PYTHONPATH": silence.path(ROOT)}
    out = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True).stdout
    made = Run(load_config(run), run)
    teacher, student = (
        made.context(name, "react", "score", held_out=False).model_dump(mode="json") for name in ("teacher", "student")
    )
    assert json.loads(out) == [teacher, student, teacher]
    assert Seat(**teacher["team"]["reason"]).model.endswith("exam.jsonl")
