"""Whether a base's chat template can carry an episode: each role rendered, nothing dropped, turns that only append.

The conversation is rendered as training and serving render it; what does not come out at the other end is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.context import Wire
from agents.errors import SeatError
from agents.models.rendering import load_tokenizer, marked, render, stop_ids
from agents.prompts import prompt
from agents.tools import SEARCH
from finetune.rows import Row, spoken

from .findings import Finding

SYSTEM, QUESTION = "Answer from the manual.", "How warm is the brass kettle?"
THOUGHT, QUERY = "I look that up.", "brass kettle temperature"
OBSERVATION = "[1] Brass kettle\nTemperature: 451 degrees"
ANSWER = "Quote: Temperature: 451 degrees\nAnswer: 451 degrees"


def conversation(transport: Wire, rules: str = SYSTEM) -> Row:
    """One honest episode as a row of this transport."""
    function = {"name": "search", "arguments": {"query": QUERY}}
    messages: tuple[dict[str, Any], ...] = (
        {"role": "system", "content": rules},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": THOUGHT, "tool_calls": [{"type": "function", "function": function}]},
        {"role": "tool", "name": "search", "content": OBSERVATION},
        {"role": "assistant", "content": ANSWER},
    )
    return spoken(Row(number=1, messages=messages, tools=(SEARCH,)), transport)


def template_findings(tok: Any, transport: Wire) -> list[Finding]:
    """Findings on the template of an opened tokenizer; one fine one where nothing is wrong with it."""
    row = conversation(transport)
    told = ("the system and user turns", "the turn with a call", "the observation", "the answer")
    rendered: list[list[int]] = []
    for end, what in zip((2, 3, 4, 5), told, strict=True):
        try:
            rendered.append(render(tok, row.messages[:end], row.tools, add_generation_prompt=end in (2, 4)))
        except SeatError as error:
            cause = (str(error.__cause__).strip().splitlines() or [type(error.__cause__).__name__])[0]
            return [Finding("template_raises", "broken", f"the chat template raises at {what}: {cause[:200]}")]
    text = tok.decode(rendered[-1])
    first = tok.decode(rendered[0])
    found = [
        Finding(name, "broken", f"the chat template leaves out {what}")
        for name, what, words, where in (
            ("system_lost", "the system turn", SYSTEM, first),
            ("tools_lost", "the schemas of tools", SEARCH["function"]["description"], first),
            ("call_lost", "the call", QUERY, text),
            ("thought_lost", "the text beside a call", THOUGHT, text),
            ("observation_lost", "what a tool brought", OBSERVATION.partition("\n")[2], text),
        )
        if _plain(words) not in _plain(text if name == "system_lost" else where)
    ]
    if found:
        return found
    for what, earlier, later in zip(told, rendered, rendered[1:], strict=False):
        if later[: len(earlier)] != earlier:
            seen = (
                f"{what} look different once the conversation goes on, so a student would be served what it never saw"
            )
            return [Finding("history_rendered_differently", "broken", seen)]
    return [closing(tok, rendered[1], transport)]


def closing(tok: Any, turn: Sequence[int], transport: Wire) -> Finding:
    """Whether a turn ends with a token at which generation stops, and how its tokens are found for training."""
    solid = [token for token in turn if tok.decode([token]).strip()]
    if not solid or solid[-1] not in stop_ids(tok):
        last = tok.decode(solid[-1:]) if solid else ""
        seen = f"a turn ends with {last!r} and not with the end token {tok.eos_token!r}: a student would never stop"
        return Finding("stop_not_trained", "broken", seen)
    how = "generation markers" if marked(tok) else "rendering, turn by turn"
    seen = (
        f"system, tools, calls with their thoughts and observations come through ({transport}); a turn ends with "
        f"{tok.decode(solid[-1:])!r}, and what is trained is found by {how}"
    )
    return Finding("template", "fine", seen)


def prompt_tokens(tok: Any, transport: Wire) -> int:
    """Tokens of the longest prompt of the shortest episode: the rules, a short question, one call and its passage."""
    row = conversation(transport, prompt("react"))
    return len(render(tok, row.messages[:4], row.tools, add_generation_prompt=True))


def way_out(folder: str, transport: Wire) -> str:
    """The first setting of [student] with which the template of a base does its work: tried, not guessed."""
    ways: tuple[tuple[Wire, str | None, str], ...] = (
        ("native", "chatml", 'chat_template = "chatml"'),
        ("text", None, 'transport = "text"'),
        ("text", "chatml", 'transport = "text" and chat_template = "chatml"'),
    )
    for wire, template, said in ways:
        if wire == "native" != transport:
            continue
        try:
            found = template_findings(load_tokenizer(folder, chat_template=template), wire)
        except SeatError:
            continue
        if all(each.severity == "fine" for each in found):
            return f"set {said} in [student]"
    return 'name a Jinja file, chat_template = "FILE", in [student], or take another base'


def _plain(text: str) -> str:
    return "".join(text.split())
