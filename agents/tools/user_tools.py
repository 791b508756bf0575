"""The user's own tools: LangChain tools or plain functions, named `module:function` or `/path/file.py:function`."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..own_code import own_object

if TYPE_CHECKING:
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import BaseTool


def own_tool(spec: str) -> BaseTool:
    """The tool that `spec` names; it runs the code of its module.

    Raises:
        ConfigError: no such module, file or attribute, or one that is no tool.
    """
    from langchain_core.tools import BaseTool, tool

    found = own_object(spec, "tool")
    if isinstance(found, BaseTool):
        return found
    if not inspect.isroutine(found):
        raise ConfigError(
            f"tool {spec!r} is of type {type(found).__name__}: name a function, or a LangChain tool already made"
        )
    try:
        return tool(found, parse_docstring=True, error_on_invalid_docstring=False)
    except Exception as error:
        raise ConfigError(
            f"tool {spec!r} cannot be described to a model ({error}): "
            "give the function a docstring, and each of its arguments a type"
        ) from error


async def run_tool(tool: BaseTool, arguments: dict[str, Any]) -> ToolMessage:
    """What a LangChain tool returns, or raises; one without a coroutine of its own runs in a thread."""
    call = {"type": "tool_call", "id": "call", "name": tool.name, "args": arguments}
    message = await (tool.ainvoke(call) if is_async(tool) else in_thread(lambda: tool.invoke(call)))
    return as_message(message)


def as_message(returned: Any) -> ToolMessage:
    """What invoking a tool with a tool call returned; a LangGraph Command is no observation, and shows as text."""
    from langchain_core.messages import ToolMessage

    return returned if isinstance(returned, ToolMessage) else ToolMessage(str(returned), tool_call_id="call")


def is_async(tool: BaseTool) -> bool:
    """Whether a tool has a coroutine of its own."""
    from langchain_core.tools import BaseTool

    if hasattr(tool, "coroutine"):  # LangChain's own classes have `_arun` either way
        return tool.coroutine is not None
    return type(tool)._arun is not BaseTool._arun


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run `function` in a thread of its own, which is left behind when the caller is cancelled.

    Not asyncio's pool: calls that hang would hold its few threads, and the process would wait for them at its end.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
    context = contextvars.copy_context()

    def run() -> None:
        returned, raised = None, None
        try:
            returned = context.run(function)
        except BaseException as error:
            raised = error
        try:
            loop.call_soon_threadsafe(settle, returned, raised)
        except RuntimeError:  # the loop has ended: nobody waits any more
            return

    def settle(returned: Any, raised: BaseException | None) -> None:
        if not outcome.done():
            outcome.set_result((returned, raised))

    threading.Thread(target=run, name="retort-tool", daemon=True).start()
    returned, raised = await outcome
    if raised is not None:
        raise raised
    return returned
