"""The doctor's rounds: every distinct seat of a config side by side, then the machine.

A seat behind an endpoint of the OpenAI protocol is visited (endpoint.py). A model of this process is opened and
rendered to the token: each reply carries the ids of its prompt, so the prompt of the next turn either begins with them
or it does not. Of other seats the provider tells itself what there is to see, or they play one turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from tqdm import tqdm

from agents.context import Board, Seat, Team
from agents.corpus.indexes import IndexConfig
from agents.errors import MissingExtra, ProviderError, RetortError, SeatError, StageError
from agents.install import install_line
from agents.models import close_seats, open_seat
from agents.models.desk import call
from agents.models.meter import Account
from agents.providers import provider_of, split_spec
from agents.providers.scripted import demonstrates
from agents.reason import ask
from agents.text import shortened
from agents.tools import SEARCH
from agents.tools.schemas import BUILTIN

from ..pipeline import Run
from .base import base_findings
from .before import corpus_findings, disk_bytes, index_findings, tool_findings
from .conversation import EXTRA_WORDS, FURTHER, OBSERVATION, QUESTION, history, long_thought, opening
from .endpoint import Duties, visit
from .findings import Finding, Section
from .line import Address, addresses
from .machine import machine
from .prompts import LEAST, Need, longest_chunk, need, too_short

CALL_SECONDS = 30.0
"""One call of the doctor's to an endpoint, unless the seat's own timeout is shorter."""
TOKENS = 96
"""Of one probed reply."""
SECONDS = 120.0
"""For one reply of a model in process: a large one on a CPU writes a few tokens a second."""


@dataclass(frozen=True)
class ProbeTarget:
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


def probe_targets(run: Run) -> tuple[list[ProbeTarget], list[Finding]]:
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
    return [_probe_target(group, run.config.board, own) for group in groups.values()], left


def _probe_target(group: list[tuple[Team, str, Seat]], board: Board, own: str) -> ProbeTarget:
    seat = group[0][2]
    longest = max(each.max_tokens for _, _, each in group)
    strict = any(each.structured == "json_schema" for _, _, each in group)
    asked = any(_structured(team, role, board) for team, role, _ in group)
    changes = {"max_tokens": longest, "structured": "json_schema" if strict else seat.structured}
    return ProbeTarget(
        seat=seat.model_copy(update=changes),
        roles=tuple(f"{team.name}.{role}" for team, role, _ in group),
        tools=any(role == "reason" for _, role, _ in group),
        schema=asked,
        later=demonstrates(seat.model) and seat.model.endswith(f"@{own}"),
    )


def _structured(team: Team, role: str, board: Board) -> bool:
    """Whether a role is asked for replies to a schema."""
    extracts = role == "extract" or (role == "reason" and team.extract is None)
    return role == "judge" or (extracts and board.extract == "seat")


async def probe_all(run: Run, *, seconds: float = CALL_SECONDS, progress: bool | None = None) -> list[Section]:
    """Probe every distinct seat of a run and the machine.

    Args:
        run: the config and its folder.
        seconds: for one call to an endpoint at the most.
        progress: whether to draw a bar on standard error; None = where that is a terminal.
    """
    found, left = probe_targets(run)
    chunk = await asyncio.to_thread(longest_chunk, run.folder / "library")
    question = await asyncio.to_thread(own_question, run)
    jobs = [_machine(run, left), _material(run)]
    if run.config.index != IndexConfig():  # the default needs nothing
        jobs.append(_index(run))
    if run.config.board.mcp or set(run.config.board.tools) - set(BUILTIN):
        jobs.append(_tools(run))
    if run.config.student.stages:
        jobs.append(_base(run, chunk))
    for target in found:
        needed = need(run.config.board, target.seat.max_tokens, chunk)
        duties = Duties(target.tools, target.schema, needed, run.config.budget)
        places = addresses(target.seat)
        jobs += [endpoint(target, address, duties, seconds) for address in places]
        if not places:
            jobs.append(other(target, needed, question))
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


async def endpoint(target: ProbeTarget, address: Address, duties: Duties, seconds: float) -> Section:
    """One endpoint of a seat."""
    title = f"{', '.join(target.roles)}: {address.model!r} at {address.shown}, transport {target.seat.transport}"
    try:
        made = await visit(address, target.seat, duties, seconds)
    except Exception as error:  # whatever an endpoint can bring about: the other seats are still told
        return Section(title, (unforeseen(error),))
    return Section(title, tuple(made.findings), made.account)


async def other(target: ProbeTarget, needed: Need, question: str) -> Section:
    """A seat that is behind no endpoint of the OpenAI protocol."""
    title = f"{', '.join(target.roles)}: {target.seat.model}"
    seat, spec = target.seat, split_spec(target.seat.model)
    try:
        provider = provider_of(spec)
        if provider.weighable:
            found, account = await in_process(seat, target.tools, needed, question)
            return Section(title, tuple(found), account)
        stated = await asyncio.to_thread(provider.inspect, spec, seat, pending=target.later)
        if stated is not None:
            return Section(title, tuple(Finding(*each) for each in stated))
        found, account = await one_turn(seat, target.tools)
        return Section(title, tuple(found), account)
    except Exception as error:  # a model folder, and a package of others, can hold anything
        return Section(title, (unforeseen(error),))


class Spending:
    """Calls of one seat with their sum."""

    def __init__(self, seat: Seat, tools: bool) -> None:
        self.seat = seat
        self.offered = [SEARCH] if tools else []
        self.account = Account()

    async def say(self, messages: list[BaseMessage], most: int = TOKENS) -> AIMessage:
        """One reply; raises what the seat raises."""
        async with asyncio.timeout(SECONDS):
            reply, spent = await call(self.seat, "reason", messages, tools=self.offered, max_tokens=most)
        self.account = self.account.plus(spent)
        return reply


async def in_process(seat: Seat, tools: bool, need: Need, question: str) -> tuple[list[Finding], Account]:
    """A model of this process: opened, played, and its renderings compared token by token.

    Args:
        seat: the seat.
        tools: whether it is offered tools.
        need: what the board can need of the context.
        question: what it is asked for a turn of its own: a student knows its own microdomain alone.
    """
    try:
        chat: Any = await asyncio.to_thread(open_seat, seat)
    except MissingExtra as error:
        return [Finding("extra_missing", "broken", str(error), install_line(error.extra))], Account()
    except (SeatError, OSError, ValueError, RuntimeError) as error:
        step = "a folder with a model or an adapter, a hub id, or tiny-base"
        return [Finding("seat_not_opened", "broken", f"{type(error).__name__}: {error}", step)], Account()
    spending = Spending(seat, tools)
    found = [opened(chat), context(chat.engine.positions, need)]
    try:
        found += await rendering(spending)
        if tools:
            found += await own_turn(spending, question)
    except (ProviderError, SeatError, TimeoutError, OSError, ValueError, RuntimeError) as error:
        seen = f"a reply failed: {type(error).__name__} {error}"
        found.append(Finding("seat_fails", "broken", seen.strip(), "does the model fit this machine's memory?"))
    return found, spending.account


def opened(chat: Any) -> Finding:
    """What was opened, and where it runs."""
    adapter = " with its adapter" if chat.adapter is not None else ""
    device = getattr(chat.engine, "device", None)
    return Finding("seat", "fine", f"opened in this process{adapter}{f', on {device}' if device is not None else ''}")


def context(positions: int | None, need: Need) -> Finding:
    """Whether the board fits the model's positions."""
    if positions is None:
        return Finding("context", "fine", f"the model declares no limit; the board can need {need.worst:,} tokens")
    if positions >= need.worst:
        return Finding("context", "fine", f"{positions:,} positions; the board can need {need.worst:,}")
    return too_short(need, positions, f"the model has {positions:,} positions")


async def rendering(spending: Spending) -> list[Finding]:
    """Thoughts and earlier turns, by the ids of prompts that were rendered from fixed messages."""
    prompts = []
    for messages in (
        opening(),
        history(),
        history(long_thought()),
        history(further=True),
    ):
        reply = await spending.say(messages, most=1)
        prompts.append(list(reply.response_metadata.get("prompt_ids") or []))
    first, second, long, third = prompts
    more = len(long) - len(second)
    seen = f"{EXTRA_WORDS} more words beside the call are {more} more prompt tokens ({len(second)} and {len(long)})"
    if more < LEAST:
        step = "a chat template that writes the text beside tool_calls"
        found = [Finding("thought_lost", "broken", seen, step)]
    else:
        found = [Finding("thought", "fine", seen)]
    for name, earlier, later in (("first turn", first, second), ("observation", second, third)):
        kept = common(earlier, later)
        if kept < len(earlier):
            seen = f"the prompt up to the {name} is {len(earlier)} tokens; the next one repeats {kept} of them"
            step = "a chat template that only appends: retort trains and serves with TRL's training template"
            return [*found, Finding("history_rendered_differently", "broken", seen, step)]
    seen = f"prompts of three turns begin with one another: {len(first)}, {len(second)}, {len(third)} tokens"
    return [*found, Finding("history", "fine", seen)]


async def own_turn(spending: Spending, question: str) -> list[Finding]:
    """The model's own first turn must come back in the second prompt token for token."""
    messages = [opening()[0], HumanMessage(question)]
    reply = await spending.say(messages)
    written = list(reply.response_metadata.get("completion_ids") or [])
    whole = [*(reply.response_metadata.get("prompt_ids") or []), *written]
    answer: BaseMessage = HumanMessage(FURTHER)
    if reply.tool_calls:
        answer = ToolMessage(OBSERVATION, tool_call_id=str(reply.tool_calls[0]["id"]), name=reply.tool_calls[0]["name"])
        found = [Finding("call", "fine", f"calls {reply.tool_calls[0]['name']!r} in {len(written)} tokens")]
    else:
        seen = f"no call in {len(written)} tokens: {shortened(reply.text, 80)!r}"
        found = [Finding("no_call", "warning", seen, "a student calls once it is trained; for a teacher take another")]
    if reply.response_metadata.get("finish_reason") != "stop":
        return found  # cut in the middle: what follows cannot be the same tokens
    following = await spending.say([*messages, reply, answer], most=1)
    later = list(following.response_metadata.get("prompt_ids") or [])
    kept = common(whole, later)
    if kept < len(whole):
        seen = f"its own turn comes back changed: {len(whole)} tokens of prompt and reply, {kept} of them repeated"
        step = "its text holds what the template trims; check chat_template and response template"
        return [*found, Finding("history_rendered_differently", "warning", seen, step)]
    return [*found, Finding("own_turn", "fine", f"comes back token for token ({len(whole)} tokens)")]


def common(one: list[int], other: list[int]) -> int:
    """Length of the common beginning."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


async def one_turn(seat: Seat, tools: bool) -> tuple[list[Finding], Account]:
    """A chat model of any kind: opened, and asked for one turn with the search tool offered."""
    spec = split_spec(seat.model)
    try:
        chat: Any = await asyncio.to_thread(open_seat, seat)
    except MissingExtra as error:
        return [Finding("extra_missing", "broken", str(error), install_line(error.extra))], Account()
    except RetortError as error:
        step = f"docs/seats.md tells of seats of {spec.provider}"
        return [Finding("seat_not_opened", "broken", str(error), step)], Account()
    found = [Finding("seat", "fine", f"opened: {type(chat).__name__}")]
    found += [Finding(*each) for each in provider_of(spec).opened(chat)]
    offered = [SEARCH] if tools and seat.transport == "native" else []
    try:
        reply, spent = await call(seat, "reason", opening(), tools=offered)
    except (RetortError, TimeoutError) as error:
        step = "see the package's documentation"
        return [*found, Finding("request_refused", "broken", str(error), step)], Account(calls=1)
    if reply.usage_metadata is None:
        seen = "replies carry no token counts: [budget] and limits.tokens go by an estimate, 4 characters a token"
        found.append(Finding("no_usage", "warning", seen, "[budget] hours = N"))
    else:
        seen = f"{spent['prompt']} prompt and {spent['completion']} reply tokens for the first turn"
        found.append(Finding("usage", "fine", seen))
    if reply.tool_calls:
        found.append(Finding("call", "fine", f"calls {reply.tool_calls[0]['name']!r}"))
    elif offered:
        seen = f"answered without searching: {shortened(reply.text, 80)!r}"
        found.append(Finding("no_call", "warning", seen, 'transport = "text" where the class takes no tools'))
    return found, Account().plus(spent)


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
    title = f"student.base: {run.config.student.base}"
    try:
        return Section(title, tuple(await asyncio.to_thread(base_findings, run.config, chunk)))
    except Exception as error:  # a model folder can hold anything
        return Section(title, (unforeseen(error),))


async def _material(run: Run) -> Section:
    found = await asyncio.to_thread(corpus_findings, run.config.corpus)
    return Section("corpus", tuple(found))


async def _index(run: Run) -> Section:
    found = await asyncio.to_thread(index_findings, run.config.index, run.config.budget, start=True)
    return Section(f"index: {run.config.index.kind}", tuple(found))


async def _tools(run: Run) -> Section:
    try:
        return Section("tools", tuple(await asyncio.to_thread(tool_findings, run.config, start=True)))
    except Exception as error:  # the user's own module can hold anything
        return Section("tools", (unforeseen(error),))


async def _machine(run: Run, left: list[Finding]) -> Section:
    needed = disk_bytes(run.config, run.config.student.trainings)
    found = await asyncio.to_thread(machine, run.config, Path(run.folder), needed)
    return Section("machine", (*left, *found))
