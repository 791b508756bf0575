"""MCP servers: their tools are listed once a process, and called through one session a server and event loop.

A session is kept open by a task of its own, because what it consists of must be left by the task that entered it. It
opens at the first call, is renewed when its server has ended or no longer answers, and ends with `close_sessions`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..context import McpServer
from ..errors import ConfigError, need
from .user_tools import as_message

if TYPE_CHECKING:
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import BaseTool
    from mcp import ClientSession

START_SECONDS = 60.0
"""A server that has not listed its tools by then does not start; some are downloaded first."""
PING_SECONDS = 5.0
"""A server that a call has timed out at is asked whether it still answers at all."""
AGAIN_SECONDS = 5.0
"""A server that did not start is not tried again before: others wait for it too."""
CLOSE_SECONDS = 10.0
TAIL_CHARS = 300
"""Of a server's standard error, in the message that it does not start."""

_log = logging.getLogger("retort.tools")


def listed(name: str, server: McpServer, seconds: float = START_SECONDS) -> list[BaseTool]:
    """The tools of a server, which is started for it and ended again; in a thread, so that a loop may be running.

    Raises:
        ConfigError: the server does not start, or lacks a tool that `server.tools` names.
        MissingExtra: langchain-mcp-adapters is not installed.
    """
    need("langchain_mcp_adapters", "mcp")

    async def once() -> list[BaseTool]:
        async with connected(name, server, seconds) as (_, tools):
            return tools

    with ThreadPoolExecutor(1) as thread:
        tools = {tool.name: tool for tool in thread.submit(lambda: asyncio.run(once())).result()}
    absent = [wanted for wanted in server.tools or () if wanted not in tools]
    if absent:
        raise ConfigError(f"the MCP server {name!r} has no tool {absent[0]!r}: it has {', '.join(tools) or 'none'}")
    return [tools[wanted] for wanted in server.tools or tools]


@asynccontextmanager
async def connected(
    name: str, server: McpServer, seconds: float
) -> AsyncIterator[tuple[ClientSession, list[BaseTool]]]:
    """A session with a server and its tools; raises ConfigError where that does not come about within `seconds`."""
    from langchain_mcp_adapters.tools import load_mcp_tools

    handed = handed_on(name, server)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        opened = False
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(seconds):
                    session = await stack.enter_async_context(line_to(server, handed, words))
                    await session.initialize()
                    tools = await load_mcp_tools(session)
                opened = True
                yield session, tools
        except Exception as error:
            if opened:
                raise
            raise ConfigError(does_not_start(name, server, error, words, seconds)) from error


@asynccontextmanager
async def line_to(server: McpServer, handed: dict[str, str], words: IO[str]) -> AsyncIterator[ClientSession]:
    """The line to a server, over its standard input and output or over HTTP; `words` takes its standard error."""
    if server.command is None:
        from langchain_mcp_adapters.sessions import create_session

        async with create_session({"transport": "streamable_http", "url": server.url or ""}) as session:
            yield session
    else:
        from mcp import ClientSession, StdioServerParameters
        from mcp.client.stdio import stdio_client

        program = StdioServerParameters(command=server.command, args=list(server.args), env=handed)
        async with stdio_client(program, errlog=words) as (read, write), ClientSession(read, write) as session:  # type: ignore[arg-type]
            yield session


def handed_on(name: str, server: McpServer) -> dict[str, str]:
    """The environment variables that a server is given beside PATH, HOME and such."""
    absent = [variable for variable in server.env if variable not in os.environ]
    if absent:
        raise ConfigError(f"the MCP server {name!r} is to be given ${absent[0]}, which is not set: export it first")
    return {variable: os.environ[variable] for variable in server.env}


def does_not_start(name: str, server: McpServer, error: BaseException, words: IO[str], seconds: float) -> str:
    """Why a server does not start, in words for the user."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    words.seek(0)
    tail = " ".join(words.read().split())[-TAIL_CHARS:]
    what = server.url or " ".join([server.command or "", *server.args])
    if isinstance(error, TimeoutError):
        why = f"it did not answer within {seconds:g} s"
    elif isinstance(error, FileNotFoundError):
        why = "there is no such program"
    elif str(error) == "Connection closed":
        why = "it ended before it answered"
    else:
        why = f"{type(error).__name__}: {error}"
    last = f", its last words: {tail!r}" if tail else ""
    mend = "see that it is running there" if server.url else "run it by hand"
    return f"the MCP server {name!r} ({what}) does not start: {why}{last}; {mend}, and correct board.mcp.{name}"


@dataclass
class Line:
    """A session that is open."""

    session: ClientSession
    tools: dict[str, BaseTool]
    closing: asyncio.Event
    keeper: asyncio.Task[None] | None = None
    doubtful: bool = False
    """A call has timed out: asked before the next one whether it still answers."""


@dataclass
class Server:
    """A server as one event loop sees it."""

    name: str
    server: McpServer
    line: Line | None = None
    keepers: set[asyncio.Task[None]] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    failure: ConfigError | None = None
    not_before: float = 0.0
    """Loop time before which it is not started again."""

    async def call(self, tool: str, arguments: dict[str, Any], seconds: float) -> ToolMessage:
        """Call one of its tools; a call that could not be sent, because the server had ended, is sent to a new one.

        Raises:
            ConnectionError: the server does not start, or ended during the call.
            TimeoutError: no answer within `seconds`.
            Exception: what the adapter raises.
        """
        from anyio import BrokenResourceError, ClosedResourceError

        for _ in range(2):
            line = await self.ready(seconds)
            try:
                return await self.through(line, tool, arguments, seconds)
            except (BrokenResourceError, ClosedResourceError):  # raised by sending alone
                self.drop(line)
        raise ConnectionError("the tool's server has ended")

    async def through(self, line: Line, tool: str, arguments: dict[str, Any], seconds: float) -> ToolMessage:
        """Call a tool through a line, which may break meanwhile."""
        from mcp import McpError
        from mcp.types import CONNECTION_CLOSED

        assert line.keeper is not None
        call = {"type": "tool_call", "id": "call", "name": tool, "args": arguments}
        calling = asyncio.create_task(line.tools[tool].ainvoke(call))
        try:
            await asyncio.wait({calling, line.keeper}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if calling.done():
                return as_message(calling.result())
            if not line.keeper.done():
                line.doubtful = True
                raise TimeoutError
        except McpError as error:
            if error.error.code != CONNECTION_CLOSED:
                raise
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        self.drop(line)
        raise ConnectionError("the tool's server ended during the call; it is started again for the next one")

    async def ready(self, seconds: float) -> Line:
        """The open line, a new one where there is none or its server does not answer within `seconds`."""
        line, loop = self.line, asyncio.get_running_loop()
        if line is not None and not line.doubtful and line.keeper is not None and not line.keeper.done():
            return line
        async with self.lock:
            if self.line is not None and not await answers(self.line, min(PING_SECONDS, seconds)):
                self.drop(self.line)
            if self.line is None:
                if self.failure is not None and loop.time() < self.not_before:
                    raise ConnectionError("the tool's server does not start")
                try:
                    self.line, self.failure = await self.start(), None
                except ConfigError as error:
                    _log.warning("%s", error)
                    self.failure, self.not_before = error, loop.time() + AGAIN_SECONDS
                    raise ConnectionError("the tool's server does not start") from None
            return self.line

    async def start(self) -> Line:
        """Open a line, with the task that keeps it."""
        opened: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        closing = asyncio.Event()
        keeper = asyncio.create_task(self.keep(opened, closing))
        self.keepers.add(keeper)
        keeper.add_done_callback(self.keepers.discard)
        try:
            line = await opened
        except BaseException:
            closing.set()
            raise
        line.keeper = keeper
        return line

    async def keep(self, opened: asyncio.Future[Line], closing: asyncio.Event) -> None:
        """Hold a line open until it is to close or breaks."""
        try:
            async with connected(self.name, self.server, START_SECONDS) as (session, tools):
                if not opened.done():
                    opened.set_result(Line(session, {tool.name: tool for tool in tools}, closing))
                await closing.wait()
        except Exception as error:
            if not opened.done():
                opened.set_exception(error)
            else:
                _log.info("the line to the MCP server %r broke: %r", self.name, error)
        finally:
            opened.cancel()

    def drop(self, line: Line) -> None:
        """Use a line no more; it closes by itself."""
        line.closing.set()
        if self.line is line:
            self.line = None

    async def close(self) -> None:
        """End the session, and what is left of earlier ones."""
        if self.line is not None:
            self.drop(self.line)
        keepers = set(self.keepers)
        if keepers:
            _, late = await asyncio.wait(keepers, timeout=CLOSE_SECONDS)
            for keeper in late:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)


async def answers(line: Line, seconds: float) -> bool:
    """Whether the server behind a line is there; one that is in doubt is asked."""
    if line.keeper is None or line.keeper.done():
        return False
    if line.doubtful:
        try:
            async with asyncio.timeout(seconds):
                await line.session.send_ping()
        except Exception:
            return False
        line.doubtful = False
    return True


_servers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, McpServer], Server]] = WeakKeyDictionary()


def server_of(name: str, server: McpServer) -> Server:
    """A server as the running loop sees it."""
    mine = _servers.setdefault(asyncio.get_running_loop(), {})
    return mine.setdefault((name, server), Server(name, server))


async def close_sessions() -> None:
    """End the sessions of the running event loop, and with them the programs that were started."""
    mine = _servers.pop(asyncio.get_running_loop(), {})
    await asyncio.gather(*(server.close() for server in mine.values()))
