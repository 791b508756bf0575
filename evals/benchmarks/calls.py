"""The benchmark `calls`: one turn with six invented tools, 40 requests; what is called is compared as a tree.

The comparison is that of the Berkeley Function Calling Leaderboard: the same tools, every argument one of the allowed
values, an optional one may be left out where that is allowed, several calls in any order; texts are compared without
case, blanks and punctuation. Twelve requests fit no tool, and nothing may be called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from ..scores import Column, Values
from . import RIGHT, Benchmark, Player, benchmarks

SYSTEM = (
    "You look after a greenhouse with the tools that you are given. Call the tools that do what is asked, all of them "
    "in this one turn, with the arguments that were given and no others. Where no tool does it, call none and answer."
)
OMITTED = ""
"""Among the allowed values of an argument: it may be left out."""
MAX_DEPTH = 16
"""Of lists and tables in an argument; deeper ones are unequal."""


class Wanted(BaseModel):
    """One call that is right."""

    model_config = ConfigDict(frozen=True)

    name: str
    arguments: dict[str, list[Any]]
    """Argument -> allowed values."""


class Item(BaseModel):
    """One request."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str
    """one, option, several or none."""
    question: str
    calls: tuple[Wanted, ...]


@cache
def data() -> dict[str, Any]:
    """calls.json."""
    found: dict[str, Any] = json.loads((files(__package__) / "calls.json").read_text(encoding="utf-8"))
    return found


@cache
def tools() -> tuple[dict[str, Any], ...]:
    """The schemas of the tools; one tuple, so that a model's binding of them is kept."""
    return tuple(data()["tools"])


@benchmarks.register("calls")
class Calls(Benchmark):
    """Single-turn tool calling."""

    title = "one turn with six tools that no training has seen"
    columns: ClassVar[Mapping[str, Column]] = {
        "right": RIGHT,
        "called": Column(title="called right", short="calls", legend="Of the requests that want calls: right ones."),
        "abstained": Column(
            title="called nothing", short="none", legend="Of the requests that fit no tool: nothing was called."
        ),
    }

    def prepare(self, folder: Path) -> Sequence[Item]:
        """The requests that come with Retort."""
        return [Item.model_validate(row) for row in data()["items"]]

    async def play(self, item: Item, player: Player) -> dict[str, Any]:
        """One turn of the reasoning seat, through its transport."""
        from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

        from agents.models.desk import call
        from agents.toolcalls import incoming, outgoing, stop_words

        seat = player.context.team.reason
        sent: list[BaseMessage] = [SystemMessage(SYSTEM), HumanMessage(item.question)]
        bound: Sequence[dict[str, Any]] = tools()
        options: dict[str, Any] = {}
        if seat.transport != "native":
            sent, bound, options = outgoing(seat.transport, sent, tools()), (), {"stop": stop_words(seat.transport)}
        reply, _ = await call(seat, player.role, sent, tools=bound, **options)
        message, mended = incoming(seat.transport, reply, tools())
        return {
            "content": str(message.text),
            "calls": [{"name": each["name"], "arguments": each["args"]} for each in message.tool_calls],
            "unreadable": [str(each.get("error") or "") for each in message.invalid_tool_calls],
            "mended": mended,
        }

    def score(self, item: Item, played: Mapping[str, Any]) -> Values:
        """Right or wrong, over all requests and by whether they want calls."""
        right = float(not played["unreadable"] and agrees(item.calls, played["calls"]))
        return {"right": right, "called": right if item.calls else None, "abstained": None if item.calls else right}


def agrees(wanted: Sequence[Wanted], made: Sequence[Mapping[str, Any]]) -> bool:
    """Whether calls are the wanted ones, in any order."""
    if len(wanted) != len(made):
        return False
    if not wanted:
        return True
    first, rest = wanted[0], wanted[1:]
    return any(fits(first, call) and agrees(rest, [*made[:at], *made[at + 1 :]]) for at, call in enumerate(made))


def fits(wanted: Wanted, call: Mapping[str, Any]) -> bool:
    """Whether a call is a wanted one."""
    arguments = call["arguments"]
    if call["name"] != wanted.name or not isinstance(arguments, Mapping) or set(arguments) - set(wanted.arguments):
        return False
    for name, allowed in wanted.arguments.items():
        if name not in arguments:
            if OMITTED not in allowed:
                return False
        elif not any(same(arguments[name], value) for value in allowed if value != OMITTED):
            return False
    return True


def same(one: Any, other: Any, depth: int = 0) -> bool:
    """Whether two JSON values are equal: numbers by value, truth values apart, texts by their letters and digits."""
    if depth > MAX_DEPTH:
        return False
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    if isinstance(one, str) and isinstance(other, str):
        return plain(one) == plain(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b, depth + 1) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name], depth + 1) for name in one)
    return one is None and other is None


def plain(text: str) -> str:
    """A text without case, blanks and the punctuation that says nothing in an argument."""
    return re.sub(r"[\s,./\-_*^'\"]", "", text).casefold()
