"""What a run would do and roughly cost, without spending anything.

Where the run has recorded episodes of the same kind, their means are used; elsewhere a rule of thumb, and the plan says
which. Tokens are of the seat's own counting where recorded, else 4 characters a token.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agents.prompts import prompt
from agents.reason import ask
from agents.seats import split_spec
from agents.task import Task

from .pipeline import Run
from .stages import stages_of, states

OBSERVATION_CHARS = 700
"""One observation of three extracted passages, measured on the stdlib exam."""
REPLY_CHARS = 160
"""One turn of a terse player; a reasoning model writes ten times that."""


def plan(run: Run) -> str:
    """The plan as text: each stage with its state, then calls and tokens of the stages that would play."""
    found = states(run.config, run.folder)
    lines = [f"run {run.config.name!r} in {run.folder}", ""]
    for stage in stages_of(run.config):
        what = "nothing to do" if found[stage.name] == "fresh" else stage.does
        lines.append(f"  {stage.name:<12} {found[stage.name]:<8} {what}")
    lines.append("")
    lines += played(run, found["collect"] != "fresh", found["evaluate"] != "fresh")
    return "\n".join(lines)


def played(run: Run, collects: bool, evaluates: bool) -> list[str]:
    """Calls and tokens of collection and of every arm."""
    config = run.config
    if not (run.folder / "exam.jsonl").exists():
        return [
            "  no exam yet: run the stages index and exam (they cost nothing), then plan again for calls and tokens"
        ]
    lines = [f"  {'':<24}{'episodes':>9}{'calls':>8}{'prompt tok':>12}{'reply tok':>11}  seat"]
    if collects:
        tasks = run.tasks("train")[: config.collect.tasks]
        done = known(run.folder / "ledger.sqlite")
        left = max(0, len(tasks) * config.collect.samples * len(config.collect.modes) - done)
        seat = config.teams[config.collect.team].reason.model
        lines.append(row("collect", tasks, left, seat))
        if done:
            lines.append(f"  {'':<24}{done} episodes are in the ledger already")
    if evaluates:
        tasks = run.tasks("test")[: config.evaluate.tasks]
        for arm in config.arms():
            seat = config.teams[arm.team].reason.model if arm.team in config.teams else f"hf: {arm.team}"
            lines.append(row(f"evaluate {arm.name}", tasks, len(tasks), seat))
    if len(lines) == 1:
        return ["  nothing would be played"]
    return [*lines, "", "  estimates: one call a hop and one to answer, 4 characters a token, terse replies"]


def known(path: Path) -> int:
    """Episodes in a ledger, 0 where there is none."""
    if not path.exists():
        return 0
    from distill.ledger import Ledger

    with Ledger(path) as ledger:
        return len(ledger)


def row(name: str, tasks: Iterable[Task], episodes: int, seat: str) -> str:
    """One line of the estimate, scaled from all tasks to the episodes that are left."""
    listed = list(tasks)
    calls = prompts = replies = 0
    for task in listed:
        turns = max(1, len(task.hops)) + 1
        opening = len(prompt("react")) + len(ask(task.question, task.options)) + 200
        calls += turns
        prompts += sum(opening + n * (OBSERVATION_CHARS + REPLY_CHARS) for n in range(turns)) // 4
        replies += turns * REPLY_CHARS // 4
    share = episodes / len(listed) if listed else 0.0
    paid = "free" if split_spec(seat.replace("hf: ", "hf:"))[0] != "openai" else "endpoint"
    numbers = f"{episodes:>9}{round(calls * share):>8}{round(prompts * share):>12}{round(replies * share):>11}"
    return f"  {name:<24}{numbers}  {seat} ({paid})"
