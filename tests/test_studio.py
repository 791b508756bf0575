"""`retort studio` as a person starts it, without key or network: what is stored opens, forks and plays on."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import little
import pytest
import silence
from studio_run import ROOT, Served, play_episodes, running, trajectories, write_run

from agents.context import Seat
from agents.errors import RetortError, StageError
from agents.files import write_text
from agents.models.local_servers import wait_until
from graphs.runner.ledger import Ledger
from graphs.trajectory import Trajectory
from retort.config import load_config
from retort.pipeline import Run
from retort.studio_choices import offered_by, read
from retort.studio_server import checked_port, environment, studio
from retort.studio_settings import GRAPHS, settings
from retort.studio_thread import open_thread, stored

langgraph_sdk = pytest.importorskip("langgraph_sdk", reason="extra 'studio' is not installed")
pytest.importorskip("langgraph_api", reason="extra 'studio' is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over the kettle with two collected episodes and one of the student's exam."""
    return play_episodes(write_run(tmp_path_factory.mktemp("studio")))


@pytest.fixture(scope="module")
def opened(run: Path) -> Trajectory:
    """The episode that the command opens."""
    return trajectories(run)[0]


@pytest.fixture(scope="module")
def served(run: Path, opened: Trajectory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The command itself, over the run."""
    with running(run, opened.key[:10], tmp_path_factory.mktemp("elsewhere"), own_port=False) as started:
        yield started


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
    assert [row["query"] for row in found["tool_uses"]] == ["pump_rate default"]
    assert found["verdict"]["reasons"] == ["ungrounded"]


async def test_the_search_agent_alone(client: Any) -> None:
    found = await client.runs.wait(None, "search", input={"query": "heater_limit default"})
    assert "Default: 3" in found["extract"]
    assert found["hits"]


async def test_three_graphs_are_listed(client: Any) -> None:
    listed = await client.assistants.search(metadata={"created_by": "system"})
    assert {row["graph_id"] for row in listed} == set(GRAPHS) == {"teacher", "student", "search"}
    assert json.loads((ROOT / "langgraph.json").read_text()) == settings(".")


async def test_the_command_opens_a_stored_trajectory(served: Served, opened: Trajectory, client: Any) -> None:
    """One checkpoint a step, each with the node that came next; the last one is the episode's end."""
    (thread,) = re.findall(r"^thread +(\S+)", served.said, re.MULTILINE)
    assert f"https://smith.langchain.com/studio/thread/{thread}?baseUrl=http%3A%2F%2F127.0.0.1%3A" in served.said
    history = (await client.threads.get_history(thread, limit=100))[::-1]
    nodes = ["reason", "act"] * len(opened.searches) + ["reason", "verify"]
    assert [state["next"] for state in history] == [*([node] for node in nodes), []]
    said = [line.split() for line in served.said.splitlines() if line.startswith("    step")]
    assert [words[2] for words in said] == ["input", *nodes]
    assert [words[4] for words in said] == [*nodes, "end"]
    values = history[-1]["values"]
    assert values["answer"] == opened.answer
    assert values["verdict"] == opened.verdict.model_dump(mode="json")
    assert [message["content"] for message in values["messages"]] == [m["content"] for m in opened.messages]
    assert [row["extract"] for row in values["tool_uses"]] == [row.extract for row in opened.searches]
    assert (await client.threads.get(thread))["metadata"]["trajectory"] == opened.key


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
    assert [row["query"] for row in end["tool_uses"]] == ["heater_limit default"]
    assert end["verdict"]["accepted"] is True
    assert (end["answer"], end["steps"]) == (played.answer, played.usage.calls)

    after = await client.threads.get_history(opened.thread, limit=100)
    verdicts = [state["values"]["verdict"]["accepted"] for state in after if not state["next"]]
    assert verdicts == [True, False]
    old = await client.threads.get_state(opened.thread, checkpoint=history[-1]["checkpoint"])
    assert old["values"] == history[-1]["values"]


async def test_fork_at_the_answer(served: Served, opened: Trajectory, client: Any) -> None:
    """Another answer in the last turn's place: the verifier takes it up and finds it wrong."""
    episode = stored(served.run, opened.key)
    fresh = open_thread(served.url, episode)
    history = (await client.threads.get_history(fresh.thread, limit=100))[::-1]
    assert history[-2]["next"] == ["verify"]
    assert episode.task is not None
    other = next(option for option in episode.task.options if option != episode.task.gold)
    message = history[-2]["values"]["messages"][-1]
    message["content"] = message["content"].replace(f"Answer: {episode.task.gold}", f"Answer: {other}")
    place = history[-2]["checkpoint"]
    fork = await client.threads.update_state(fresh.thread, {"messages": [message]}, as_node="reason", checkpoint=place)
    end = await client.runs.wait(fresh.thread, fresh.assistant, input=None, checkpoint=fork["checkpoint"])
    assert (end["answer"], end["verdict"]["reasons"]) == (other, ["wrong"])
    assert opened.verdict.accepted


async def test_a_fork_plays_by_the_rules_of_its_episode(served: Served, opened: Trajectory, client: Any) -> None:
    """The assistant that comes with a collected episode bars held-out pages and revises, as collecting does."""
    thread = open_thread(served.url, stored(served.run, opened.key))
    assistant = await client.assistants.get(thread.assistant)
    run = Run(load_config(served.run), served.run)
    offer, team = offered_by(served.run)
    assert offer.context(read(offer.choice(team=team), assistant["context"])) == run.collecting("react")
    assert assistant["metadata"]["trajectory"] == opened.key


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
    assert (episode.task, episode.chosen) == (None, None)


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
        wait_until(lambda: False, broken, log, 10.0)


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
