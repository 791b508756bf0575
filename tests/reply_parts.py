"""What the tests of transports share: tools, a call, and a reply taken apart."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage

from agents.context import Transport
from agents.toolcalls import incoming
from agents.tools import SEARCH

OPEN: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "open",
        "description": "Open a page.",
        "parameters": {
            "type": "object",
            "properties": {"page": {"type": "string"}, "line": {"type": "integer"}},
            "required": ["page", "line"],
        },
    },
}
TOOLS = (SEARCH, OPEN)
TRANSPORTS: tuple[Transport, ...] = ("text", "hermes")
CALL = {"name": "search", "args": {"query": "kettle limit"}, "id": "a"}
Calls = list[tuple[str, dict[str, Any]]]


def calls_of(message: AIMessage) -> Calls:
    """(name, arguments) of each call."""
    return [(call["name"], call["args"]) for call in message.tool_calls]


def came(transport: Transport, text: str, **more: Any) -> tuple[str, Calls, list[str]]:
    """Content, calls and mends of a reply; nothing of it may be unreadable."""
    message, mended = incoming(transport, AIMessage(text, **more), TOOLS)
    assert not message.invalid_tool_calls, message.invalid_tool_calls
    return str(message.content), calls_of(message), mended


def search(query: str) -> tuple[str, dict[str, Any]]:
    return ("search", {"query": query})
