"""The doctor's rounds: every distinct seat of a config side by side, then the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from agents.context import Board, Seat, Team
from agents.errors import StageError
from agents.models import close_seats
from agents.providers import split_spec
from agents.providers.scripted import DEMONSTRATOR
from agents.reason import ask
from agents.tools.schemas import BUILTIN

from ..pipeline import Run
from . import inside
from .before import disk_bytes
from .findings import Account, Finding, Section
from .line import Address, addresses
from .machine import machine
from .material import corpus_findings, tool_findings
from .need import Need, longest_chunk, need
from .script import QUESTION
from .visit import Duties, visit

CALL_SECONDS = 30.0
"""One call of the doctor's to an endpoint, unless the seat's own timeout is shorter."""


@dataclass(frozen=True)
class Patient:
    """A seat as it is probed: one for all roles that share model, transport and key."""

    seat: Seat
    """With the longest replies among the roles."""
    roles: tuple[str, ...]
    """`team.role`, each."""
    tools: bool
    """Whether one of the roles is offered tools."""
    schema: bool
    """Whether one of the roles is asked for structured replies."""
    later: bool = False
    """Whether its file is one that the run has yet to make."""


def patients(run: Run) -> tuple[list[Patient], list[Finding]]:
    """The distinct seats of a run's teams and its trained student, and what is to be said of those left out."""
    teams = [run.team(name) for name in run.config.teams]
    left: list[Finding] = []
    if "student" not in run.config.teams and run.config.student.stages:
        try:
            teams.append(run.team("student"))
        except StageError as error:
            left.append(Finding("student", "fine", f"not trained yet, so not probed: {error}"))
    groups: dict[tuple[str, str, str], list[tuple[Team, str, Seat]]] = {}
    for team in teams:
        for role, seat in team.seats().items():
            groups.setdefault((seat.model, seat.transport, seat.key_env), []).append((team, role, seat))
    own = str(run.folder / "exam.jsonl")
    return [_patient(group, run.config.board, own) for group in groups.values()], left


def _patient(group: list[tuple[Team, str, Seat]], board: Board, own: str) -> Patient:
    seat = group[0][2]
    longest = max(each.max_tokens for _, _, each in group)
    strict = any(each.structured == "json_schema" for _, _, each in group)
    asked = any(_structured(team, role, board) for team, role, _ in group)
    changes = {"max_tokens": longest, "structured": "json_schema" if strict else seat.structured}
    return Patient(
        seat=seat.model_copy(update=changes),
        roles=tuple(f"{team.name}.{role}" for team, role, _ in group),
        tools=any(role == "reason" for _, role, _ in group),
        schema=asked,
        later=seat.model == f"{DEMONSTRATOR}@{own}",
    )


def _structured(team: Team, role: str, board: Board) -> bool:
    """Whether a role is asked for replies to a schema."""
    extracts = role == "extract" or (role == "reason" and team.extract is None)
    return role == "judge" or (extracts and board.extract == "seat")


async def rounds(run: Run, *, seconds: float = CALL_SECONDS, progress: bool | None = None) -> list[Section]:
    """Probe every distinct seat of a run and the machine.

    Args:
        run: the config and its folder.
        seconds: for one call to an endpoint at the most.
        progress: whether to draw a bar on standard error; None = where that is a terminal.
    """
    found, left = patients(run)
    chunk = await asyncio.to_thread(longest_chunk, run.folder / "library")
    question = await asyncio.to_thread(own_question, run)
    jobs = [_machine(run, left), _material(run)]
    if run.config.board.mcp or set(run.config.board.tools) - set(BUILTIN):
        jobs.append(_tools(run))
    if run.config.student.stages:
        jobs.append(_base(run, chunk))
    for patient in found:
        provider, _, url = split_spec(patient.seat.model)
        needed = need(run.config.board, patient.seat.max_tokens, chunk)
        if provider == "openai" or (provider == "vllm" and url is not None):
            duties = Duties(patient.tools, patient.schema, needed, run.config.budget)
            jobs += [endpoint(patient, address, duties, seconds) for address in addresses(patient.seat)]
        else:
            jobs.append(in_process(patient, needed, question))
    hidden = None if progress is None else not progress
    try:
        with tqdm(total=len(jobs), desc="doctor", unit="seat", disable=hidden) as bar:

            async def counted(job: Awaitable[Section]) -> Section:
                section = await job
                bar.update()
                return section

            every = await asyncio.gather(*map(counted, jobs))
    finally:
        await close_seats()
    return [*every[1:], every[0]]


async def endpoint(patient: Patient, address: Address, duties: Duties, seconds: float) -> Section:
    """One endpoint of a seat."""
    title = f"{', '.join(patient.roles)}: {address.model!r} at {address.shown}, transport {patient.seat.transport}"
    try:
        made = await visit(address, patient.seat, duties, seconds)
    except Exception as error:  # whatever an endpoint can bring about: the other seats are still told
        return Section(title, (unforeseen(error),))
    return Section(title, tuple(made.findings), made.account)


async def in_process(patient: Patient, needed: Need, question: str) -> Section:
    """A seat without an endpoint."""
    provider = split_spec(patient.seat.model)[0]
    title = f"{', '.join(patient.roles)}: {patient.seat.model}"
    account = Account()
    try:
        if provider == "scripted":
            found, account = await inside.scripted(patient.seat, patient.later)
        elif provider == "hf":
            found, account = await inside.hf(patient.seat, patient.tools, needed, question)
        elif provider == "langchain":
            found, account = await inside.langchain(patient.seat, patient.tools)
        else:
            found = await inside.vllm_folder(patient.seat)
    except Exception as error:  # a model folder can hold anything
        found = [unforeseen(error)]
    return Section(title, tuple(found), account)


def unforeseen(error: Exception) -> Finding:
    """What no check expected."""
    seen = f"the doctor could not finish: {type(error).__name__} {error}"
    return Finding("unforeseen", "broken", seen, "play one question with `retort ask`, and report this")


def own_question(run: Run) -> str:
    """A question of the run's own exam with its options; the doctor's, where there is no exam yet."""
    try:
        task = run.tasks()[0]
    except (StageError, IndexError, ValueError):  # a row that is no task is another stage's affair
        return QUESTION
    return ask(task.question, task.options)


async def _base(run: Run, chunk: int) -> Section:
    from .base import base_findings

    title = f"student.base: {run.config.student.base}"
    try:
        return Section(title, tuple(await asyncio.to_thread(base_findings, run.config, chunk)))
    except Exception as error:  # a model folder can hold anything
        return Section(title, (unforeseen(error),))


async def _material(run: Run) -> Section:
    found = await asyncio.to_thread(corpus_findings, run.config.corpus)
    return Section("corpus", tuple(found))


async def _tools(run: Run) -> Section:
    try:
        return Section("tools", tuple(await asyncio.to_thread(tool_findings, run.config, start=True)))
    except Exception as error:  # the user's own module can hold anything
        return Section("tools", (unforeseen(error),))


async def _machine(run: Run, left: list[Finding]) -> Section:
    needed = disk_bytes(run.config, run.config.student.stages)
    found = await asyncio.to_thread(machine, run.config, Path(run.folder), needed)
    return Section("machine", (*left, *found))
