"""What a run would do and roughly cost, without spending anything.

A rule of thumb, and it says so: one call a hop of the task and one to answer, 4 characters a token, terse replies. A
pilot (retort/pilot.py) measures instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agents.context import Seat
from agents.folders import is_run_folder
from agents.prompts import prompt
from agents.reason import ask
from agents.seats import split_spec
from agents.task import Form, Task
from graphs.contents import recall, remember

from .boards import differences
from .doctor.base import base_findings
from .doctor.need import longest_chunk
from .lock import alone
from .pipeline import Run
from .stages import HASHES, looked_at
from .table import stages_of

OBSERVATION_CHARS = 300
"""One observation of two or three extracted passages: 180 to 300 on the three examples, measured."""
REPLY_CHARS = 160
"""One turn of a terse player; a reasoning model writes ten times that."""


def plan(run: Run, pilot_tasks: int | None = None) -> tuple[str, int]:
    """The plan as text: each stage with its state, then calls and tokens of the stages that would play.

    Args:
        pilot_tasks: play so many training tasks for real and forecast the collection from them; None = spend nothing.

    Returns:
        The plan, and the exit status: 2 where the student's base cannot be trained, so that nothing is played.
    """
    recall(run.folder / HASHES)
    found = looked_at(run)
    if is_run_folder(run.folder):
        remember(run.folder / HASHES)
    lines = [f"run {run.config.name!r} in {run.folder}", ""]
    for stage in stages_of(run.config):
        state, why = found[stage.name].state, found[stage.name].why
        what = why or ("nothing to do" if state == "fresh" else stage.does)
        lines.append(f"  {stage.name:<12} {state:<8} {what}")
    lines += [f"  note: {note}" for note in differences(run.folder)]
    looked = base_findings(run.config, longest_chunk(run.folder / "library"))
    wrong = [each for each in looked if each.severity != "fine"]
    lines += ["", *(f"  {each.severity:<12} {each.name}: {each.seen} -> {each.step}" for each in wrong)]
    lines += [""] if wrong else []
    if any(each.severity == "broken" for each in wrong):
        return "\n".join([*lines, "  the student's base cannot be trained so: nothing would be collected"]), 2
    if pilot_tasks is not None:
        from .pilot import pilot

        run.check_place()
        with alone(run.folder):
            return "\n".join([*lines, pilot(run, pilot_tasks)]), 0
    lines += played(run, found["collect"].state != "fresh", found["evaluate"].state != "fresh")
    return "\n".join(lines), 0


def played(run: Run, collects: bool, evaluates: bool) -> list[str]:
    """Calls and tokens of collection and of every arm."""
    config = run.config
    if not (run.folder / "exam.jsonl").exists():
        return [
            "  no exam yet: run the stages index and exam (they cost nothing), then plan again for calls and tokens"
        ]
    lines = [f"  {'':<29}{'episodes':>9}{'calls':>8}{'prompt tok':>12}{'reply tok':>11}{'usd':>8}  seat"]
    if collects:
        tasks = run.tasks("train")[: config.collect.tasks]
        done = known(run.folder / "ledger.sqlite")
        left = max(0, len(tasks) * config.collect.samples * len(config.collect.modes) - done)
        seat = config.teams[config.collect.team].reason
        lines.append(row("collect", estimate(tasks, config.collect.modes), left, seat))
        if done:
            lines.append(f"  {'':<29}{done} episodes are in the ledger already")
    if evaluates:
        tasks = run.tasks("test")[: config.evaluate.tasks]
        last = (config.student.stages or ("student",))[-1]
        trained = {"base": config.student.base, "cpt": "students/cpt", "student": f"students/{last}"}
        for arm in config.arms():
            own = arm.team not in config.teams
            seat = Seat(model=f"hf:{trained[arm.team]}") if own else config.teams[arm.team].reason
            for form in config.evaluate.forms:
                asked = [task for task in tasks if form == "free" or task.options]
                primary = form == config.evaluate.forms[0]
                if asked and (primary or form == "free" or arm.in_choice(seat.model) == "graph"):
                    name = f"evaluate {arm.name}" if primary else f"  {form}: {arm.name}"
                    lines.append(row(name, estimate(asked, (arm.mode,), form), len(asked), seat))
    if len(lines) == 1:
        return ["  nothing would be played"]
    budget = ", ".join(f"{name} {value:g}" for name, value in config.budget if value is not None)
    return [
        *lines,
        "",
        "  estimates: one call a hop and one to answer, 4 characters a token, terse replies, the reason seat alone;",
        "  `--pilot 20` plays 20 tasks for real and forecasts the rest with an interval",
        *([f"  budget of each: {budget}"] if budget else []),
    ]


def known(path: Path) -> int:
    """Episodes in a ledger, 0 where there is none."""
    if not path.exists():
        return 0
    from distill.ledger import Ledger

    with Ledger(path) as ledger:
        return len(ledger)


class Estimate(NamedTuple):
    """What playing tasks would take."""

    episodes: int
    calls: int
    prompt: int
    """Prompt tokens."""
    reply: int
    """Generated tokens."""


def estimate(tasks: Sequence[Task], modes: Sequence[str], form: Form = "free") -> Estimate:
    """One call a hop and one to answer; closed book one call; 4 characters a token."""
    episodes = calls = prompts = replies = 0
    for task in tasks:
        for mode in modes:
            turns = 1 if mode == "cot" else max(1, len(task.hops)) + 1
            opening = len(prompt(mode)) + len(ask(task.question, task.shown(form))) + 200
            episodes += 1
            calls += turns
            prompts += sum(opening + n * (OBSERVATION_CHARS + REPLY_CHARS) for n in range(turns)) // 4
            replies += turns * REPLY_CHARS // 4
    return Estimate(episodes, calls, prompts, replies)


def row(name: str, whole: Estimate, episodes: int, seat: Seat) -> str:
    """One line of the plan, scaled from all episodes to those that are left."""
    share = episodes / whole.episodes if whole.episodes else 0.0
    provider, _, url = split_spec(seat.model)
    paid = "endpoint" if provider == "openai" or (provider == "vllm" and url) else "on this machine"
    calls, prompts, replies = (round(number * share) for number in whole[1:])
    usd = f"{seat.price.usd(prompts, replies):.2f}" if seat.price else "-"
    return f"  {name:<29}{episodes:>9}{calls:>8}{prompts:>12}{replies:>11}{usd:>8}  {seat.model} ({paid})"
