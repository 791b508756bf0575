"""The tools that the reasoning agent is offered, as JSON schemas, and the check of a call against them."""

from __future__ import annotations

from typing import Any

SEARCH: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search the manual.",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string"}},
            "required": ["query"],
        },
    },
}

TOOLS: tuple[dict[str, Any], ...] = (SEARCH,)


def call_problem(name: str | None, arguments: Any) -> str | None:
    """What is wrong with a tool call, in words for the model; None where it can be run."""
    if name != "search":
        return f"there is no tool named {name!r}"
    if not isinstance(arguments, dict) or not isinstance(arguments.get("query"), str):
        return 'the argument "query" must be a string'
    if not arguments["query"].strip():
        return 'the argument "query" is empty'
    unknown = sorted(set(arguments) - {"query"})
    if unknown:
        return f"unknown argument {unknown[0]!r}"
    return None
