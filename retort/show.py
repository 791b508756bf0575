"""What a person looks at in the terminal: the leaderboard, or one episode turn by turn."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agents.errors import StageError
from agents.files import made_anew, read_json, read_model
from graphs.trajectory import Trajectory

from .boards import NOTES
from .folders import LEDGERS

WIDTH = 100
CALL_CHARS = 60
"""Characters of a request or a reply on the line of a call."""


def leaderboard_text(run: Path) -> str:
    """The leaderboard as printed after a run, and where the report lies."""
    from evals.leaderboard import Leaderboard, format_table

    board = read_model(run / "leaderboard.json", Leaderboard, "leaderboard")
    notes = read_json(run / NOTES, "leaderboard") if (run / NOTES).exists() else []
    if not isinstance(notes, list):
        raise StageError(f"{run / NOTES} is no JSON list: {made_anew(run / NOTES, 'leaderboard')}")
    lines = [row for note in notes for row in textwrap.wrap(f"note: {note}", WIDTH, subsequent_indent="  ")]
    return "\n".join([format_table(board), *lines, "", f"report: {run / 'report.html'}"])


def show(run: Path, what: str | None, arm: str | None) -> str:
    """The leaderboard of a run folder, or the episodes that `what` (a key's start, or a task id) names.

    Raises:
        StageError: no such run, or no such episode in it.
    """
    if not run.is_dir():
        raise StageError(f"{str(run)!r} is no run folder")
    if what is None:
        return leaderboard_text(run)
    found = [t for t in recorded(run) if (t.key.startswith(what) or t.task_id == what) and arm in (None, t.team)]
    if not found:
        raise StageError(f"no episode of {run} has a key that starts with {what!r}, or that task: see kept.jsonl")
    return "\n\n".join(episode_text(trajectory) for trajectory in found)


def recorded(run: Path) -> Iterator[Trajectory]:
    """Every episode of a run: collected ones, then the held-out exam's, then those of the dev tasks."""
    from graphs.runner.ledger import Ledger

    for name in LEDGERS.values():
        path = run / name
        if path.exists():
            with Ledger(path) as ledger:
                yield from ledger.trajectories()


def printable(text: str) -> str:
    """Text with control characters shown, not obeyed: what models write must not steer the terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() else repr(c)[1:-1] for c in text)


def turn_lines(message: Mapping[str, Any]) -> list[str]:
    """One message of a trajectory for the terminal: who, the hidden thought, the words, the calls."""
    who = message["role"] if message["role"] != "tool" else f"tool {message.get('name') or ''}".strip()
    lines = [f"{printable(who)}:"]
    thought = message.get("reasoning_content")
    if thought:
        lines += [f"    ({row})" for row in wrapped(printable(str(thought)))]
    lines += [f"    {row}" for row in wrapped(printable(str(message["content"])))]
    for call in message.get("tool_calls") or ():
        function = call["function"]
        asked = f"{function['name']}({json.dumps(function['arguments'], ensure_ascii=False)})"
        lines += [f"    -> {row}" for row in wrapped(printable(asked))]
    if message.get("malformed"):
        lines += [f"    !! {row}" for row in wrapped(printable(str(message["malformed"])))]
    return lines


def episode_text(trajectory: Trajectory) -> str:
    """One episode, turn by turn."""
    t = trajectory
    verdict = "accepted" if t.verdict.accepted else "not accepted: " + (", ".join(t.verdict.reasons) or t.stop)
    label = f"  label {t.label}" if t.label else ""
    lines = [
        f"{t.key}  task {t.task_id}  team {t.team}  {t.mode}  {t.form}  stop {t.stop}{label}  {verdict}",
        "-" * WIDTH,
    ]
    for message in t.messages:
        lines += turn_lines(message)
    lines.append("-" * WIDTH)
    lines += [f"fault   {row.fault} put into {row.tool}({printable(row.query)!r})" for row in t.tool_uses if row.fault]
    if t.mended:
        lines.append("mended  " + ", ".join(f"{name} {times}" for name, times in t.mended.items()))
    if t.verdict.judge:
        lines.append(f"judge   {printable(json.dumps(t.verdict.judge, ensure_ascii=False))}")
    if t.agreement is not None:
        lines.append(f"agrees  with {t.agreement:.0%} of its task's samples")
    usage = t.usage
    named = f" = option {t.choice!r}" if t.form == "choice" else ""
    lines += call_lines(t)
    for role, cost in usage.roles.items():
        usd = f", {cost.usd:.4f} USD" if cost.usd else ""
        lines.append(f"{role:<8}{cost.calls} calls, {cost.prompt} + {cost.completion} tokens{usd}")
    lines.append(
        f"answer {t.answer!r}{named}; {len(t.searches)} searches, {usage.calls} calls, "
        f"{usage.prompt} + {usage.completion} tokens, {usage.seconds:.2f} s"
    )
    return "\n".join(lines)


def call_lines(trajectory: Trajectory) -> list[str]:
    """How often each role called a model, and a line for each call that stands in no message of the episode."""
    times = Counter(call.role for call in trajectory.calls)
    if not times:
        return []
    lines = ["calls   " + ", ".join(f"{role} {number}" for role, number in times.items())]
    for call in trajectory.calls:
        if call.reply is not None:
            asked, came = (
                shorten(row.get("content")) for row in (call.messages[-1] if call.messages else {}, call.reply)
            )
            lines.append(f"  {call.role} {asked} -> {came}, {call.prompt} + {call.completion} tokens")
    return lines


def shorten(text: object) -> str:
    """The start of a text, quoted on one line."""
    flat = " ".join(str(text or "").split())
    return repr(flat if len(flat) <= CALL_CHARS else f"{flat[:CALL_CHARS]}…")


def wrapped(text: str) -> list[str]:
    """Lines no wider than WIDTH; line breaks stay."""
    rows = [textwrap.wrap(line, WIDTH - 4, break_long_words=False) or [""] for line in text.splitlines()]
    return [row for group in rows for row in group]
