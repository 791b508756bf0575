"""The kit: every tool of a board (the manual's, the user's own, those of MCP servers), and one way to use them."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..context import Board, Context, McpServer
from ..errors import ConfigError
from .checks import validator
from .results import Observation, broken, failed, observation_of
from .schemas import BUILTIN

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from ..corpus.library import Library

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Endpoints refuse other names of tools."""


@dataclass(frozen=True)
class Kit:
    """The tools of a board."""

    schemas: tuple[dict[str, Any], ...]
    """In the order of the board, MCP servers last."""
    own: dict[str, BaseTool]
    served: dict[str, tuple[str, McpServer]]
    """Tool -> the name of its server in the config, and the server."""


_kits: dict[tuple[tuple[str, ...], tuple[tuple[str, McpServer], ...]], Kit] = {}
_lock = threading.Lock()


def offered(board: Board) -> tuple[dict[str, Any], ...]:
    """The schemas of a board's tools in OpenAI's form; worked out once a process.

    The first time it imports the user's tools and starts every MCP server for a moment, and blocks while it does.

    Raises:
        ConfigError: a tool that is not there, two of one name, a server that does not start.
        MissingExtra: there are MCP servers, and the extra "mcp" is not installed.
    """
    return kit_of(board).schemas


def kit_of(board: Board) -> Kit:
    """The kit of a board; see `offered`."""
    name = (board.tools, tuple(board.mcp.items()))
    kit = _kits.get(name)
    if kit is None:
        with _lock:
            kit = _kits.get(name) or _kits.setdefault(name, gathered(board))
    return kit


async def offering(board: Board) -> tuple[dict[str, Any], ...]:
    """`offered` for an event loop: what blocks is done in a thread."""
    return (await ready_kit(board)).schemas


async def ready_kit(board: Board) -> Kit:
    """`kit_of` for an event loop."""
    kit = _kits.get((board.tools, tuple(board.mcp.items())))
    return kit if kit is not None else await asyncio.to_thread(kit_of, board)


def gathered(board: Board) -> Kit:
    """Bring a board's tools together."""
    schemas: dict[str, dict[str, Any]] = {}
    own: dict[str, BaseTool] = {}
    served: dict[str, tuple[str, McpServer]] = {}

    def add(schema: dict[str, Any], source: str) -> str:
        name: str = schema["function"]["name"]
        if name in schemas or (name in BUILTIN and name != source):
            raise ConfigError(f"{source!r} brings another tool named {name!r}: rename it, or leave one of them out")
        schemas[name] = schema
        return name

    for spec in board.tools:
        if spec in BUILTIN:
            add(BUILTIN[spec], spec)
        elif ":" in spec:
            from .user_tools import own_tool

            tool = own_tool(spec)
            own[add(schema_of(tool, spec), spec)] = tool
        else:
            raise ConfigError(
                f"board.tools: there is no tool {spec!r}; there are {', '.join(BUILTIN)}, "
                "and your own as module:function or /path/file.py:function"
            )
    for place, server in board.mcp.items():
        from .mcp_servers import listed

        for tool in listed(place, server):
            served[add(schema_of(tool, f"board.mcp.{place}"), f"board.mcp.{place}")] = place, server
    return Kit(tuple(schemas.values()), own, served)


def schema_of(tool: BaseTool, source: str) -> dict[str, Any]:
    """A tool's schema in OpenAI's form, references resolved; raises ConfigError for one that no endpoint would take."""
    from jsonschema import SchemaError
    from langchain_core.utils.function_calling import convert_to_openai_tool

    try:
        schema: dict[str, Any] = convert_to_openai_tool(tool)
        validator(json.dumps(schema["function"].setdefault("parameters", {"type": "object", "properties": {}})))
    except (SchemaError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"the tool {tool.name!r} of {source!r} has no usable schema: {str(error)[:200]}") from error
    if not _NAME.fullmatch(schema["function"]["name"]):
        raise ConfigError(
            f"{source!r}: endpoints refuse {tool.name!r} as the name of a tool; "
            "use letters, digits, _ and -, 64 at the most, or leave it out by the server's `tools`"
        )
    return schema


async def use(context: Context, library: Library, name: str, arguments: dict[str, Any]) -> Observation:
    """Call a tool other than `search`, whose arguments have been checked; what goes wrong in it is an observation.

    Raises:
        ConfigError, MissingExtra: as `offered`, where that was not called before.
    """
    if name in ("open", "find"):
        from .library_tools import find_text, open_page

        if name == "open":  # in a thread: the nearest titles of a library of 20,000 chunks take half a second
            return await asyncio.to_thread(open_page, library, arguments["page"])
        return await asyncio.to_thread(find_text, library, arguments["text"])
    kit = await ready_kit(context.board)
    seconds = context.board.limits.tool_seconds
    task = asyncio.current_task()
    try:
        if name in kit.own:
            from .user_tools import run_tool

            async with asyncio.timeout(seconds) as clock:
                message = await run_tool(kit.own[name], arguments)
        elif name in kit.served:
            from .mcp_servers import server_of

            message = await server_of(*kit.served[name]).call(name, arguments, seconds)
        else:
            return failed(f"there is no tool named {name!r}")
    except TimeoutError as error:
        late = name in kit.served or clock.expired()
        return failed(f"{name} timed out after {seconds:g} s") if late else broken(name, error)
    except asyncio.CancelledError:
        if task is None or task.cancelling():
            raise
        return broken(name, "it was cancelled")
    except (Exception, SystemExit) as error:
        return broken(name, error)
    return observation_of(name, message)


async def close_kits() -> None:
    """End the MCP sessions of the running event loop; the next call opens new ones."""
    servers = sys.modules.get(f"{__package__}.mcp_servers")
    if servers is not None:
        await servers.close_sessions()
