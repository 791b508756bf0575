"""One visit to one endpoint: the conversation, then what else is looked at, all within a deadline.

Beside the conversation: whether the model that a seat names is the one that answers, and whether replies hold to a JSON
schema where a seat judges or extracts.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage

from agents.context import Seat
from agents.errors import MissingExtra
from agents.install import install_line
from agents.models.meter import Account, Budget
from agents.tools import SEARCH

from .conversation import (
    Turn,
    call_findings,
    first_turn,
    history,
    opening,
    says_nothing,
    silent,
    turn_tokens,
    wire_options,
)
from .findings import Finding, Severity, without
from .line import Address, Line, Reply
from .prompts import Need, memory_findings, space_findings

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

    stated = [opening(), *(history(further=further, call_id=turn.call_id) for further in (False, True))]
    sent = [outgoing(turn.wire, messages, [SEARCH]) for messages in stated]
    return [(each, reply if greedy else None) for each, reply in zip(sent, [turn.reply, *later], strict=True)]


async def without_tools(line: Line, turn: Turn) -> tuple[Finding, Turn] | None:
    """Where a request with tools is refused: the finding and the turn in plain text, if that is taken."""
    if turn.wire != "native" or turn.reply.kind not in ("request", "server"):
        return None
    plain = await first_turn(line, "text")
    if plain.reply.kind:
        return None
    seen = f"a request with tools is refused ({turn.reply.status}): {turn.reply.problem}"
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
        return Finding("endpoint_refused", "broken", f"no connection to {where}: {reply.problem}", step)
    if reply.kind == "timeout":
        seen = f"{where}: {reply.problem}"
        return Finding("endpoint_stalls", "broken", seen, "is it loading a model? try again, or give --seconds 120")
    if reply.kind == "auth":
        step = f"is the right key in {line.seat.key_env!r}, and may it use {line.address.model!r}?"
        return Finding("key_refused", "broken", f"{where} refuses the key{status}: {reply.problem}", step)
    if reply.kind == "rate":
        step = "wait, or ask for a higher limit: two calls in flight were too many"
        return Finding("rate_limited", "broken", f"{where}{status}: {reply.problem}", step)
    if reply.kind == "garbage":
        step = "is the URL that of an OpenAI-compatible endpoint, with its /v1?"
        return Finding("no_completion", "broken", f"{where}{status}: {reply.problem}", step)
    if reply.kind in ("server", "cut"):
        return Finding(
            "endpoint_fails", "broken", f"{where}{status}, twice: {reply.problem}", "look at the server's log"
        )
    step = 'transport = "text" where it refuses tools; else the model name or a parameter'
    return Finding("request_refused", "broken", f"{where}{status}: {reply.problem}", step)


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


Asked = Sequence[tuple[list[BaseMessage], Reply | None]]

NOBODY = "retort-doctor-no-such-model"
MAX_LISTED = 8
COMPARED_TOKENS = 64


def row_of(rows: Sequence[Mapping[str, Any]] | None, model: str) -> Mapping[str, Any] | None:
    """The model's row of GET /models."""
    return next((row for row in rows or () if row["id"] == model), None)


def base_of(rows: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> str | None:
    """The base that an adapter's row names and that is served beside it; None for a full model."""
    ids = {other["id"] for other in rows} - {row["id"]}
    return next((value for key in ("parent", "root") if (value := row.get(key)) in ids), None)


def listing(rows: Sequence[Mapping[str, Any]]) -> str:
    """Names of what is listed, bounded."""
    more = f" and {len(rows) - MAX_LISTED} more" if len(rows) > MAX_LISTED else ""
    return ", ".join(repr(row["id"][:60]) for row in rows[:MAX_LISTED]) + more if rows else "nothing"


def not_there(line: Line, rows: Sequence[Mapping[str, Any]] | None, reply: Reply) -> Finding | None:
    """The finding for a refused call where the model is not listed; None where the refusal has another cause."""
    model = line.address.model
    if reply.kind != "request" or rows is None or row_of(rows, model) is not None:
        return None
    near = difflib.get_close_matches(model, [row["id"] for row in rows], n=1, cutoff=0.5)
    step = f"name {near[0]!r} in the seat" if near else "load it in the server, or name one that is listed"
    seen = f"{model!r} is not served ({reply.status}: {reply.problem}); listed: {listing(rows)}"
    return Finding("adapter_not_loaded", "broken", seen, step)


async def name_findings(
    line: Line, rows: Sequence[Mapping[str, Any]] | None, options: Mapping[str, Any], asked: Asked
) -> list[Finding]:
    """Findings on the name, for an endpoint that answers under it.

    Args:
        line: the endpoint.
        rows: what GET /models lists; None where it lists nothing.
        options: of each call: the tools offered, the words that stop it.
        asked: conversations with the greedy reply that the model gave already, None where it is still to be asked.
    """
    model = line.address.model
    row = row_of(rows, model)
    if rows is None or row is None:
        wrong = await line.say(opening(), model=NOBODY)
        listed = f"listed: {listing(rows)}" if rows is not None else "GET /models lists nothing"
        if not wrong.kind:
            seen = f"the server answers for any name ({NOBODY!r} too), so nothing says that {model!r} plays; {listed}"
            return [Finding("adapter_not_loaded", "broken", seen, "load the model, or name what is listed")]
        return [Finding("model", "fine", f"{model!r} is served, another name is refused ({wrong.status}); {listed}")]
    base = base_of(rows, row)
    if base is None:
        return [Finding("model", "fine", f"{model!r} is listed")]
    return [await compared(line, model, base, options, asked)]


async def compared(line: Line, model: str, base: str, options: Mapping[str, Any], asked: Asked) -> Finding:
    """Whether an adapter's greedy replies differ from its base's."""

    async def both(messages: list[BaseMessage], mine: Reply | None) -> tuple[Reply, Reply]:
        most = COMPARED_TOKENS if mine is None else turn_tokens(line)  # as many as were let for the known reply
        theirs = line.say(messages, most=most, model=base, temperature=0.0, **options)
        if mine is not None:
            return mine, await theirs
        one, other = await asyncio.gather(line.say(messages, most=most, temperature=0.0, **options), theirs)
        return one, other

    played = await asyncio.gather(*(both(messages, mine) for messages, mine in asked))
    pairs = [pair for pair in played if not (pair[0].kind or pair[1].kind)]
    if len(pairs) < 2:
        seen = f"{model!r} is an adapter on {base!r}; {len(pairs)} of {len(asked)} comparisons came back"
        return Finding("model", "warning", seen, "run the doctor again")
    same = sum(_said(one) == _said(other) for one, other in pairs)
    seen = f"{same} of {len(pairs)} greedy replies of the adapter {model!r} are those of its base {base!r}"
    if same == len(pairs):
        seen += f", word for word ({sum(len(''.join(_said(one))) for one, _ in pairs)} characters)"
        return Finding("adapter_not_loaded", "broken", seen, "the adapter does nothing: load it again, or train it")
    return Finding("model", "fine", seen)


def _said(reply: Reply) -> tuple[str, str, str]:
    """Text, thought and arguments, without the calls' ids."""
    functions = [call.get("function") for call in reply.calls if isinstance(call, dict)]
    arguments = " ".join(str(each.get("arguments")) for each in functions if isinstance(each, dict))
    return reply.content.strip(), reply.thought.strip(), arguments


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": ["kettle", "teapot"]}, "sure": {"type": "boolean"}},
    "required": ["verdict", "sure"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "probe", "strict": True, "schema": SCHEMA}}
SCHEMA_TOKENS = 256


async def schema_findings(line: Line) -> list[Finding]:
    """One finding: the schema is kept, refused, or ignored; the question itself says nothing of JSON."""
    if line.seat.structured == "prompt":
        return [Finding("json_schema", "fine", 'structured = "prompt": the schema stands in the prompt')]
    asked = [HumanMessage("Which of the two is used to boil water, and are you sure?")]
    reply = await line.say(asked, most=min(line.seat.max_tokens, SCHEMA_TOKENS), response_format=FORMAT)
    severity: Severity = "broken" if line.seat.structured == "json_schema" else "warning"
    step = 'structured = "prompt"'
    if reply.kind in ("request", "server"):
        seen = f"response_format json_schema is refused ({reply.status}): {reply.problem}"
        return [Finding("json_schema_unsupported", severity, seen, step)]
    if reply.kind:
        return [Finding("json_schema", "warning", f"not measured ({reply.kind}: {reply.problem})", "run it again")]
    if fits(reply.content):
        return [Finding("json_schema", "fine", "a reply to a JSON schema fits it")]
    seen = f"response_format json_schema is ignored: the reply is {reply.content[:80]!r}"
    if reply.finish == "length":
        seen += f", cut at {SCHEMA_TOKENS} tokens"
    return [Finding("json_schema_unsupported", severity, seen, step)]


def fits(text: str) -> bool:
    """Whether a reply is JSON of the probe's schema."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict) or set(value) != {"verdict", "sure"}:
        return False
    return value["verdict"] in ("kettle", "teapot") and isinstance(value["sure"], bool)
