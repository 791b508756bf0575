"""The text transport (ReAct): Thought / Action / Action Input as text, observations as words of the user.

A turn without an Action is a final one, and its words are the content as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from .calls import Draft, Drafts, Offer, Parsed, bracket_call, called_with, object_calls, unreadable
from .reply import MAX_MARKS, Escapes, Words

STOP = ["\nObservation:"]

_LINE = r"[ \t]{0,8}(?:[*_#>]{1,3}[ \t]{0,3})?"
_COLON = r"(?:[ \t]\d{1,3})?(?:[*_]{1,3})?[ \t]{0,3}:(?:[*_]{1,3})?"
_MARK = re.compile(rf"^{_LINE}(Thought|Action Input|Action|Observation|Final Answer){_COLON} ?", re.MULTILINE | re.I)
_EXACT = {"Thought:", "Action:", "Action Input:", "Observation:", "Final Answer:"}
_ENDING = {"final answer", "finish", "answer"}
_FINISH = re.compile(r"[`*]{0,3}(finish|final answer|answer)[`*]{0,3} ?[\[(](.*)[\])][`*]{0,3}", re.IGNORECASE)
_BESIDE = re.compile(r"[`*\"']{0,3}([A-Za-z_][\w.-]{0,63})[`*\"']{0,3}[ \t]{0,8}:?\s{0,40}(?=\{|```)")
ESCAPES = Escapes(rf"{_LINE}(?:(?:Action|Final Answer){_COLON}|</think>)", before="^")

FORMAT = """You have these tools:
{tools}

To use one, write these lines and then stop:
Thought: what you know, and what is missing
Action: the tool's name
Action Input: its arguments as JSON, on one line
The next message begins with Observation: and holds what the tool brought. When nothing is missing, write no Action: \
your last reply ends as said above."""


def described(tools: Sequence[dict[str, Any]]) -> str:
    """What is added to the system message: the tools, and how one is called."""
    lines = []
    for tool in tools:
        function = tool.get("function", tool)
        text = " ".join(str(function.get("description") or "").split())
        parameters = json.dumps(function.get("parameters") or {}, ensure_ascii=False)
        lines.append(f"- {function['name']}: {text} Arguments: {parameters}")
    return FORMAT.format(tools="\n".join(lines))


def turn(content: str, calls: Sequence[tuple[str, str]]) -> str:
    """One turn of the assistant as text.

    Args:
        calls: (name, arguments as JSON) of each call.
    """
    text = ESCAPES.on(content)
    if not calls:  # a thought that begins like a sign of ours keeps its beginning behind one
        begins = _MARK.match(text.lstrip()) or text.lstrip().startswith("<think>")
        return f"Thought: {text}" if begins else text
    blocks = [f"Action: {name}\nAction Input: {args}" for name, args in calls]
    return "\n".join([f"Thought: {text}", *blocks] if content else blocks)


def observations(text: Sequence[str]) -> str:
    """What the tools brought as one message."""
    return "\n".join(f"Observation: {each}" for each in text)


def parse(text: str, offer: Offer, *, cut: bool = False) -> Parsed:
    """Take a reply apart.

    Args:
        cut: the reply ended at its token limit.
    """
    marks = list(islice(_MARK.finditer(text), MAX_MARKS))
    words = Words(text)
    calls: list[Draft] = []
    mended: list[str] = []
    number = 0
    while number < len(marks):
        mark = marks[number]
        kind = mark.group(1).lower()
        number += 1
        end = marks[number].start() if number < len(marks) else len(text)
        if kind == "thought":
            if not words.begin(mark.start(), mark.end()):
                continue
        elif kind == "final answer":
            words.replace(mark.start(), mark.end(), "Answer: ")
            mended.append("final_answer")
            continue
        elif kind == "observation" and calls:
            words.take(mark.start())
            words.at = len(text)
            mended.append("invented_observation")
            break
        elif kind == "action":
            body, given = text[mark.end() : end], None
            if number < len(marks) and marks[number].group(1).lower() == "action input":
                sign = marks[number]
                number += 1
                end = marks[number].start() if number < len(marks) else len(text)
                given = text[sign.end() : end]
                mended += _odd(sign)
            answer = _finishing(body, given, offer)
            if answer is not None:
                words.replace(mark.start(), end, f"Answer: {answer}" + ("\n" if end < len(text) else ""))
                mended.append("final_answer")
                continue
            found = _action(body, given, offer, cut and end == len(text))
            if found is None:
                continue
            words.call(mark.start(), end, found.rest)
            calls += found.calls
            mended += [*found.mended, *(["trailing_text"] if found.rest else [])]
        else:
            continue
        mended += _odd(mark)
    words.take(len(text))
    return Parsed(ESCAPES.off(words.together()), calls, mended)


def _odd(mark: re.Match[str]) -> list[str]:
    return [] if mark.group().rstrip(" ") in _EXACT else ["marker"]


def _finishing(body: str, given: str | None, offer: Offer) -> str | None:
    """The answer in `Action: Finish[...]` or `Action: Final Answer`; None where the action is another."""
    if given is not None:
        name = body.strip("`*_ \t\r\n:")
        return given.strip() if name.lower() in _ENDING and offer.named(name) is None else None
    found = _FINISH.fullmatch(body.strip()) if len(body) < 2000 else None
    return found.group(2).strip() if found and offer.named(found.group(1)) is None else None


def _action(body: str, given: str | None, offer: Offer, cut: bool) -> Drafts | None:
    """The calls of one Action; None where the line is plain words after all."""
    text = body.strip()
    if text.startswith(("{", "```")):
        whole = object_calls(text, offer, cut=cut)
        return whole._replace(mended=[*whole.mended, "action_line"]) if whole.calls[0].args is not None else whole
    found = bracket_call(text, offer, cut=cut)
    if found is not None:
        return found
    if given is not None:
        return called_with(text, given, offer, cut=cut)
    beside = _BESIDE.match(text)
    if beside and offer.named(beside.group(1)):
        found = called_with(beside.group(1), text[beside.end() :], offer, cut=cut)
        return found._replace(mended=[*found.mended, "action_line"]) if found.calls[0].args is not None else found
    name, _, rest = text.partition("\n")
    if offer.named(name) is None:
        return None
    if cut:
        return unreadable(name, "", "the reply was cut off before its Action Input")
    found = called_with(name, "", offer)
    return Drafts(found.calls, found.mended, rest.strip())
