"""Takes calls out of an endpoint's message at which langchain-openai raises, so that they are mended and not lost.

It raises (1.7.3) where arguments are JSON but no object, or an object instead of its JSON, and where a call has no
function, or a name or an id that is no string: the whole reply would be lost.
"""

from __future__ import annotations

import json
from typing import Any

from langchain_core.messages import InvalidToolCall
from langchain_core.messages.tool import invalid_tool_call


def set_aside(message: dict[str, Any]) -> list[InvalidToolCall]:
    """Take those calls out of a chat completion's message.

    Put on the LangChain message as `invalid_tool_calls` they are mended by `incoming`, or sent back to the model.

    Args:
        message: as plain values; calls are taken out of it.
    """
    calls = message.get("tool_calls")
    if not calls:
        return []
    rows = calls if isinstance(calls, list) else [calls]
    message["tool_calls"] = [call for call in rows if not _raises(call)]
    return [_as_invalid(call) for call in rows if _raises(call)]


def _raises(call: Any) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return True
    arguments = function.get("arguments")
    if not isinstance(call.get("id"), (str, type(None))) or not isinstance(arguments, (str, type(None))):
        return True
    try:
        return bool(arguments) and not isinstance(json.loads(arguments or "{}"), (dict, type(None)))
    except ValueError:
        return False  # langchain-openai sets these aside itself
    except RecursionError:
        return True


def _as_invalid(call: Any) -> InvalidToolCall:
    outside = call if isinstance(call, dict) else {}
    inside = outside.get("function")
    if not isinstance(inside, dict):
        inside = outside
    name, said, mark = inside.get("name"), inside.get("arguments"), outside.get("id")
    return invalid_tool_call(
        name=name if isinstance(name, str) else None,
        args=said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, default=str),
        id=mark if isinstance(mark, str) else None,
        error="the arguments are no JSON object" if isinstance(name, str) else "the call names no tool",
    )
