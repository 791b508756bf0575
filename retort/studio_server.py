"""`retort studio`: the local server of LangGraph Studio over one run, with a stored trajectory opened as a thread.

The server is `langgraph dev` in a process and a fresh folder of its own. It keeps its threads in pickle files where it
starts, and reads those it finds: in a run folder they could be anybody's, so they live and die with the server. It
answers only who holds the token of its start, which is the first part of every path (studio_guard.py).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from agents.errors import RetortError, need
from agents.files import write_json
from agents.models.local_servers import end, free_port, reply_of, wait_until

from .folders import check_run
from .studio_settings import GRAPHS, STUDIO, TOKEN, settings, token
from .studio_thread import Episode, Opened, open_thread, stored
from .trust import AGREED

PORT = 2024
START_SECONDS = 120.0
"""Two seconds are usual; a busy machine takes its time to import."""

CAN_DO = """
In Studio: choose the assistant and open the thread; every step can be looked at, edited and forked.
From Python, to edit the message that step 1 wrote, and run on from there:

    from langgraph_sdk import get_sync_client
    client = get_sync_client(url={url!r})
    thread, assistant = {thread!r}, {assistant!r}
    state = client.threads.get_history(thread, limit=100)[::-1][1]
    edited = state["values"]["messages"][-1] | {{"content": "..."}}   # under the same id: it takes the old one's place
    fork = client.threads.update_state(
        thread, {{"messages": [edited]}}, as_node="reason", checkpoint=state["checkpoint"])
    print(client.runs.wait(thread, assistant, input=None, checkpoint=fork["checkpoint"]))
"""


def studio(run_folder: Path, trajectory: str | None, port: int | None, browser: bool) -> int:
    """Serve a run to Studio until Control-C or the server's end.

    Args:
        trajectory: key of a stored trajectory (its start is enough) to open as a thread.
        port: None = 2024, or another where that is taken.
        browser: whether Studio's page is opened too.

    Returns:
        0, or 1 where the server ended by itself.

    Raises:
        MissingExtra: the extra `studio` is not installed.
        StageError: no such run, or no such trajectory in it.
        RetortError: the port is taken, or the server does not start.
    """
    need("langgraph_cli", "studio")
    need("langgraph_api", "studio")
    check_run(run_folder)
    episode = stored(run_folder, trajectory) if trajectory is not None else None
    try:
        with stopped_by_signals(), served(run_folder, port) as (url, process, log):
            page = f"{STUDIO}/?baseUrl={quote(url, safe='')}"
            print(f"server     {url}   graphs {', '.join(GRAPHS)}; it answers under this whole address only")
            print(f"log        {log}   (kept until the server ends)")
            if episode is not None:
                opened = open_thread(url, episode)
                page = f"{STUDIO}/thread/{opened.thread}?baseUrl={quote(url, safe='')}"
                print("\n".join(opened_lines(url, episode, opened)))
            print(f"studio     {page}   (a page of LangSmith's that speaks with this server through your browser)")
            print("Control-C ends the server, and its threads with it.", flush=True)
            if browser:
                webbrowser.open(page)
            status = process.wait()
    except KeyboardInterrupt:
        print("\nstopped", flush=True)
        return 0
    print(f"retort: the server ended by itself, with status {status}", file=sys.stderr)
    return 1


def opened_lines(url: str, episode: Episode, opened: Opened) -> list[str]:
    """What a person is told of an opened thread."""
    t = episode.played
    lines = [f"thread     {opened.thread}   trajectory {t.key}, task {t.task_id}, stop {t.stop}"]
    seated = "seated as the episode was, by today's run.toml"
    if episode.chosen is None:
        seated = f"the episode's own team {t.team!r} cannot be seated any more"
    lines.append(f"assistant  {opened.assistant}   graph {opened.graph}, {seated}")
    lines += [f"    step {n}  {node:<10} next {after or 'end'}" for n, (node, after) in enumerate(opened.steps)]
    return [*lines, CAN_DO.format(url=url, thread=opened.thread, assistant=opened.assistant)]


@contextmanager
def served(run_folder: Path, port: int | None) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    """A server over a run until the block ends: its URL with the token, its process and its log.

    Raises:
        RetortError: the port is taken, or the server does not start.
    """
    port = checked_port(port)
    held = token()
    url = f"http://127.0.0.1:{port}/{held}"
    with tempfile.TemporaryDirectory(prefix="retort-studio-") as name:
        folder = Path(name)
        root = Path(__file__).resolve().parents[1]
        write_json(folder / "langgraph.json", settings(root))
        # -P: nothing is imported from the folder it starts in. Blocking is allowed, since tools of others and clients
        # of MCP servers do it, and one person's server can wait.
        command = [sys.executable, "-P", "-m", "langgraph_cli", "dev"]
        command += ["--no-browser", "--no-reload", "--allow-blocking", "--port", str(port)]
        log = folder / "server.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(run_folder) | {TOKEN: held},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Control-C reaches this process alone, which then ends the server
            )
        try:
            wait_until(lambda: answers(url), process, log, START_SECONDS)
            yield url, process, log
        finally:
            end(process)


def environment(run_folder: Path) -> dict[str, str]:
    """The server's environment: the run, and nothing that would make it call home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LANGSMITH_", "LANGCHAIN_"))}
    return kept | {
        "RETORT_RUN": str(run_folder.resolve()),
        AGREED: "1",  # whoever starts this server was asked, or is a program that knows what it does
        "LANGSMITH_TRACING": "false",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGGRAPH_NO_VERSION_CHECK": "true",
    }


def checked_port(port: int | None) -> int:
    """A port that nothing listens on: the given one, else 2024, else any; `langgraph dev` would move on silently."""
    found = free_port(*((PORT, 0) if port is None else (port,)))
    if found is not None:
        return found
    raise RetortError(f"port {port!r} cannot be used: end what listens there, or give another with --port")


def answers(url: str) -> bool:
    """Whether the server is up and serves these graphs."""
    asked = urllib.request.Request(f"{url}/assistants/search", b"{}", {"Content-Type": "application/json"})
    try:
        with reply_of(asked, 10.0) as reply:
            return {row["graph_id"] for row in json.load(reply)} >= set(GRAPHS)
    except (OSError, ValueError):
        return False


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Control-C does, so that the server is not left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    ends = {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
    before = {number: signal.signal(number, interrupt) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
