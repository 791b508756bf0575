"""Step pairs for preference training: one history, and two assistant turns that go on from it, of two sampled episodes.

Two episodes of one task that agree message by message up to an assistant turn, and differ in that turn, are siblings
there. A pair is made where one of them was accepted and the other's turn can be blamed for what became of it. Which
turn that is, is decided by a rule and not by a judge: the *first* assistant turn in which the two differ. It can be
blamed where

* it was sent back (a critique or a malformed call's error follows it), or
* the episode was dropped for what its player did (`BLAMED`), and either this turn ended it, or it never found what the
  task's evidence says after this turn, and no tool failed from here on.

Episodes that part in what a tool brought (a fault that was put in, say) make no pair: their histories differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from agents.task import Task
from graphs.trajectory import Trajectory

from .dataset import sft_row, values_of
from .keep import Dropped
from .rows import Row, RowFile, Source

BLAMED = frozenset({"loop", "refused", "gave_up", "malformed", "wrong", "no_search", "ungrounded", "judged"})
"""Reasons to drop an episode that its player's turns can be blamed for. Limits of time, say, are none."""
ACCEPTED = "surplus"
"""The reason to drop an episode that is good, where a shorter one of its task was kept."""
ANSWERED = "accepted"
"""What stands as the reason of a turn that was sent back in an episode that was accepted later."""

Message = dict[str, Any]


def pairs(source: Source) -> Iterator[Row]:
    """The pairs of all tasks: for each episode that went wrong the accepted sibling that went along with it longest."""
    reasoning = source.config.reasoning
    for kept, dropped in source.siblings():
        good = [*kept, *(each.trajectory for each in dropped if each.reason == ACCEPTED)]
        made: set[str] = set()
        # a turn that was sent back may stand in a kept episode too
        for each in [*dropped, *(Dropped(reason=ANSWERED, trajectory=t) for t in kept)]:
            row = best(good, each, source.tasks.get(each.trajectory.task_id), reasoning)
            if row is None:
                continue
            content = json.dumps([row["messages"], row["chosen"], row["rejected"]], sort_keys=True)
            if content not in made:  # several samples may go wrong in the same words
                made.add(content)
                yield row


def best(good: Sequence[Trajectory], bad: Dropped, task: Task | None, reasoning: bool) -> Row | None:
    """The pair of a dropped episode with the accepted one that agrees with it longest; None where there is none."""
    longest: Row | None = None
    for each in good:
        row = pair(each, bad, task, reasoning)
        if row is not None and (longest is None or row["turn"] > longest["turn"]):
            longest = row
    return longest


def pair(good: Trajectory, bad: Dropped, task: Task | None, reasoning: bool) -> Row | None:
    """The pair of two episodes; None where they part elsewhere than in a turn, or that turn cannot be blamed."""
    rows = [sft_row(each, reasoning=reasoning) for each in (good, bad.trajectory)]
    one, two = (unflagged(row["messages"]) for row in rows)
    if rows[0]["tools"] != rows[1]["tools"]:
        return None
    at = parted(one, two)
    if at is None or sent_back(one, at) or not blamed(bad, two, at, task):
        return None
    return {
        "messages": one[:at],
        "tools": rows[0]["tools"],
        "chosen": one[at],
        "rejected": two[at],
        "key": good.key,
        "rejected_key": bad.trajectory.key,
        "task_id": good.task_id,
        "turn": at,
        "reason": bad.reason if bad.reason in BLAMED else ANSWERED,
    }


def unflagged(messages: Sequence[Message]) -> list[Message]:
    """Messages without the flag that keeps a turn from being trained: it is no part of what is said."""
    return [{key: value for key, value in message.items() if key != "train"} for message in messages]


def parted(one: Sequence[Message], two: Sequence[Message]) -> int | None:
    """Index of the first message in which two episodes differ; None where that is no assistant turn of both."""
    for at, (left, right) in enumerate(zip(one, two, strict=False)):
        if left != right:
            return at if left["role"] == right["role"] == "assistant" else None
    return None


def sent_back(messages: Sequence[Message], at: int) -> bool:
    """Whether a turn got a critique, or the error of a malformed call, for an answer."""
    return at + 1 < len(messages) and messages[at + 1]["role"] == "user"


def blamed(bad: Dropped, messages: Sequence[Message], at: int, task: Task | None) -> bool:
    """Whether a turn of a dropped episode can be blamed for what became of it."""
    if sent_back(messages, at):
        return True
    if bad.reason not in BLAMED:
        return False
    if not any(message["role"] == "assistant" for message in messages[at + 1 :]):
        return True
    before = sum(message["role"] == "tool" for message in messages[:at])
    later = bad.trajectory.tool_uses[before:]
    if any(use.fault or use.error for use in later):
        return False
    found = {hit.chunk for search in bad.trajectory.searches for hit in search.hits}
    return task is not None and not set(task.evidence) <= found


def text(row: Row) -> str:
    """All that a pair says, each value on lines of its own."""
    parts = [row["messages"], row["chosen"], row["rejected"], json.loads(row["tools"])]
    return "\n".join(line for part in parts for line in values_of(part))


PAIRS = RowFile(
    name="dpo.jsonl",
    make=pairs,
    text=text,
    key=lambda row: f"{row['key']}+{row['rejected_key']}",
    about="`messages` (the history that both share), `chosen` and `rejected` (one assistant turn each), `tools` (JSON "
    "string), `key` and `rejected_key` of the two episodes, `task_id`, `turn` (index of the message in which they "
    "part), `reason` why the second was dropped",
)
