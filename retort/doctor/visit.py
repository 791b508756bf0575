"""One visit to one endpoint: the conversation, then what else is looked at, all within a deadline."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from dataclasses import dataclass, replace

from langchain_core.messages import BaseMessage, HumanMessage

from agents.context import Seat
from agents.errors import MissingExtra
from agents.install import install_line
from agents.models.meter import Budget
from agents.tools import SEARCH

from .findings import Account, Finding, without
from .line import Address, Line, Reply
from .memory import memory_findings
from .names import name_findings, not_there, row_of
from .need import Need
from .schema import schema_findings
from .script import history, opening
from .space import space_findings
from .turns import Turn, call_findings, first_turn, says_nothing, silent, turn_tokens, wire_options

VISIT_SECONDS = 150.0
"""A visit takes no longer; what was not looked at by then is said."""
SLOW_SECONDS = 10.0
"""Median of a call's seconds above which an endpoint is called slow: the replies asked for are short."""
READY: list[BaseMessage] = [HumanMessage("Reply with the one word: ready")]
PLAIN: list[list[BaseMessage]] = [
    [HumanMessage("Describe a kettle in one sentence.")],
    [HumanMessage("Name three things that are green.")],
    [HumanMessage("What follows after: seven, eight, nine?")],
]
"""What an adapter and its base are both asked, where no tools are offered."""


@dataclass(frozen=True)
class Duties:
    """What a seat has to do, and so what is looked at."""

    tools: bool
    """It is offered tools, that is, it reasons."""
    schema: bool
    """It is asked for structured replies."""
    need: Need
    """What the board can need of its context."""
    budget: Budget
    """What the run may spend."""


class Visit:
    """What a visit brought."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        self.account = Account()


async def visit(address: Address, seat: Seat, duties: Duties, seconds: float) -> Visit:
    """Visit the endpoint of a seat, with no call longer than `seconds`."""
    problem = address_problem(address, seat)
    if problem is not None:
        return Visit([problem])
    try:
        line = Line(address, seat, seconds)
    except MissingExtra as error:
        return Visit([Finding("extra_missing", "broken", str(error), install_line(error.extra))])
    made = Visit([])
    try:
        async with asyncio.timeout(VISIT_SECONDS):
            await _looked_at(line, made, duties)
    except TimeoutError:
        seen = f"{VISIT_SECONDS:g} s were not enough for {line.account.calls} calls; the rest was not looked at"
        made.findings.append(Finding("unfinished", "warning", seen, "is the endpoint busy? run the doctor again"))
    finally:
        await line.close()
    made.findings += wear(line, seat)
    made.findings = [replace(each, seen=without(each.seen, address.key)) for each in made.findings]
    made.account = line.account
    return made


async def _looked_at(line: Line, made: Visit, duties: Duties) -> None:
    tools = duties.tools
    rows, listed = await line.models()
    if listed.kind in ("refused", "timeout"):
        made.findings.append(failure(line, listed))
        return
    wire = line.seat.transport
    turn: Turn | None = None
    if tools:
        turn = await first_turn(line, wire)
        first = turn.reply
    else:
        first = await line.say(READY, most=turn_tokens(line))
    if first.kind:
        absent = not_there(line, rows, first)
        plain = None if absent or turn is None else await without_tools(line, turn)
        if plain is None:
            made.findings.append(absent or failure(line, first))
            return
        refusal, turn = plain
        made.findings.append(refusal)
        first = turn.reply
    made.findings += usage(first, line.seat, duties.budget)
    asked: list[tuple[list[BaseMessage], Reply | None]] = [(each, None) for each in PLAIN]
    if turn is not None:
        found, turn = await call_findings(line, turn)
        made.findings += found
        found, later = await memory_findings(line, turn)
        made.findings += found
        asked = replayed(turn, later, greedy=line.seat.temperature == 0)
    elif says_nothing(first):
        made.findings.append(silent(first, "the reply to a plain request"))
    made.findings += await name_findings(line, rows, wire_options(turn.wire) if turn else {}, asked)
    if duties.schema:
        made.findings += await schema_findings(line)
    made.findings += await space_findings(line, duties.need, row_of(rows, line.address.model), first.prompt is not None)


def replayed(turn: Turn, later: list[Reply], *, greedy: bool) -> list[tuple[list[BaseMessage], Reply | None]]:
    """The conversations played, as they were sent, with the replies where those were greedy."""
    from agents.toolcalls import outgoing

    told = [opening(), *(history(further=further, call_id=turn.call_id) for further in (False, True))]
    sent = [outgoing(turn.wire, messages, [SEARCH]) for messages in told]
    return [(each, reply if greedy else None) for each, reply in zip(sent, [turn.reply, *later], strict=True)]


async def without_tools(line: Line, turn: Turn) -> tuple[Finding, Turn] | None:
    """Where a request with tools is refused: the finding and the turn in plain text, if that is taken."""
    if turn.wire != "native" or turn.reply.kind not in ("request", "server"):
        return None
    plain = await first_turn(line, "text")
    if plain.reply.kind:
        return None
    seen = f"a request with tools is refused ({turn.reply.status}): {turn.reply.said}"
    step = 'transport = "text"' + ("" if plain.called else ", though it brought no call here")
    return Finding("tools_refused", "broken", seen, step), plain


def address_problem(address: Address, seat: Seat) -> Finding | None:
    """What is wrong with URL or key before anything is sent; the key is not shown."""
    if not address.readable:
        seen = f"the seat's URL is none that a request can go to ({address.shown})"
        return Finding("endpoint_refused", "broken", seen, "write it whole: https://HOST/v1, http://127.0.0.1:PORT/v1")
    if not address.key:
        seen = f"environment variable {seat.key_env!r} is empty"
        return Finding("key_missing", "broken", seen, f"export {seat.key_env}=..., or name another in key_env")
    if not address.key.isascii() or not address.key.isprintable() or " " in address.key:
        seen = f"the key in {seat.key_env!r} holds blanks, line ends or letters that no HTTP header takes"
        return Finding("key_missing", "broken", seen, f"export {seat.key_env} again, without them")
    return None


def failure(line: Line, reply: Reply) -> Finding:
    """The finding for an endpoint that does not answer the first call."""
    where = line.address.shown
    status = f" ({reply.status})" if reply.status else ""
    if reply.kind == "refused":
        step = "is the server running, and is the URL right?"
        return Finding("endpoint_refused", "broken", f"no connection to {where}: {reply.said}", step)
    if reply.kind == "timeout":
        seen = f"{where}: {reply.said}"
        return Finding("endpoint_stalls", "broken", seen, "is it loading a model? try again, or give --seconds 120")
    if reply.kind == "auth":
        step = f"is the right key in {line.seat.key_env!r}, and may it use {line.address.model!r}?"
        return Finding("key_refused", "broken", f"{where} refuses the key{status}: {reply.said}", step)
    if reply.kind == "rate":
        step = "wait, or ask for a higher limit: two calls in flight were too many"
        return Finding("rate_limited", "broken", f"{where}{status}: {reply.said}", step)
    if reply.kind == "garbage":
        step = "is the URL that of an OpenAI-compatible endpoint, with its /v1?"
        return Finding("no_completion", "broken", f"{where}{status}: {reply.said}", step)
    if reply.kind in ("server", "cut"):
        return Finding("endpoint_fails", "broken", f"{where}{status}, twice: {reply.said}", "look at the server's log")
    step = 'transport = "text" where it refuses tools; else the model name or a parameter'
    return Finding("request_refused", "broken", f"{where}{status}: {reply.said}", step)


def usage(reply: Reply, seat: Seat, budget: Budget) -> list[Finding]:
    """Whether tokens are counted, and can be turned into money where the budget is money."""
    found = []
    if reply.prompt is None or reply.completion is None:
        limited = budget.tokens is not None or budget.usd is not None
        seen = "replies carry no token counts: [budget] and limits.tokens go by an estimate, 4 characters a token"
        step = "[budget] hours = N, or a server that counts"
        found.append(Finding("no_usage", "broken" if limited else "warning", seen, step))
    else:
        seen = f"{reply.prompt} prompt and {reply.completion} reply tokens for the first turn"
        found.append(Finding("usage", "fine", seen))
    if budget.usd is not None and seat.price is None:
        seen = f"[budget] usd = {budget.usd:g} cannot hold: the seat has no price"
        found.append(
            Finding("no_price", "broken", seen, "price = { prompt = USD, completion = USD } per million tokens")
        )
    return found


def wear(line: Line, seat: Seat) -> list[Finding]:
    """Speed, repeats, and replies longer than asked for, over the whole visit."""
    found = []
    if line.times:
        middle, slowest = statistics.median(line.times), max(line.times)
        seen = f"median {middle:.2f} s of {len(line.times)} calls, slowest {slowest:.2f} s"
        if middle > SLOW_SECONDS or slowest > seat.timeout / 2:
            step = f"timeout = {max(120, round(10 * slowest))}, and see `retort plan` for the hours"
            found.append(Finding("slow", "warning", f"{seen}; the seat's timeout is {seat.timeout:g} s", step))
        else:
            found.append(Finding("speed", "fine", seen))
    if line.repeats and line.times:
        seen = ", ".join(f"{count} x {kind}" for kind, count in Counter(line.repeats).items())
        limited = any(kind.startswith("rate") for kind in line.repeats)
        step = f"concurrency = {max(1, min(8, seat.concurrency // 2))}" if limited else "look at the server's log"
        found.append(Finding("shaky", "warning", f"calls that had to be repeated: {seen}", step))
    if line.overlong:
        asked, came = max(line.overlong, key=lambda pair: pair[1])
        seen = f"{came} tokens came where {asked} were the most that was asked for, in {len(line.overlong)} calls"
        found.append(Finding("max_tokens_ignored", "warning", seen, "the server ignores max_completion_tokens"))
    return found
