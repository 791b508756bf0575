"""The conversation that the doctor plays, and its first turn: does the model call the tool, and can a client read it?

A question, a call with a thought, an observation, an answer, a further word. The thought's length and the further
message are what is varied; everything else stays the same to the letter, so that a difference in prompt tokens can have
no other cause.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from agents.context import Transport
from agents.errors import RetortError
from agents.models.meter import Account
from agents.prompts import prompt
from agents.providers import split_spec
from agents.text import shortened
from agents.tools import SEARCH

from .findings import Finding
from .line import Line, Reply

QUESTION = (
    "What is the boiling limit of the Retort-9 kettle?\nA) 3 minutes\nB) 7 minutes\nC) 12 minutes\nD) 20 minutes\n"
    "Search the manual first."
)
QUERY = "Retort-9 kettle boiling limit"
OBSERVATION = "[1] Retort-9 kettle > boiling limit\nBoiling limit: 7 minutes"
ANSWER = "Quote: Boiling limit: 7 minutes\nAnswer: 7 minutes"
FURTHER = "Is that what the manual says? Give your quote and your answer once more."
SHORT = "I look it up."
WORDS = (
    *("water", "boil", "steam", "valve", "light", "heat", "stone", "river", "green", "field", "table", "house"),
    *("paper", "round", "seven", "night", "chair", "garden", "winter", "summer", "morning", "evening", "kitchen"),
    *("window", "bottle", "silver", "copper", "yellow", "orange", "simple", "middle"),
)
"""Common words, of one or two tokens each in most vocabularies."""
EXTRA_WORDS = 48
IN_THOUGHT, IN_RESULT = "BRASS-4471", "LINEN-8052"
"""Code words, for endpoints that count no tokens."""


def words(count: int) -> str:
    """`count` common words."""
    return " ".join(itertools.islice(itertools.cycle(WORDS), count))


def long_thought() -> str:
    """The short thought with EXTRA_WORDS more."""
    return f"{SHORT} {words(EXTRA_WORDS)}"


def opening() -> list[BaseMessage]:
    """The messages before the first turn."""
    return [SystemMessage(prompt("react")), HumanMessage(QUESTION)]


def history(
    thought: str = SHORT, *, reasoning: str = "", further: bool = False, call_id: str = "call00001"
) -> list[BaseMessage]:
    """The conversation up to the observation, or up to the further user message.

    Args:
        thought: text beside the call.
        reasoning: what stands in `reasoning_content` beside the call.
        further: with the answer and the user's further message.
        call_id: 9 letters and digits, which every server takes, or what this server gave.
    """
    call = AIMessage(
        thought,
        tool_calls=[{"name": "search", "args": {"query": QUERY}, "id": call_id}],
        additional_kwargs={"reasoning_content": reasoning} if reasoning else {},
    )
    messages = [*opening(), call, ToolMessage(OBSERVATION, tool_call_id=call_id, name="search")]
    return [*messages, AIMessage(ANSWER), HumanMessage(FURTHER)] if further else messages


def with_code_words(call_id: str = "call00001") -> list[BaseMessage]:
    """A code word in the thought, another in the observation, and the request for both."""
    messages = history(f"{SHORT} Code word of this turn: {IN_THOUGHT}.", call_id=call_id)
    result = ToolMessage(f"{OBSERVATION}\nCode word: {IN_RESULT}", tool_call_id=call_id, name="search")
    asked = "Two code words stand above: one in your own turn, one in the search result. Repeat both, and nothing else."
    return [*messages[:-1], result, HumanMessage(asked)]


def long_prompt(count: int) -> list[BaseMessage]:
    """A user message of `count` common words, a code word at its start."""
    return [HumanMessage(f"Code word: {IN_THOUGHT}. {words(count)}\nWhich code word opens this message?")]


WIRES: tuple[Transport, ...] = ("native", "text", "hermes")
TURN_TOKENS = 1024
"""A turn may be this long, if the seat's `max_tokens` allows it: reasoning models think before they call."""
_TOLD = re.compile(r"search|look(?:ing)? (?:it|this|that)? ?up|tool_call|\baction\b|\bquery\b", re.IGNORECASE)
_ANSWERED = re.compile(r"^\s*\**answer\**\s*:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Turn:
    """A first turn through one transport."""

    wire: Transport
    reply: Reply
    message: AIMessage
    """As Retort would read it."""
    mended: tuple[str, ...] = ()
    """What the transport's reader had to mend."""

    @property
    def call_id(self) -> str:
        """The id that this server gave its call, or one that every server takes: 9 letters and digits."""
        return next((str(each["id"]) for each in self.message.tool_calls if each.get("id")), "call00001")

    @property
    def called(self) -> bool:
        """Whether there is a call that can be run."""
        return runnable(self.message)


def turn_tokens(line: Line) -> int:
    """Most tokens of one played turn."""
    return min(line.seat.max_tokens, TURN_TOKENS)


def wire_options(wire: Transport) -> dict[str, Any]:
    """What a call through a transport is sent with, beside its messages."""
    from agents.toolcalls import stop_words

    return {"tools": [SEARCH] if wire == "native" else [], "stop": stop_words(wire)}


async def first_turn(line: Line, wire: Transport) -> Turn:
    """Ask the doctor's question through one transport."""
    from agents.toolcalls import incoming, outgoing

    sent = outgoing(wire, opening(), [SEARCH])
    reply = await line.say(sent, most=turn_tokens(line), **wire_options(wire))
    message, mended = incoming(wire, as_message(reply), [SEARCH])
    return Turn(wire, reply, message, tuple(mended))


def as_message(reply: Reply) -> AIMessage:
    """The wire's reply as LangChain has it; calls that cannot be read are told by name."""
    calls, invalid = [], []
    for raw in reply.calls:
        function = raw.get("function") if isinstance(raw, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        problem, arguments = read_arguments(raw)
        if problem is None and isinstance(name, str):
            calls.append(tool_call(name=name, args=arguments, id=str(raw.get("id") or "call00001")))
        else:
            invalid.append(invalid_tool_call(name=None, args=json.dumps(raw)[:500], id=None, error=problem))
    return AIMessage(
        reply.content,
        tool_calls=calls,
        invalid_tool_calls=invalid,
        additional_kwargs={"reasoning_content": reply.thought} if reply.thought else {},
        response_metadata={"finish_reason": reply.finish},
    )


def read_arguments(raw: Any) -> tuple[str | None, dict[str, Any]]:
    """What is wrong with a call's arguments on the wire (None where nothing), and the arguments."""
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict):
        return "a call without a function", {}
    written = function.get("arguments")
    if not isinstance(written, str):
        return f"arguments are a JSON {type(written).__name__} where the protocol has a string", {}
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        return "arguments are no JSON", {}
    if isinstance(value, dict):
        return None, value
    if isinstance(value, str):
        return f"arguments are a JSON string of a JSON string ({written[:80]})", {}
    return f"arguments are a JSON {type(value).__name__} where an object belongs", {}


def call_in_text(content: str) -> bool:
    """Whether a reply without a call tells one, in prose or as JSON."""
    return bool(_TOLD.search(content)) and not _ANSWERED.search(content)


async def call_findings(line: Line, turn: Turn) -> tuple[list[Finding], Turn]:
    """Findings on the first turn, and the turn of the transport that the rest of the visit uses."""
    found = shape_findings(turn)
    broken = [each for each in found if each.severity == "broken"]
    if turn.called and not broken:
        return [*found, *beside(turn)], turn
    better = None if says_nothing(turn.reply) else await other_wire(line, turn.wire)
    step = f'transport = "{better.wire}"' if better else "another model, or another tool-call parser of its server"
    tried = f"; through {better.wire} a call came" if better else "; no other transport brought a call"
    mends = bool(broken) and turn.wire == "native" and await retort_reads(line)
    made = []
    for each in found:
        if each.severity == "broken" and mends:
            seen = f"{each.seen}; Retort mends it each time, and counts it"
            made.append(Finding(each.name, "warning", seen, step))
        else:
            made.append(Finding(each.name, each.severity, each.seen + ("" if each.step else tried), each.step or step))
    return made, turn if mends else better or turn


async def retort_reads(line: Line) -> bool:
    """Whether the same first turn, asked as a run asks it, ends as a call that can be run."""
    from agents.models.desk import call
    from agents.toolcalls import incoming

    spec = split_spec(line.seat.model)._replace(url=line.address.url)
    seat = line.seat.model_copy(update={"model": spec.line})
    try:
        reply, spent = await call(seat, "reason", opening(), tools=(SEARCH,), seconds=line.seconds)
    except (RetortError, TimeoutError):
        line.account += Account(calls=1)
        return False
    line.account = line.account.plus(spent)
    message, _ = incoming("native", reply, [SEARCH])
    return runnable(message)


def runnable(message: AIMessage) -> bool:
    """Whether there is a call that can be run."""
    return any(each["name"] == "search" and isinstance(each["args"].get("query"), str) for each in message.tool_calls)


async def other_wire(line: Line, wire: Transport) -> Turn | None:
    """The first turn through the first other transport that brings a call."""
    for each in WIRES:
        if each != wire:
            other = await first_turn(line, each)
            if other.called:
                return other
    return None


def shape_findings(turn: Turn) -> list[Finding]:
    """What is wrong with the first turn itself."""
    reply = turn.reply
    problems = Counter(problem for problem, _ in map(read_arguments, reply.calls) if problem)
    found = []
    for problem, count in problems.items():
        name = "call_malformed" if problem.startswith(("arguments are no", "a call")) else "arguments_as_string"
        found.append(Finding(name, "broken", f"{count} of {len(reply.calls)} calls: {problem}"))
    names = [each["name"] for each in turn.message.tool_calls if each["name"] != "search"]
    if names:
        found.append(Finding("call_malformed", "broken", f"calls {names[0]!r}; only 'search' was offered"))
    bare = turn.wire == "native" and not reply.calls
    if found or (turn.called and not bare):
        return found
    if says_nothing(reply):
        found.append(silent(reply, "the first turn"))
    elif turn.called or turn.message.invalid_tool_calls or call_in_text(reply.content):
        seen = f"no tool_calls through {turn.wire}; the text tells the call: {reply.content!r}"
        found.append(Finding("narrated_call", "broken", shortened(seen, 200)))
    else:
        found.append(Finding("no_call", "warning", shortened(f"answered without searching: {reply.content!r}", 200)))
    return found


def says_nothing(reply: Reply) -> bool:
    """Whether a reply has neither text nor a call."""
    return not reply.content.strip() and not reply.calls


def silent(reply: Reply, where: str) -> Finding:
    """A reply that says nothing."""
    seen = f"{where} has neither text nor a call"
    spent = f", {reply.completion} tokens were written" if reply.completion else ""
    if reply.finish == "length":
        step = "raise the seat's max_tokens: it ended in the middle of its thought"
        return Finding("empty_content", "broken", f"{seen}{spent} (finish_reason length)", step)
    return Finding("empty_content", "broken", seen + spent, "look at the server's chat template and reasoning parser")


def beside(turn: Turn) -> list[Finding]:
    """What stands beside a good call: its thought, its doubles, what had to be mended."""
    found = []
    made = as_message(turn.reply).tool_calls or turn.message.tool_calls  # before what is double was mended
    calls = [json.dumps([each["name"], each["args"]], sort_keys=True) for each in made]
    doubles = max(len(calls) - len(set(calls)), turn.mended.count("duplicate_call"))
    if doubles:
        seen = f"{doubles} of {len(calls)} calls of one turn repeat another; Retort drops it, and counts it"
        step = 'transport = "text", which takes one call a turn' if turn.wire == "native" else "lower the temperature"
        found.append(Finding("parallel_duplicates", "warning", seen, step))
    else:
        how = f"mended: {', '.join(turn.mended)}" if turn.mended else "nothing to mend"
        found.append(Finding("call", "fine", f"{len(calls)} call through {turn.wire}, {how}"))
    text = len(turn.message.text.strip()) + len(turn.reply.thought.strip())
    if not text:
        seen = "no thought stands beside the call: the student would learn to act without one"
        found.append(Finding("empty_content", "warning", seen, "first_thought = true in its team"))
    return found
