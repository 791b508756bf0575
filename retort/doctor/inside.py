"""Seats that live in this process: `hf:` models are opened and rendered to the token, scripted ones say what they are.

Here nothing has to be inferred from counts: each reply carries the ids of its prompt, so the prompt of the next turn
either begins with them or it does not.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from agents.context import Seat
from agents.errors import MissingExtra, ProviderError, SeatError
from agents.install import install_line
from agents.models import open_seat
from agents.models.desk import call
from agents.providers import split_spec
from agents.tools import SEARCH

from .findings import Account, Finding
from .memory import LEAST
from .need import Need
from .script import EXTRA_WORDS, FURTHER, OBSERVATION, history, long_thought, opening
from .space import too_short

TOKENS = 96
"""Of one probed reply."""
SECONDS = 120.0
"""For one reply of a model in process: a large one on a CPU writes a few tokens a second."""


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
        self.account += Account(1, spent["prompt"], spent["completion"], spent["usd"])
        return reply


async def scripted(seat: Seat, later: bool) -> tuple[list[Finding], Account]:
    """A seat without a language model: does its file open?

    Args:
        seat: the seat.
        later: whether its file is one that the run has yet to make.
    """
    _, name, file = split_spec(seat.model)
    if later and file is not None and not Path(file).exists():
        seen = "the demonstrator, no language model: its key is this run's exam, which is not made yet"
        return [Finding("scripted", "fine", seen, "the stages index and exam make it")], Account()
    try:
        chat: Any = await asyncio.to_thread(open_seat, seat)
    except (SeatError, ValueError) as error:  # rows that are no tasks
        step = "name its file: scripted:answer-key@EXAM or scripted:lines@FILE"
        return [Finding("seat_not_opened", "broken", str(error), step)], Account()
    held = len(chat.tasks) if name == "answer-key" else len(chat.rows)
    what = f"the demonstrator, holding the key of {held} tasks" if name == "answer-key" else f"a script of {held} lines"
    return [Finding("scripted", "fine", f"no language model: {what}")], Account()


async def hf(seat: Seat, tools: bool, need: Need, question: str) -> tuple[list[Finding], Account]:
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
        seen = f"no call in {len(written)} tokens: {reply.text[:80]!r}"
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


async def langchain(seat: Seat, tools: bool) -> tuple[list[Finding], Account]:
    """A chat model class of a LangChain package: opened, and asked for one turn with the search tool offered."""
    from agents.models.langchain_class import unmapped

    try:
        chat: Any = await asyncio.to_thread(open_seat, seat)
    except SeatError as error:
        return [Finding("seat_not_opened", "broken", str(error), "see docs/seats.md: langchain")], Account()
    found = [Finding("seat", "fine", f"opened: {type(chat).__name__}")]
    lost = unmapped(type(chat))
    if lost:
        seen = f"{type(chat).__name__} has no field for {', '.join(lost)}: the package's own default holds"
        found.append(Finding("not_passed_on", "warning", seen, "is that default what you want?"))
    offered = [SEARCH] if tools and seat.transport == "native" else []
    try:
        reply, spent = await call(seat, "reason", opening(), tools=offered)
    except (ProviderError, TimeoutError) as error:
        return [*found, Finding("request_refused", "broken", str(error), "see the package's documentation")], Account(1)
    account = Account(1, spent["prompt"], spent["completion"], spent["usd"])
    if reply.usage_metadata is None:
        seen = "replies carry no token counts: [budget] and limits.tokens go by an estimate, 4 characters a token"
        found.append(Finding("no_usage", "warning", seen, "[budget] hours = N"))
    else:
        seen = f"{spent['prompt']} prompt and {spent['completion']} reply tokens for the first turn"
        found.append(Finding("usage", "fine", seen))
    if reply.tool_calls:
        found.append(Finding("call", "fine", f"calls {reply.tool_calls[0]['name']!r}"))
    elif offered:
        seen = f"answered without searching: {reply.text[:80]!r}"
        found.append(Finding("no_call", "warning", seen, 'transport = "text" where the class takes no tools'))
    return found, account


async def vllm_folder(seat: Seat) -> list[Finding]:
    """A server that a run would start: what it needs is looked at; starting it takes a minute and more."""
    _, folder, _ = split_spec(seat.model)
    python = os.environ.get("RETORT_VLLM_PYTHON", "") or sys.executable
    if Path(folder, "adapter_config.json").exists():
        step = "merge it first: retort merge, or play it as hf:"
        return [Finding("seat_not_opened", "broken", f"{folder} is an adapter folder, which the server refuses", step)]
    if Path(folder).is_absolute() and not Path(folder, "config.json").exists():
        return [Finding("seat_not_opened", "broken", f"no config.json in {folder}", "name a model folder")]
    if not await asyncio.to_thread(_has_vllm, python):
        return [Finding("extra_missing", "broken", f"no vllm in {python}", install_line("vllm"))]
    seen = f"not started: a run starts it with {python}"
    return [Finding("vllm", "fine", seen, "start it yourself and name its URL to have it probed")]


def _has_vllm(python: str) -> bool:
    if python == sys.executable:
        return find_spec("vllm") is not None
    program = "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"
    try:
        done = subprocess.run([python, "-c", program], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
