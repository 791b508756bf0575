"""Plays one episode: a task on THE graph, bounded, and its trajectory.

What players do wrong ends up on the trajectory by name. Only an endpoint's lasting failure (ProviderError), a pause for
want of budget and programming errors come out as exceptions; none is an attempt, so none makes a trajectory.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)
from langgraph.errors import GraphRecursionError

from agents.context import Context
from agents.models.attempts import remembered
from agents.models.meter import Account
from agents.models.samples import sampling
from agents.spent import Spent
from agents.state import Episode
from agents.task import Form, Task
from agents.tools import offered

from .board import board_hash, episode_key, team_identity
from .labels import label_of
from .react import graph
from .trajectory import COSTS, Call, ToolUse, Trajectory, Usage, Verdict, without_sent_back


@dataclass(frozen=True)
class Table:
    """A context with its hashes, worked out once for many episodes."""

    context: Context
    board: str
    team: str
    """`team_identity`."""

    @classmethod
    def from_context(cls, context: Context) -> Table:
        """Hash the board and the players of `context`; reads the library and the seats' files."""
        return cls(context=context, board=board_hash(context), team=team_identity(context.team))

    def key(self, task: Task, sample: int = 0) -> str:
        """The key of an episode at this table."""
        return episode_key(task, self.team, self.board, self.context.mode, self.context.form, sample)


class Paused(Exception):
    """The budget was used up in the middle of an episode.

    Attributes:
        state: the episode so far as JSON, to go on with; None where nothing had been played.
    """

    def __init__(self, state: str | None) -> None:
        super().__init__("the budget is used up")
        self.state = state


async def play(task: Task, table: Table, *, sample: int = 0, begun: str | None = None) -> Trajectory:
    """Play `task` and return its record.

    Args:
        begun: what `Paused.state` kept of this episode.

    Raises:
        ProviderError: an endpoint failed for good; there is no record.
        Paused: the budget is used up.
    """
    context = table.context
    since = time.monotonic()
    start = opening_state(task, context.form, sample)
    if begun is not None:
        start |= thawed(begun)
    try:
        with remembered(), sampling(sample):
            state: dict[str, Any] = await graph.ainvoke(
                start, {"recursion_limit": recursion_limit(context)}, context=context
            )
    except GraphRecursionError:  # cannot happen while every turn counts a step; kept as the named end if it does
        state = {**start, "stop": "limit:rounds"}
    if state.get("stop") == "paused":
        raise Paused(frozen(state) if state.get("messages") else None)
    return record(state, task, table, sample=sample, seconds=time.monotonic() - since)


def opening_state(task: Task, form: Form, sample: int = 0) -> Episode:
    """The graph's input for a task; everything from `gold` on is for the verifier's last check alone."""
    return {
        "question": task.question,
        "options": list(task.shown(form)),
        "sample": sample,
        "gold": task.gold,
        "aliases": list(task.aliases),
        "parts": list(task.parts),
        "stated": [hop.value for hop in task.hops],
    }


def recursion_limit(context: Context) -> int:
    """LangGraph's recursion limit of an episode.

    reason + act/repair/verify a turn, and room: the context's own limits end the episode first.
    """
    limits = context.board.limits
    return 4 * (limits.steps + limits.repairs + limits.revisions) + 10


def frozen(state: Mapping[str, Any]) -> str:
    """An unfinished episode as JSON."""
    rest = {name: value for name, value in state.items() if name not in ("messages", "stop")}
    return json.dumps({**rest, "messages": messages_to_dict(state["messages"])}, ensure_ascii=False)


def thawed(text: str) -> Episode:
    """Inverse of `frozen`."""
    state: Episode = json.loads(text)
    return {**state, "messages": messages_from_dict(state["messages"])}  # type: ignore[arg-type, typeddict-item]


def record(state: Mapping[str, Any], task: Task, table: Table, *, sample: int, seconds: float) -> Trajectory:
    """The trajectory of a graph state that has ended."""
    context = table.context
    tool_uses = tuple(ToolUse.model_validate(row) for row in state.get("tool_uses") or [])
    verdict = Verdict.model_validate(state["verdict"]) if state.get("verdict") else None
    stop = state.get("stop") or "limit:rounds"
    repairs, revisions = state.get("repairs", 0), state.get("revisions", 0)
    return Trajectory(
        key=table.key(task, sample),
        task_id=task.id,
        team=context.team.name,
        mode=context.mode,
        form=context.form,
        sample=sample,
        board=table.board,
        messages=tuple(plain_messages(state.get("messages") or [])),
        tools=offered(context.board) if context.mode == "react" else (),
        tool_uses=tool_uses,
        answer=state.get("answer"),
        choice=state.get("choice"),
        quotes=tuple(state.get("quotes") or ()),
        verdict=verdict or Verdict(well_formed=False),
        stop=stop,
        label=label_of(stop, verdict, tool_uses, repairs + revisions),
        mended=dict(Counter(state.get("mended") or ())),
        repairs=repairs,
        revisions=revisions,
        calls=recorded_calls(state.get("spent") or []),
        usage=usage_of(state.get("spent") or [], calls=state.get("steps", 0), seconds=seconds),
    )


def recorded_calls(rows: Sequence[Spent]) -> tuple[Call, ...]:
    """What the model calls of an episode said, in the order in which they ended."""
    return tuple(
        Call.model_validate({**row["call"], **{name: row[name] for name in COSTS}})  # type: ignore[literal-required]
        for row in rows
        if "call" in row
    )


def usage_of(rows: Sequence[Spent], *, calls: int, seconds: float) -> Usage:
    """What an episode cost, by role and in all."""
    roles: dict[str, Account] = {}
    for row in rows:
        roles[row["role"]] = roles.get(row["role"], Account()).plus(row)
    return Usage(
        prompt=sum(each.prompt for each in roles.values()),
        completion=sum(each.completion for each in roles.values()),
        cached=sum(each.cached for each in roles.values()),
        usd=sum(each.usd for each in roles.values()),
        calls=calls,
        seconds=round(seconds, 4),
        roles=roles,
    )


def plain_messages(messages: Sequence[AnyMessage]) -> list[dict[str, Any]]:
    """LangChain messages in OpenAI's chat form, with `node` and `train`; tool call ids become call_1, call_2, ..."""
    names: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for message in messages:
        text = message.content if isinstance(message.content, str) else json.dumps(message.content)
        if isinstance(message, SystemMessage):
            rows.append({"role": "system", "content": text, "node": "reason", "train": False})
        elif isinstance(message, HumanMessage):
            node = message.additional_kwargs.get("node", "task")
            rows.append({"role": "user", "content": text, "node": node, "train": False})
        elif isinstance(message, ToolMessage):
            name = names.get(message.tool_call_id, message.tool_call_id)
            row = {"role": "tool", "name": message.name, "tool_call_id": name, "content": text}
            rows.append({**row, "node": "act", "train": False})
        elif isinstance(message, AIMessage):
            rows.append(plain_turn(message, text, names))
    return without_sent_back(rows)


def plain_turn(message: AIMessage, text: str, names: dict[str, str]) -> dict[str, Any]:
    """One assistant turn; a turn whose call could not be read is marked and never trained."""
    row: dict[str, Any] = {"role": "assistant", "content": text}
    thought = message.additional_kwargs.get("reasoning_content")
    if thought:
        row["reasoning_content"] = thought
    if message.tool_calls:
        row["tool_calls"] = []
        for call in message.tool_calls:
            name = names.setdefault(call["id"] or f"?{len(names)}", f"call_{len(names) + 1}")
            function = {"name": call["name"], "arguments": call["args"]}
            row["tool_calls"].append({"id": name, "type": "function", "function": function})
    bad = message.additional_kwargs.get("malformed") or (message.invalid_tool_calls or None)
    if bad:
        row["malformed"] = str(bad)
    return {**row, "node": "reason", "train": not bad}
