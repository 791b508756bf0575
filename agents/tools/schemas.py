"""The tools of the manual, as the JSON schemas that the reasoning agent is offered; other tools bring their own."""

from __future__ import annotations

from typing import Any


def one_string(name: str, description: str, argument: str) -> dict[str, Any]:
    """The schema of a tool with one argument, a string."""
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {argument: {"type": "string"}},
                "required": [argument],
            },
        },
    }


SEARCH = one_string("search", "Search the manual.", "query")
OPEN = one_string("open", "Open a page or a section of the manual by its title.", "page")
FIND = one_string("find", "Find exact text in the manual.", "text")

BUILTIN: dict[str, dict[str, Any]] = {"search": SEARCH, "open": OPEN, "find": FIND}
"""Name -> schema."""
ARGUMENT = {"search": "query", "open": "page", "find": "text"}
"""Name -> its one argument."""
