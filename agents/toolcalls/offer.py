"""The tools on offer, as a transport needs them: which name a model means, and what its arguments are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_MARKS = "`*_\"' \t\r\n:.,;[](){}<>"
_PREFIXES = ("functions.", "function.", "tools.", "tool.", "functions:", "tool:")


class Offer:
    """Names and parameters of offered tools (JSON schemas in OpenAI's form)."""

    def __init__(self, tools: Sequence[dict[str, Any]]) -> None:
        self.parameters: dict[str, dict[str, Any]] = {}
        for tool in tools:
            function = tool.get("function", tool)
            self.parameters[function["name"]] = function.get("parameters") or {}

    def named(self, name: str) -> str | None:
        """The offered tool that a model means by `name`; None where there is none."""
        if name in self.parameters:
            return name
        if len(name) > 200:
            return None
        bare = name.strip(_MARKS)
        for prefix in _PREFIXES:
            bare = bare.removeprefix(prefix)
        if bare in self.parameters:
            return bare
        same = [each for each in self.parameters if each.casefold() == bare.casefold()]
        return same[0] if len(same) == 1 else None

    def known(self, tool: str | None) -> set[str]:
        """Names of a tool's arguments."""
        return set(self.parameters.get(tool or "", {}).get("properties") or ())

    def kind(self, tool: str | None, argument: str) -> Any:
        """The JSON type of an argument; None where the schema does not say."""
        found = (self.parameters.get(tool or "", {}).get("properties") or {}).get(argument)
        return found.get("type") if isinstance(found, dict) else None

    def sole(self, tool: str | None) -> str | None:
        """The argument of a tool that requires exactly one, a string: plain words can only be meant for it."""
        required = self.parameters.get(tool or "", {}).get("required") or []
        return required[0] if len(required) == 1 and self.kind(tool, required[0]) == "string" else None
