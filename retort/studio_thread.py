"""A trajectory of a run's ledgers as a thread of a running Studio server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agents.errors import RetortError, StageError, need
from agents.task import Task
from graphs.trajectory import Trajectory

from .folders import LEDGERS

if TYPE_CHECKING:
    from .pipeline import Run


class Episode(NamedTuple):
    """A stored trajectory with what it was played with."""

    played: Trajectory
    task: Task | None
    """None where the exam no longer has it."""
    chosen: dict[str, Any] | None
    """What a thread has to choose to be played so, by today's config; None where its team can no longer be seated."""


class Opened(NamedTuple):
    """A trajectory as a thread of a server."""

    graph: str
    thread: str
    assistant: str
    """The assistant that plays on with the episode's context; the graph's name where there is none."""
    steps: list[tuple[str, str]]
    """Each checkpoint: the node that wrote it, and the one that is next."""


def stored(folder: Path, key: str) -> Episode:
    """The trajectory of a run whose key is, or starts with, `key`.

    Raises:
        StageError: none or several do; the message says which there are.
    """
    from graphs.runner.ledger import Ledger

    from .config import load_config
    from .pipeline import Run

    run = Run(load_config(folder), folder)
    known: list[str] = []
    for split, name in LEDGERS.items():
        if not (run.folder / name).exists():
            continue
        with Ledger(run.folder / name) as ledger:
            keys = sorted(ledger.keys())
            known += keys
            found = [each for each in keys if each.startswith(key)]
            played = ledger.get(key if key in keys else found[0]) if key in keys or len(found) == 1 else None
        if played is not None:
            exam = run.tasks() if (run.folder / "exam.jsonl").exists() else []
            task = next((each for each in exam if each.id == played.task_id), None)
            return Episode(played, task, choice_of(run, played, collected=split == "train"))
        if found:
            raise StageError(f"{len(found)} trajectories start with {key!r}: {some(found)}; give more of the key")
    if not known:
        raise StageError(f"{run.folder} holds no trajectory yet: run the stage 'collect' first")
    raise StageError(f"no trajectory of {run.folder} starts with {key!r}; there are {len(known)}: {some(known)}")


def some(keys: list[str]) -> str:
    """The first few keys."""
    return ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")


def choice_of(run: Run, played: Trajectory, *, collected: bool) -> dict[str, Any] | None:
    """What an episode is played with by today's config, as a thread's choice; None where its team cannot be seated."""
    try:
        run.team(played.team)
    except StageError:
        return None
    chosen: dict[str, Any] = {"team": played.team, "mode": played.mode, "form": played.form, "bar_held_out": collected}
    if collected and played.team == run.config.collect.team:
        options = run.config.collect
        chosen |= {"verify": options.verify, "faults": options.faults is not None}
    return chosen


def open_thread(url: str, episode: Episode) -> Opened:
    """Make a thread whose checkpoints are a trajectory's steps, and an assistant with the episode's context."""
    from graphs.checkpoints import supersteps

    played = episode.played
    graph = "student" if played.team == "student" else "teacher"
    steps = supersteps(played, episode.task)
    about = {"trajectory": played.key, "task": played.task_id}
    with direct_client(url) as client:
        thread = client.threads.create(
            graph_id=graph, metadata=about, supersteps=[{"updates": [each]} for each in steps]
        )["thread_id"]
        history = client.threads.get_history(thread, limit=len(steps) + 1)[::-1]
        if len(history) != len(steps):  # the server reports a refused update as 201
            raise RetortError(f"the server took {len(history)} of {len(steps)} steps of trajectory {played.key!r}")
        assistant = graph
        if episode.chosen is not None:
            name = f"{played.team} as in {played.key}"
            made = client.assistants.create(graph, context=episode.chosen, metadata=about, name=name)
            assistant = made["assistant_id"]
    nodes = ["input", *(each["as_node"] for each in steps[1:])]
    after = [", ".join(state["next"]) for state in history]
    return Opened(graph, thread, assistant, list(zip(nodes, after, strict=True)))


def direct_client(url: str) -> Any:
    """The SDK's client of a server on this machine, whatever proxy the environment names."""
    sdk = need("langgraph_sdk.client", "studio")
    httpx = need("httpx", "studio")
    timeout = httpx.Timeout(60.0, connect=5.0)
    return sdk.SyncLangGraphClient(httpx.Client(base_url=url, timeout=timeout, trust_env=False))
