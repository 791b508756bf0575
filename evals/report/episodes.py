"""The trajectories that travel inside the report, as JSON that cannot leave its script element.

Every text is stored once and named by its number (arms of one board read the same observations). When the episodes pass
the size allowed, tasks are left out whole, and the report says how many.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agents.task import Form, Task, is_right
from graphs.trajectory import Trajectory

from ..rows import Leaderboard

LIMIT = 5_000_000
"""Bytes of embedded JSON."""
LONGEST = 12_000
"""Characters of one text; what is more is cut, with a note of how much."""
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


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
        text = str(value)
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}\n[cut here: {len(text) - LONGEST} characters more]"
        if text not in self._known:
            self._known[text] = len(self.rows)
            self.rows.append(text)
            self.size += len(script_json(text)) + 1
        return self._known[text]


def message(row: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """One message: role, content, tool calls as text, and what went wrong with it."""
    shown: dict[str, Any] = {"role": str(row.get("role")), "text": texts.add(row.get("content") or "")}
    calls = []
    for call in row.get("tool_calls") or ():
        function = call.get("function", {})
        said = json.dumps(function.get("arguments"), ensure_ascii=False)
        calls.append(texts.add(f"{function.get('name')}({said})"))
    if calls:
        shown["calls"] = calls
    if row.get("reasoning_content"):
        shown["hidden"] = texts.add(row["reasoning_content"])
    if row.get("malformed"):
        shown["malformed"] = texts.add(row["malformed"])
    if row.get("node") in ("repair", "verify"):
        shown["node"] = row["node"]
    return shown


def episode(task: Task, t: Trajectory, texts: Texts) -> dict[str, Any]:
    """One trajectory for the viewer."""
    return {
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
        "found": [texts.add(hit.chunk) for search in t.searches for hit in search.hits],
        "usage": [t.usage.prompt, t.usage.completion, t.usage.calls, round(t.usage.seconds, 2)],
        "key": t.key,
    }


def task_row(number: int, task: Task, seats: Sequence[Seated], texts: Texts) -> dict[str, Any]:
    """One task with the episodes of all arms and forms, null where there is none."""
    found = [seated.played.get(task.id) for seated in seats]
    return {
        "number": number,
        "id": texts.add(task.id),
        "level": task.level,
        "kind": texts.add(task.kind),
        "unseen": task.unseen_module,
        "question": texts.add(task.question),
        "options": [texts.add(option) for option in task.options],
        "gold": texts.add(task.gold),
        "evidence": [texts.add(chunk) for chunk in task.evidence],
        "episodes": [None if t is None else episode(task, t, texts) for t in found],
    }


def viewer(board: Leaderboard, tasks: Sequence[Task], seats: Sequence[Seated], limit: int = LIMIT) -> tuple[str, str]:
    """(JSON for the page, note on what was left out).

    Args:
        seats: every arm in the primary form first, in the order of the rows.
        limit: bytes that the JSON may take.
    """
    arms = [row.arm for row in board.rows]
    hero = board.hero().arm
    texts = Texts()
    rows: list[dict[str, Any]] = []
    size = 10_000
    for number, task in _in_order_of_interest(tasks, seats[arms.index(hero)].played):
        before = (len(texts.rows), texts.size)
        row = task_row(number, task, seats, texts)
        cost = len(script_json(row)) + 1
        if size + cost + texts.size > limit:
            del texts.rows[before[0] :]
            texts.size = before[1]
            break
        size += cost
        rows.append(row)
    rows.sort(key=lambda row: int(row["number"]))
    about = [
        {
            "name": seat.arm if seat.form == board.form else f"{seat.arm} ({seat.form} form)",
            "kind": seat.kind,
            "form": seat.form,
        }
        for seat in seats
    ]
    teacher = board.first("teacher")
    left = teacher.arm if teacher and teacher.arm != hero else arms[0]
    data = {"arms": about, "hero": arms.index(hero), "left": arms.index(left), "texts": texts.rows, "tasks": rows}
    note = f"All {len(tasks)} held-out tasks, every arm and form that was played."
    if len(rows) < len(tasks):
        note = (
            f"{len(rows)} of {len(tasks)} held-out tasks, to keep this page below {limit / 1e6:.1f} MB: as many that "
            f"{hero} got wrong as right while both lasted. All of them stand in scores/*.trajectories.jsonl."
        )
    return script_json(data), note


def _in_order_of_interest(tasks: Sequence[Task], hero: Mapping[str, Trajectory]) -> Iterator[tuple[int, Task]]:
    """Wrong and right ones of the hero in turn, each in the exam's order."""
    wrong: list[tuple[int, Task]] = []
    good: list[tuple[int, Task]] = []
    for number, task in enumerate(tasks, 1):
        t = hero.get(task.id)
        right = t is not None and is_right(task, t.answer, t.form)
        (good if right else wrong).append((number, task))
    for i in range(max(len(wrong), len(good))):
        yield from wrong[i : i + 1]
        yield from good[i : i + 1]
