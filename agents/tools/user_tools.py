"""The user's own tools: LangChain tools or plain functions, named `module:function` or `/path/file.py:function`."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import BaseTool


def own_tool(spec: str) -> BaseTool:
    """The tool that `spec` names; it runs the code of its module.

    Raises:
        ConfigError: no such module, file or attribute, or one that is no tool.
    """
    from langchain_core.tools import BaseTool, tool

    place, _, attribute = spec.rpartition(":")
    module = module_of(place, spec)
    try:
        found = getattr(module, attribute)
    except AttributeError:
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        near = ", ".join(own[:5])
        raise ConfigError(f"tool {spec!r}: {place!r} has no {attribute!r}; it has {near or 'no functions'}") from None
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


def module_of(place: str, spec: str) -> ModuleType:
    """The module that a tool stands in, by its name or by its file; a file is loaded once a process."""
    path = Path(place)
    try:
        if path.suffix != ".py":
            return importlib.import_module(place)
        if not path.is_absolute():
            raise ConfigError(f"tool {spec!r}: write the file's whole path, from the root")
        if not path.is_file():
            raise ConfigError(f"tool {spec!r}: there is no file {place!r}; correct the path")
        name = f"retort_own_{path.stem}_{hashlib.sha256(place.encode()).hexdigest()[:8]}"
        return sys.modules.get(name) or from_file(name, path)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"tool {spec!r}: {place!r} cannot be imported ({type(error).__name__}: {error}); "
            "mend it, or name its file as /path/to/file.py:function"
        ) from error


def from_file(name: str, path: Path) -> ModuleType:
    """Load a file as the module `name`."""
    made = importlib.util.spec_from_file_location(name, path)
    assert made is not None
    assert made.loader is not None
    module = importlib.util.module_from_spec(made)
    sys.modules[name] = module  # before it runs: annotations of classes in it are looked up there
    try:
        made.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


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
