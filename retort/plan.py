"""What a run would do and roughly cost, without spending anything.

A rule of thumb, and it says so: one call a hop of the task and one to answer, 4 characters a token, terse replies. A
pilot (retort/pilot.py) measures instead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agents.context import Seat
from agents.folders import is_run_folder
from agents.models.prices import costs
from agents.prompts import prompt
from agents.providers.hf import hf_line
from agents.reason import ask
from agents.task import Form, Task
from graphs.contents import recall, remember

from .boards import differences
from .doctor.before import before_paying, refuse
from .doctor.findings import Finding
from .evaluation import asked_by_scores
from .lock import alone
from .pipeline import Run, work
from .stages import HASHES, Found, looked_at
from .table import Stage, stages_of

if TYPE_CHECKING:
    from .pilot import Piloted

OBSERVATION_CHARS = 300
"""One observation of two or three extracted passages: 180 to 300 on the three examples, measured."""
FREE = ("index", "exam")
"""Stages that a pilot does first where they are not fresh: they cost nothing, and it plays their exam."""
JUDGED_CHARS = 3_000
"""What a score sends to its seat: instructions of 1,700, the question, quotes and two or three passages."""
REPLY_CHARS = 160
"""One turn of a terse player; a reasoning model writes ten times that."""


def plan(run: Run, pilot_tasks: int | None = None, *, as_json: bool = False) -> tuple[str, int]:
    """The plan as text: each stage with its state, then calls and tokens of the stages that would play.

    Args:
        pilot_tasks: play so many training tasks for real and forecast the collection from them; None = spend nothing.
        as_json: one JSON object in place of the text.

    Returns:
        The plan, and the exit status: 2 where something is broken, so that nothing is played.
    """
    made = planned(run, pilot_tasks)
    return json.dumps(made.row(), ensure_ascii=False, indent=2) if as_json else made.text(), 2 if made.broken else 0


@dataclass
class Plan:
    """What a run would do."""

    run: Run
    stages: list[tuple[Stage, Found]]
    notes: list[str]
    findings: list[Finding]
    """Warnings and what is broken, of all that is looked at before a teacher is paid."""
    played: list[Planned] = field(default_factory=list)
    """What would be played."""
    recorded: int = 0
    """Episodes that are in the ledger already."""
    exam: bool = True
    """Whether there is an exam to count by."""
    pilot: Piloted | None = None

    @property
    def broken(self) -> bool:
        """Whether something is."""
        return any(each.severity == "broken" for each in self.findings)

    @property
    def budget(self) -> dict[str, float]:
        """The limits that [budget] gives."""
        return {name: value for name, value in self.run.config.budget if value is not None}

    def text(self) -> str:
        """The plan for the terminal."""
        lines = [f"run {self.run.config.name!r} in {self.run.folder}", ""]
        for stage, found in self.stages:
            what = found.why or ("nothing to do" if found.state == "fresh" else stage.does)
            lines.append(f"  {stage.name:<12} {found.state:<8} {what}")
        lines += [f"  note: {note}" for note in self.notes]
        lines.append("")
        for each in self.findings:
            lines.append(f"  {each.severity:<12} {each.name}: {each.seen} -> {each.step}".removesuffix(" -> "))
        if self.findings:
            lines.append("")
        if self.broken:
            lines.append("  nothing would be collected while something is broken")
        elif self.pilot is not None:
            lines += self.pilot.lines()
        else:
            lines += played_lines(self)
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def row(self) -> dict[str, Any]:
        """The same as JSON."""
        stages = [
            {"name": stage.name, "does": stage.does, "state": found.state, "why": found.why}
            for stage, found in self.stages
        ]
        return {
            "name": self.run.config.name,
            "folder": str(self.run.folder),
            "stages": stages,
            "notes": self.notes,
            "broken": self.broken,
            "findings": [asdict(each) for each in self.findings],
            "recorded": self.recorded,
            "exam": self.exam,
            "played": [asdict(each) for each in self.played],
            "budget": self.budget,
            "pilot": None if self.pilot is None else self.pilot.row(),
        }


def planned(run: Run, pilot_tasks: int | None = None) -> Plan:
    """What a run would do; see `plan`."""
    if pilot_tasks is not None:
        work(run, FREE)
    recall(run.folder / HASHES)
    found = looked_at(run)
    if is_run_folder(run.folder):
        remember(run.folder / HASHES)
    stages = stages_of(run.config)
    late = [stage.name for stage in stages if found[stage.name].state != "fresh"]
    if pilot_tasks is not None:
        late = list(dict.fromkeys([*late, "collect"]))
    looked = [each for _, part in before_paying(run, late) for each in part] if late else []
    wrong = [each for each in looked if each.severity != "fine"]
    made = Plan(run, [(stage, found[stage.name]) for stage in stages], differences(run.folder), wrong)
    if made.broken:
        return made
    if pilot_tasks is not None:
        from .pilot import pilot

        run.check_place()
        with alone(run.folder):
            refuse(before_paying(run, late, start=True))
            made.pilot = pilot(run, pilot_tasks)
    else:
        count(made, found["collect"].state != "fresh", found["evaluate"].state != "fresh")
    return made


def count(made: Plan, collects: bool, evaluates: bool) -> None:
    """Put calls and tokens of collection and of every arm into a plan."""
    run, config = made.run, made.run.config
    made.exam = (run.folder / "exam.jsonl").exists()
    if not made.exam:
        return
    if collects:
        tasks = run.tasks("train")[: config.collect.tasks]
        done = made.recorded = known(run.folder / "ledger.sqlite")
        left = max(0, len(tasks) * config.collect.samples * len(config.collect.modes) - done)
        seat = config.teams[config.collect.team].reason
        made.played.append(scaled("collect", estimate(tasks, config.collect.modes), left, seat))
    if evaluates:
        tasks = run.tasks("test")[: config.evaluate.tasks]
        names = config.student.trainings
        trained = {"base": config.student.base, "student": f"students/{(names or ('student',))[-1]}"}
        trained |= {name: f"students/{name}" for name in names}
        for arm in config.arms():
            own = arm.team not in config.teams
            seat = Seat(model=hf_line(trained[arm.team])) if own else config.teams[arm.team].reason
            for form in config.evaluate.forms:
                asked = [task for task in tasks if form == "free" or task.options]
                primary = form == config.evaluate.forms[0]
                if asked and (primary or form == "free" or arm.in_choice(seat.model) == "graph"):
                    name = f"evaluate {arm.name}" if primary else f"  {form}: {arm.name}"
                    made.played.append(scaled(name, estimate(asked, (arm.mode,), form), len(asked), seat))
        episodes = sum(each.episodes for each in made.played if each.name != "collect")
        for score, seat in asked_by_scores(run).items():
            once = Estimate(episodes, episodes, episodes * JUDGED_CHARS // 4, episodes * REPLY_CHARS // 4)
            made.played.append(scaled(f"score {score}", once, episodes, seat))


def played_lines(made: Plan) -> list[str]:
    """What would be played, as a table with its footnotes."""
    if not made.exam:
        return [
            "  no exam yet: run the stages index and exam (they cost nothing), then plan again for calls and tokens"
        ]
    if not made.played:
        return ["  nothing would be played"]
    lines = [f"  {'':<29}{'episodes':>9}{'calls':>8}{'prompt tok':>12}{'reply tok':>11}{'usd':>8}  seat"]
    for each in made.played:
        usd = "-" if each.usd is None else f"{each.usd:.2f}"
        numbers = f"{each.episodes:>9}{each.calls:>8}{each.prompt:>12}{each.reply:>11}{usd:>8}"
        where = "endpoint" if each.endpoint else "on this machine"
        lines.append(f"  {each.name:<29}{numbers}  {each.seat} ({where})")
        if each.name == "collect" and made.recorded:
            lines.append(f"  {'':<29}{made.recorded} episodes are in the ledger already")
    budget = ", ".join(f"{name} {value:g}" for name, value in made.budget.items())
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
    from graphs.runner.ledger import Ledger

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
            turns = 1 if mode != "react" else max(1, len(task.hops)) + 1
            opening = len(prompt(mode)) + len(ask(task.question, task.shown(form))) + 200
            episodes += 1
            calls += turns
            prompts += sum(opening + n * (OBSERVATION_CHARS + REPLY_CHARS) for n in range(turns)) // 4
            replies += turns * REPLY_CHARS // 4
    return Estimate(episodes, calls, prompts, replies)


@dataclass(frozen=True)
class Planned:
    """What one stage or arm would play, by a rule of thumb."""

    name: str
    seat: str
    endpoint: bool
    """Whether the seat is behind an endpoint."""
    episodes: int
    calls: int
    prompt: int
    """Prompt tokens."""
    reply: int
    """Generated tokens."""
    usd: float | None
    """None where the seat has no price."""


def scaled(name: str, whole: Estimate, episodes: int, seat: Seat) -> Planned:
    """One line of the plan, scaled from all episodes to those that are left."""
    share = episodes / whole.episodes if whole.episodes else 0.0
    calls, prompts, replies = (round(number * share) for number in whole[1:])
    usd = seat.price.usd(prompts, replies) if seat.price else None
    return Planned(name, seat.model, costs(seat), episodes, calls, prompts, replies, usd)
