"""A stored trajectory as the graph's own states again: one update for each node that ran, to open it as a thread.

Folded by the state's reducers, the updates end in what the trajectory records. Messages and tool calls get ids made of
the episode's key, so a message edited under its id takes the old one's place. How a malformed call looked before it was
sent back is not on record (it stands as the text that the record has, marked); nor is, in records of version 1, what a
call cost alone (each role's sums are spread over its calls).
"""

from __future__ import annotations

from typing import Any, TypedDict, cast

from langchain_core.messages import AnyMessage, convert_to_messages

from agents.answers import LETTERS, match_option
from agents.models.meter import Account
from agents.spent import Spent
from agents.task import Task

from .episode import opening_state
from .react import closing
from .trajectory import COSTS, Call, ToolUse, Trajectory, Verdict, account_of

BY_REASON = ("loop", "limit:context", "refused")
"""Stops that the reason node gives together with the agent's last message."""

ROLES = {"search": "act", "extract": "act", "judge": "verify"}
"""Role -> node that calls it; every other role is called by `reason`."""


class Superstep(TypedDict):
    """What one node wrote, as `threads.create` and `update_state` of LangGraph take it."""

    as_node: str
    values: dict[str, Any]


def supersteps(trajectory: Trajectory, task: Task | None) -> list[Superstep]:
    """What the nodes of an episode wrote, in order; the first one is its input (`as_node="__start__"`).

    Args:
        task: the episode's task; without it the gold is unknown, and question and options are read off the first
            user message.

    Returns:
        One step a node that ran: plain JSON values, each the node's own partial update of `agents.state.Episode`.
    """
    steps = Replay(trajectory, task).steps()
    spread(steps, trajectory)
    return steps


class Replay:
    """One trajectory being taken apart."""

    def __init__(self, trajectory: Trajectory, task: Task | None) -> None:
        self.played = trajectory
        self.rows = trajectory.messages
        self.opened = next((i for i, row in enumerate(self.rows) if row["role"] == "assistant"), len(self.rows))
        asked = next((str(row["content"]) for row in self.rows if row["role"] == "user"), "")
        question, options = read_question(asked)
        self.question = task.question if task else question
        self.options = list(task.shown(trajectory.form)) if task else options
        self.task = task
        self.counts = {"steps": 0, "repairs": 0, "revisions": 0}
        self.observed = 0

    def steps(self) -> list[Superstep]:
        """Every node's update, without what the calls cost."""
        start: dict[str, Any] = {"question": self.question, "options": self.options, "sample": self.played.sample}
        if self.task is not None:
            start = dict(opening_state(self.task, self.played.form, self.played.sample))
        found = [step("__start__", {"gold": None, **start})]
        fresh = [self.message(i) for i in range(self.opened)]
        at = self.opened
        while at < len(self.rows):
            after = next((i for i in range(at + 1, len(self.rows)) if self.rows[i]["role"] == "assistant"), None)
            end = len(self.rows) if after is None else after
            found += self.turn(fresh, at, end)
            fresh, at = [], end
        if found[-1]["values"].get("stop") is None:
            found.append(step("reason", {**({"messages": fresh} if fresh else {}), "stop": self.played.stop}))
        return found

    def turn(self, fresh: list[dict[str, Any]], at: int, end: int) -> list[Superstep]:
        """The steps of the turn whose messages are rows `at` to `end`: reason, and the node that took it up."""
        row, last = self.rows[at], end == len(self.rows)
        text = self.message(at)
        reason = step("reason", {"messages": [*fresh, text], **self.counted("steps")})
        if last and end == at + 1 and self.played.stop in BY_REASON:
            reason["values"]["stop"] = self.played.stop
            return [reason]
        others = [self.message(i) for i in range(at + 1, end)]
        stop = {"stop": self.played.stop} if last else {}
        if row.get("malformed") or (last and row.get("tool_calls") and self.played.stop == "malformed"):
            if others:
                return [reason, step("repair", {"messages": [text, *others], **self.counted("repairs")})]
            marked = {**text, "additional_kwargs": {**text["additional_kwargs"], "malformed": "it cannot be run"}}
            if not row.get("malformed"):  # readable, and yet no call that can be run: marked while it waits for repair
                reason["values"]["messages"] = [*fresh, marked]
                return [reason, step("repair", {"messages": [text], **stop})]
            return [reason, step("repair", stop)]
        if row.get("tool_calls"):
            begun, self.observed = self.observed, self.observed + len(others)
            rows = [row.model_dump(mode="json") for row in self.played.tool_uses[begun : self.observed]]
            early = stop if len(others) < len(row["tool_calls"]) else {}
            return [reason, step("act", {"messages": others, "tool_uses": rows, **early})]
        return [reason, step("verify", self.judged(at, others, stop))]

    def judged(self, at: int, others: list[dict[str, Any]], stop: dict[str, str]) -> dict[str, Any]:
        """What the verify node wrote about the final message in row `at`."""
        if others:  # a critique: what it found is not on record, but follows from the message
            final = closing(cast(list[AnyMessage], convert_to_messages([self.message(i) for i in range(at + 1)])))
            return {
                "answer": final.answer,
                "choice": match_option(final.answer, self.options),
                "quotes": list(final.quotes),
                "messages": others,
                **self.counted("revisions"),
            }
        found: dict[str, Any] = {
            "answer": self.played.answer,
            "choice": self.played.choice,
            "quotes": list(self.played.quotes),
        }
        if self.played.verdict != Verdict(well_formed=False):  # else nothing was checked
            found["verdict"] = self.played.verdict.model_dump(mode="json")
        return {**found, **stop}

    def counted(self, name: str) -> dict[str, int]:
        """The update of a counter that goes up by one."""
        self.counts[name] += 1
        return {name: self.counts[name]}

    def message(self, at: int) -> dict[str, Any]:
        """Row `at` as a LangChain message in plain values, under an id of its own."""
        row, key = self.rows[at], self.played.key
        plain: dict[str, Any] = {"content": row["content"], "id": f"{key}-{at}", "additional_kwargs": {}}
        if row["role"] == "system":
            return {"type": "system", **plain}
        if row["role"] == "user":
            if row.get("node", "task") != "task":
                plain["additional_kwargs"]["node"] = row["node"]
            return {"type": "human", **plain}
        if row["role"] == "tool":
            use = self.use_of(at)
            failed = use is not None and use.error is not None
            called = {"name": row["name"], "tool_call_id": f"{key}-{row['tool_call_id']}"}
            return {"type": "tool", **plain, **called, "status": "error" if failed else "success"}
        for name in ("reasoning_content", "malformed"):
            if row.get(name):
                plain["additional_kwargs"][name] = row[name]
        plain["tool_calls"] = [
            {
                "name": call["function"]["name"],
                "args": call["function"]["arguments"],
                "id": f"{key}-{call['id']}",
                "type": "tool_call",
            }
            for call in row.get("tool_calls") or ()
        ]
        return {"type": "ai", **plain}

    def use_of(self, at: int) -> ToolUse | None:
        """The record of the tool call whose observation is row `at`."""
        before = sum(row["role"] == "tool" for row in self.rows[:at])
        return self.played.tool_uses[before] if before < len(self.played.tool_uses) else None


def step(node: str, values: dict[str, Any]) -> Superstep:
    """A step of the thread."""
    return {"as_node": node, "values": values}


def read_question(asked: str) -> tuple[str, list[str]]:
    """Question and options of the first user message: the inverse of `agents.reason.ask`."""
    lines = asked.splitlines()
    for first in range(1, len(lines)):
        tail = lines[first:]
        if len(tail) <= len(LETTERS) and all(line.startswith(f"{LETTERS[i]}) ") for i, line in enumerate(tail)):
            return "\n".join(lines[:first]), [line[3:] for line in tail]
    return asked, []


def spread(steps: list[Superstep], trajectory: Trajectory) -> None:
    """Put what the episode's calls cost, and what was mended, on the steps; sums stay as they are on record."""
    usage = trajectory.usage
    roles = usage.roles
    if not roles and usage.calls:  # records of version 0.1.0 have no roles
        roles = {"reason": Account(calls=usage.calls, prompt=usage.prompt, completion=usage.completion)}
    turns = [each for each in steps if each["as_node"] == "reason"]
    for role, cost in roles.items():
        places = [each for each in steps if each["as_node"] == ROLES.get(role, "reason")] or turns
        rows = [spent_of(each) for each in trajectory.calls if account_of(each.role) == role]
        rows = rows if len(rows) == cost.calls else shared(role, cost)
        for number, row in enumerate(rows):
            places[number * len(places) // len(rows)]["values"].setdefault("spent", []).append(row)
    mended = [name for name, times in trajectory.mended.items() for _ in range(times)]
    if mended:
        turns[0]["values"]["mended"] = mended


def spent_of(call: Call) -> Spent:
    """The row of a call on record."""
    text = call.model_dump(mode="json", exclude=set(COSTS))
    return cast(Spent, {**{name: getattr(call, name) for name in COSTS}, "role": account_of(call.role), "call": text})


def shared(role: str, cost: Account) -> list[Spent]:
    """One row a call, each with its share of what the role cost."""

    def part(total: int, number: int) -> int:
        return total * (number + 1) // cost.calls - total * number // cost.calls

    return [
        {
            "role": role,
            "prompt": part(cost.prompt, number),
            "completion": part(cost.completion, number),
            "cached": part(cost.cached, number),
            "usd": cost.usd / cost.calls,
            "seconds": cost.seconds / cost.calls,
        }
        for number in range(cost.calls)
    ]
