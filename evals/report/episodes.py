"""The trajectories that travel inside the report, as JSON that cannot leave its script element.

Every text is stored once and named by its number (arms of one board read the same observations). When the episodes pass
the size allowed, tasks are left out whole, and the report says how many.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agents.task import Form, Task, is_right
from graphs.trajectory import Trajectory

from ..rows import Leaderboard
from .collected import Collected

LIMIT = 5_000_000
"""Bytes of embedded JSON."""
COLLECTED = 2_000_000
"""Bytes that collected episodes may take beside these."""
LONGEST = 12_000
"""Characters of one text; what is more is cut, with a note of how much."""
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters that show nothing, or turn the direction of others: U+202E puts what follows backwards."""


def visible(text: str) -> str:
    """A text in which such characters stand as their codes, so that it reads as it is."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def script_json(value: Any) -> str:
    """JSON that stands inside a script element whatever its texts say: no `<`, `>`, `&`, and nothing beyond ASCII."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return "".join(_ESCAPES.get(c, c) for c in text) if any(c in text for c in "<>&") else text


class Seated(NamedTuple):
    """An arm in one form, with its episodes."""

    arm: str
    kind: str
    form: Form
    played: Mapping[str, Trajectory]
    """Task id -> trajectory."""


class Texts:
    """Texts by number, each kept once."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self._known: dict[str, int] = {}
        self.size = 0

    def add(self, value: object) -> int:
        """The number of a text."""
        text = visible(str(value))
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}\n[cut here: {len(text) - LONGEST} characters more]"
        if text not in self._known:
            self._known[text] = len(self.rows)
            self.rows.append(text)
            self.size += len(script_json(text)) + 1
        return self._known[text]

    def cut(self, rows: int, size: int) -> None:
        """Forget all texts after the first `rows`, which took `size`."""
        for text in self.rows[rows:]:
            del self._known[text]
        del self.rows[rows:]
        self.size = size


def message(row: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """One message: role, content, tool calls as text, and what went wrong with it."""
    shown: dict[str, Any] = {"role": str(row.get("role")), "text": texts.add(row.get("content") or "")}
    calls = []
    for call in row.get("tool_calls") or ():
        function = call.get("function", {})
        text = json.dumps(function.get("arguments"), ensure_ascii=False)
        calls.append(texts.add(f"{function.get('name')}({text})"))
    if calls:
        shown["calls"] = calls
    if row.get("reasoning_content"):
        shown["hidden"] = texts.add(row["reasoning_content"])
    if row.get("malformed"):
        shown["malformed"] = texts.add(row["malformed"])
    if row.get("node") in ("repair", "verify"):
        shown["node"] = row["node"]
    return shown


def beside(t: Trajectory, texts: Texts) -> list[dict[str, Any]]:
    """The model calls that stand in no message of the episode: rewrites, extracts, judgements, first thoughts."""
    return [
        {
            "role": call.role,
            "asked": texts.add("\n\n".join(f"{row['role']}: {row.get('content') or ''}" for row in call.messages)),
            "came": texts.add(call.reply.get("content") or ""),
            "usage": [call.prompt, call.completion],
        }
        for call in t.calls
        if call.reply is not None
    ]


def episode(task: Task, t: Trajectory, texts: Texts) -> dict[str, Any]:
    """One trajectory for the viewer."""
    calls = beside(t, texts)
    return {
        **({"beside": calls} if calls else {}),
        "messages": [message(row, texts) for row in t.messages],
        "quotes": [texts.add(quote) for quote in t.quotes],
        "answer": None if t.answer is None else texts.add(t.answer),
        "right": t.stop == "answered" and is_right(task, t.answer, t.form),
        "grounded": t.verdict.grounded,
        "well_formed": t.verdict.well_formed,
        "reasons": [texts.add(reason) for reason in t.verdict.reasons],
        "stop": texts.add(t.stop),
        "searches": len(t.searches),
        "repairs": t.repairs,
        "found": [texts.add(hit.chunk) for use in t.tool_uses for hit in use.hits],
        "usage": [t.usage.prompt, t.usage.completion, t.usage.calls, round(t.usage.seconds, 2)],
        "key": t.key,
        "as": [t.team, t.mode, t.form],
    }


def task_row(number: int, task: Task, found: Sequence[dict[str, Any] | None], texts: Texts) -> dict[str, Any]:
    """One task with its episodes for the viewer, arm by arm; null where there is none."""
    return {
        "number": number,
        "split": task.split,
        "id": texts.add(task.id),
        "level": task.level,
        "kind": texts.add(task.kind),
        "unseen": task.unseen_module,
        "question": texts.add(task.question),
        "options": [texts.add(option) for option in task.options],
        "gold": texts.add(task.gold),
        "evidence": [texts.add(chunk) for chunk in task.evidence],
        "episodes": list(found),
    }


class Page:
    """Task rows with their texts, up to a size."""

    def __init__(self, limit: int) -> None:
        self.texts = Texts()
        self.rows: list[dict[str, Any]] = []
        self.limit = limit
        self.size = 10_000

    def add(self, number: int, task: Task, played: Sequence[tuple[Trajectory | None, str]]) -> bool:
        """Add a task with its episodes and what became of each in the dataset; False, and nothing, where it is full."""
        before = (len(self.texts.rows), self.texts.size)
        found: list[dict[str, Any] | None] = []
        for t, became in played:
            row = None if t is None else episode(task, t, self.texts)
            if row is not None and became:
                row["dataset"] = self.texts.add(became)
            found.append(row)
        whole = task_row(number, task, found, self.texts)
        cost = len(script_json(whole)) + 1
        if self.size + cost + self.texts.size > self.limit:
            self.texts.cut(*before)
            return False
        self.size += cost
        self.rows.append(whole)
        return True


def viewer(
    board: Leaderboard,
    tasks: Sequence[Task],
    seats: Sequence[Seated],
    limit: int = LIMIT,
    collection: Collected | None = None,
) -> tuple[str, str]:
    """(JSON for the page, note on what was left out).

    Args:
        seats: every arm in the primary form first, in the order of the rows.
        limit: bytes that the JSON of the held-out episodes may take; collected ones get as many, COLLECTED at most.
        collection: the collected episodes.
    """
    arms = [row.arm for row in board.rows]
    primary = board.primary_row().arm
    page = Page(limit)
    for number, task in _in_order_of_interest(tasks, seats[arms.index(primary)].played):
        if not page.add(number, task, [(seated.played.get(task.id), "") for seated in seats]):
            break
    held_out = len(page.rows)
    about = [
        {
            "name": visible(seat.arm if seat.form == board.form else f"{seat.arm} ({seat.form} form)"),
            "kind": seat.kind,
            "form": seat.form,
            "split": "test",
        }
        for seat in seats
    ]
    shown = slots = 0
    if collection is not None:
        page.limit += min(limit, COLLECTED)
        for number, (task, episodes) in enumerate(collection.rows(), 1):
            played = [(t, collection.sorted_as.get(t.key, "")) for t in episodes]
            if not page.add(number, task, [*[(None, "")] * len(seats), *played]):
                break
            shown, slots = shown + len(episodes), max(slots, len(episodes))
        about += [
            {"name": "collected" if i == 0 else f"collected, episode {i + 1}", "kind": "", "form": "", "split": "train"}
            for i in range(slots)
        ]
    rows = sorted(page.rows, key=lambda row: (row["split"] == "train", int(row["number"])))
    for row in rows:
        row["episodes"] += [None] * (len(about) - len(row["episodes"]))
    teacher = board.first("teacher")
    left = teacher.arm if teacher and teacher.arm != primary else arms[0]
    data = {
        "arms": about,
        "primary": arms.index(primary),
        "left": arms.index(left),
        "texts": page.texts.rows,
        "tasks": rows,
    }
    note = f"All {len(tasks)} held-out tasks, every arm and form that was played."
    if held_out < len(tasks):
        note = (
            f"{held_out} of {len(tasks)} held-out tasks, to keep this page below {limit / 1e6:.1f} MB: as many that "
            f"{primary} got wrong as right while both lasted. All of them stand in scores/*.trajectories.jsonl."
        )
    if collection is not None:
        some = "" if shown == len(collection) else f" of {len(collection)}, tasks with a dropped one and others in turn"
        note += f" Collected: {shown} episodes{some}."
    return script_json(data), note


def _in_order_of_interest(tasks: Sequence[Task], primary: Mapping[str, Trajectory]) -> Iterator[tuple[int, Task]]:
    """Wrong and right ones of the primary in turn, each in the exam's order."""
    wrong: list[tuple[int, Task]] = []
    good: list[tuple[int, Task]] = []
    for number, task in enumerate(tasks, 1):
        t = primary.get(task.id)
        right = t is not None and is_right(task, t.answer, t.form)
        (good if right else wrong).append((number, task))
    for i in range(max(len(wrong), len(good))):
        yield from wrong[i : i + 1]
        yield from good[i : i + 1]
