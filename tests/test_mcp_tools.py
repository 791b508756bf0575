"""MCP servers, real ones over stdio and HTTP: their tools in a kit, and what is left when a server stalls or dies."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import little
import pytest

from agents.context import Board, Context, Limits, McpServer
from agents.corpus.library import Library
from agents.errors import ConfigError
from agents.tools import SEARCH, Observation, call_problem, close_kits, offered, use
from agents.tools.mcp_servers import listed

pytest.importorskip("langchain_mcp_adapters", reason="the extra mcp is not installed")

SCRIPT = str(Path(__file__).with_name("mcp_thermometer.py"))
PROBE = McpServer(command=sys.executable, args=(SCRIPT,))


@pytest.fixture(autouse=True)
async def kits_closed() -> AsyncIterator[None]:
    """Sessions of a test end in its own loop."""
    yield
    await close_kits()


def board(seconds: float = 30.0, **changes: Any) -> Board:
    """A board with the thermometer beside the manual's search."""
    server = McpServer.model_validate(PROBE.model_dump() | changes)
    return Board(mcp={"probe": server}, limits=Limits(tool_seconds=seconds))


@pytest.fixture
def table(kettle: Path) -> tuple[Context, Library]:
    """Context and library of a call."""
    return little.context(kettle, board=board()), Library.open(kettle / "library")


async def used(table: tuple[Context, Library], tool: str, **arguments: Any) -> Observation:
    """Call a tool of the thermometer; the call passes the check first."""
    assert call_problem(tool, arguments, offered(table[0].board)) is None
    return await use(*table, tool, arguments)


def beside(table: tuple[Context, Library], rules: Board) -> tuple[Context, Library]:
    """The same table with another board."""
    return table[0].model_copy(update={"board": rules}), table[1]


def gone(process: int) -> bool:
    """Whether a process has ended (waits for it two seconds)."""
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


async def test_tools_are_offered_with_the_servers_own_schemas() -> None:
    """With a loop running, as here, or without one."""
    tools = offered(board())
    assert tools[0] == SEARCH
    assert [tool["function"]["name"] for tool in tools[1:]] == [
        "temperature", "picture", "reading", "process", "variable", "stall", "die",
    ]  # fmt: skip
    assert tools[1]["function"] == {
        "name": "temperature",
        "description": "The temperature of a module of the kettle.",
        "parameters": {
            "type": "object",
            "properties": {"module": {"type": "string"}, "unit": {"type": "string", "default": "C"}},
            "required": ["module"],
        },
    }
    assert offered(board()) is tools
    assert call_problem("temperature", {}, tools) == 'the argument "module" is missing'
    few = offered(board(tools=["die", "reading"]))
    assert [tool["function"]["name"] for tool in few] == ["search", "die", "reading"]


async def test_one_session_serves_many_calls_at_once(table: tuple[Context, Library]) -> None:
    answers = await asyncio.gather(*(used(table, "temperature", module="pump", unit=str(n)) for n in range(40)))
    assert [answer.text for answer in answers] == [f"pump: 61.5 {n}" for n in range(40)]
    processes = {(await used(table, "process")).text for _ in range(3)}
    assert len(processes) == 1
    await close_kits()
    assert gone(int(processes.pop()))


async def test_what_a_server_brings(table: tuple[Context, Library]) -> None:
    assert (await used(table, "picture")).text == "the dial\n[image]"
    assert (await used(table, "reading", module="pump")).text.replace("\n", "").replace(" ", "") == '{"pump":61.5}'
    seen = await used(table, "temperature", module="lid")
    assert seen.error == "temperature failed: Error executing tool temperature: no probe in 'lid'; see probes.txt"
    assert seen.text == f"Error: {seen.error}"


async def test_a_server_is_given_no_variable_that_is_not_named(
    table: tuple[Context, Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROBE_KEY", "${HOME} and more")
    assert (await used(table, "variable", name="PROBE_KEY")).text == "not set"
    named = beside(table, board(env=["PROBE_KEY"]))
    assert (await used(named, "variable", name="PROBE_KEY")).text == "${HOME} and more"
    monkeypatch.delenv("PROBE_KEY")
    with pytest.raises(ConfigError, match=r"\$PROBE_KEY, which is not set"):
        offered(board(env=["PROBE_KEY"], tools=["die"]))


async def test_a_server_that_dies_in_a_call_is_started_again_for_the_next(table: tuple[Context, Library]) -> None:
    first = (await used(table, "process")).text
    seen, _ = await asyncio.gather(used(table, "die"), used(table, "temperature", module="pump"))
    assert seen.error == (
        "die failed: ConnectionError: the tool's server ended during the call; it is started again for the next one"
    )
    second = (await used(table, "process")).text
    assert second.isdigit()
    assert second != first


async def test_a_server_killed_between_two_calls_costs_none(table: tuple[Context, Library]) -> None:
    first = int((await used(table, "process")).text)
    os.kill(first, signal.SIGKILL)
    await asyncio.sleep(0.5)
    assert (await used(table, "temperature", module="pump")).text == "pump: 61.5 C"
    assert int((await used(table, "process")).text) != first


async def test_a_server_killed_in_the_middle_of_a_call(table: tuple[Context, Library]) -> None:
    first = int((await used(table, "process")).text)
    stalling = asyncio.create_task(used(table, "stall", seconds=30.0))
    await asyncio.sleep(0.3)
    os.kill(first, signal.SIGKILL)
    assert "ended during the call" in (await stalling).text


async def test_a_stalled_server_times_out_and_is_replaced(table: tuple[Context, Library]) -> None:
    quick = beside(table, board(seconds=1.0))
    first = (await used(quick, "process")).text
    seen = await used(quick, "stall", seconds=60.0)
    assert seen == Observation("Error: stall timed out after 1 s", error="stall timed out after 1 s")
    second = (await used(quick, "process")).text
    assert second.isdigit()
    assert second != first


async def test_a_slow_call_does_not_cost_the_server(table: tuple[Context, Library]) -> None:
    first = (await used(table, "process")).text
    quick = beside(table, board(seconds=0.2))
    assert (await used(quick, "stall", seconds=0.6)).error == "stall timed out after 0.2 s"
    assert (await used(table, "process")).text == first


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (McpServer(command="no-such-program-at-all"), "there is no such program"),
        (McpServer(command=sys.executable, args=(SCRIPT, "--broken")), "its last words: 'cannot read probes.txt'"),
        (McpServer(url="http://127.0.0.1:9/mcp"), "see that it is running there"),
        (McpServer(command=sys.executable, args=(SCRIPT,), tools=("humidity",)), "has no tool 'humidity': it has temp"),
    ],
)
def test_a_server_that_does_not_start(server: McpServer, said: str) -> None:
    with pytest.raises(ConfigError, match="the MCP server 'probe'") as caught:
        offered(Board(mcp={"probe": server}))
    assert said in str(caught.value)


def test_a_mute_server() -> None:
    with pytest.raises(ConfigError, match="did not answer within 1 s"):
        listed("probe", McpServer(command=sys.executable, args=(SCRIPT, "--mute")), seconds=1.0)


def test_two_servers_with_one_tool() -> None:
    with pytest.raises(ConfigError, match=r"'board.mcp.b' brings another tool named 'die'"):
        offered(Board(mcp={"a": board(tools=["die"]).mcp["probe"], "b": board(tools=["die"]).mcp["probe"]}))


async def test_a_server_that_does_not_come_back(
    table: tuple[Context, Library], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    link = tmp_path / "server.py"
    link.symlink_to(SCRIPT)
    there = beside(table, board(args=[str(link)]))
    assert (await used(there, "reading", module="pump")).error is None
    link.unlink()
    assert (await used(there, "die")).error is not None
    with caplog.at_level(logging.WARNING):
        seen = await asyncio.gather(*(used(there, "reading", module="pump") for _ in range(5)))
    assert {each.error for each in seen} == {"reading failed: ConnectionError: the tool's server does not start"}
    assert caplog.text.count("does not start") == 1


async def test_a_server_over_http(table: tuple[Context, Library]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = subprocess.Popen(
        [sys.executable, SCRIPT, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", port)) == 0:
                    break
            await asyncio.sleep(0.05)
        server = McpServer(url=f"http://127.0.0.1:{port}/mcp")
        there = beside(table, Board(mcp={"probe": server}, limits=Limits(tool_seconds=2.0)))
        assert (await used(there, "temperature", module="pump")).text == "pump: 61.5 C"
        program.kill()
        program.wait()
        seen = await used(there, "temperature", module="pump")
        assert seen.error is not None
        assert seen.error.startswith("temperature ")
        print(seen)
    finally:
        program.kill()
        program.wait()


def test_no_thread_and_no_loop_is_left_behind(table: tuple[Context, Library]) -> None:
    """A loop that ends without `close_kits` ends its sessions too."""

    async def once() -> str:
        return (await used(table, "process")).text

    process = asyncio.run(once())
    assert gone(int(process))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]
