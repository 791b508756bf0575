"""What every reader of replies shares: words, thoughts and escapes, the legend of mends, and the message put together.

The message comes out in canonical form: thought in the content, calls with ids of their own, nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall
from langchain_core.messages.tool import invalid_tool_call, tool_call

from ..text import writable
from .calls import Draft

MENDS = {
    "think": "a hidden thought stood in the content as <think>...</think>; it is kept as reasoning_content",
    "narrated": "the call was told in the content, in another form than the transport's",
    "fence": "the call or its arguments stood in a Markdown fence",
    "quotes": "strings stood in single or typographic quotes",
    "inner_quotes": "quotes inside a string were not escaped",
    "bad_escape": "a backslash in a string began no escape that JSON knows; it is kept as it stands",
    "raw_newline": "a string held line breaks or tabs that were not escaped",
    "bare_key": "an argument's name stood without quotes",
    "python_literal": "True, False or None where JSON has true, false and null",
    "trailing_comma": "a comma with nothing behind it",
    "unclosed": "a brace, bracket or tag at the end was missing",
    "extra_brace": "braces or brackets too many at the end",
    "several_objects": "several calls stood in the place of one",
    "bracket_call": "the call was written as name[...] or name(...)",
    "xml_call": "the call was written as <function=name><parameter=name>...",
    "plain_input": "plain words stood for the arguments of a tool with one required string",
    "no_input": "nothing, or a word for nothing, stood for the arguments",
    "double_encoded": "the arguments were JSON inside a JSON string",
    "wrapped": "the arguments stood one level too deep",
    "argument_names": "the call's parts were not called name and arguments, or the arguments stood beside the name",
    "tool_name": "the tool's name had other case, a prefix, or marks round it",
    "action_line": "the arguments stood on or below the Action line without Action Input",
    "marker": "Thought:, Action: and the like in bold, in other case, or numbered",
    "final_answer": "the answer stood as Final Answer: or Finish[...]; it is an Answer: line now",
    "invented_observation": "the model went on with an observation of its own, which is cut off with all behind it",
    "space_before_call": "white space stood between the thought and a native call, as vLLM's parsers leave it",
    "trailing_text": "words behind a call were put to the thought",
    "duplicate_call": "the same call with the same arguments came twice in one reply; one is dropped",
    "too_many": "calls past the most that one reply may make were dropped",
    "call_form": "the call kept to the protocol's words and not to its form, e.g. arguments as an object, not its JSON",
    "call_id": "a call had no id, or that of another call",
    "surrogate": "halves of surrogate pairs, which no request and no record can hold, are question marks now",
}
"""Name -> what it means. The names go on record (`Trajectory.mended`), so they stay as they are."""

MAX_CALLS = 32
"""Calls, readable or not, that one reply may make."""
MAX_MARKS = 1000
"""Signs of a text transport in one reply that are looked at; what stands behind them is plain text."""
AS_SENT = ("tool_calls", "function_call")
"""Calls as the endpoint sent them, which some clients keep: LangChain would bring back from there what was mended."""
READ_WITH = "mended"
"""Key of a reply's `response_metadata` with what was mended where a model in this process was read."""
OPEN, CLOSE = "<think>", "</think>"
_CLOSING_LINE = re.compile(r"\n[ \t]{0,8}</think>[ \t]{0,8}(?=\n|\Z)")


def without_thought(text: str) -> tuple[str, str | None]:
    """The text without its hidden thought, and the thought; None where there is none.

    A thought that never ends is all of the reply. Templates that open the thought themselves leave only its end, which
    counts where it stands on a line of its own.
    """
    head = text.lstrip()
    if head.startswith(OPEN):
        thought, _, rest = head[len(OPEN) :].partition(CLOSE)
        return rest.lstrip(), thought.strip()
    closing = _CLOSING_LINE.search(text)
    if closing is None:
        return text, None
    return text[closing.end() :].lstrip(), text[: closing.start()].strip()


class Escapes:
    """Backslashes before what matches a pattern; `off(on(text))` is `text`, whatever the text.

    A run of backslashes is looked at from its first one only: so it takes no longer the longer the run.
    """

    def __init__(self, signs: str, before: str = "") -> None:
        """
        Args:
            signs: pattern of what would be taken for a sign.
            before: pattern of the place where it would be, of no width.
        """
        self._on = re.compile(rf"{before}(?<!\\)(?=\\*(?:{signs}))", re.MULTILINE | re.IGNORECASE)
        self._off = re.compile(rf"{before}(?<!\\)\\(?=\\*(?:{signs}))", re.MULTILINE | re.IGNORECASE)

    def on(self, text: str) -> str:
        """The text with one backslash more before each sign."""
        return self._on.sub(r"\\", text)

    def off(self, text: str) -> str:
        """The text with one backslash less before each sign that has any."""
        return self._off.sub("", text)


class Words:
    """The words of a reply, read from front to back; `at` is the offset up to which the text is dealt with.

    What stands before the first call is kept to the letter, but for the one line break that the transport puts between
    (white space alone is nothing said); what stands behind a call follows on a line of its own.
    """

    def __init__(self, text: str) -> None:
        self.at = 0
        self._text = text
        self._parts: list[str] = []
        self._said: list[str] = []
        self._called = self._begun = False

    def take(self, end: int) -> None:
        """The text up to `end` is said."""
        self._parts.append(self._text[self.at : end])
        self.at = end

    def replace(self, start: int, end: int, words: str) -> None:
        """Other words are said in place of the text from `start` to `end`."""
        self.take(start)
        self._parts.append(words)
        self.at = end

    def begin(self, start: int, end: int) -> bool:
        """Leave out the sign from `start` to `end` if it begins the words since the last call; whether it does."""
        if self._begun or self._parts or self._text[self.at : start].strip():
            return False
        self._begun = True
        self.at = end
        return True

    def call(self, start: int, end: int, rest: str = "") -> None:
        """A call stands from `start` to `end`; `rest` are words in it that are said."""
        self.take(start)
        self._close("\n")
        self.at = end
        self._called, self._begun = True, False
        if rest:
            self._said.append(rest)

    def together(self) -> str:
        """All that was said."""
        self._close("")
        return "\n".join(self._said)

    def _close(self, gap: str) -> None:
        text, self._parts = "".join(self._parts), []
        if self._called:
            text = text.strip()
        elif gap:
            text = text[:-1] if text.endswith(gap) else text.rstrip()
        if text and (text.strip() or self._begun):
            self._said.append(text)


def read_with(reply: AIMessage) -> list[str]:
    """What was mended already where the reply was read, by a seat of this process."""
    return list(reply.response_metadata.get(READ_WITH) or ())


def was_cut(reply: AIMessage) -> bool:
    """Whether the reply ended at its token limit."""
    return reply.response_metadata.get("finish_reason") in ("length", "max_tokens")


def put_together(
    reply: AIMessage,
    content: Any,
    calls: Sequence[Draft],
    mended: Sequence[str],
    *,
    thought: str | None = None,
    with_ids: bool = False,
) -> tuple[AIMessage, list[str]]:
    """The reply with another content and other calls; its id, usage and metadata stay.

    Args:
        thought: hidden thought found in the content; it goes behind one that the endpoint sent apart.
        with_ids: the transport has ids of calls, so that a missing or repeated one is a mend.

    Returns:
        The message, and the names of all that was mended.
    """
    names = list(mended)
    good: list[ToolCall] = []
    bad: list[InvalidToolCall] = []
    seen: set[str] = set()
    ids: set[str] = set()
    for number, draft in enumerate(calls):
        same = draft.raw if draft.args is None else json.dumps(draft.args, sort_keys=True, default=str)
        mark = f"{draft.name}\n{draft.args is None}\n{same}"
        if mark in seen:
            names.append("duplicate_call")
            continue
        if len(seen) == MAX_CALLS:
            names.append("too_many")
            break
        seen.add(mark)
        name = draft.id
        if not name or name in ids:
            name = fresh_id(reply, content, number)
            names += ["call_id"] if with_ids else []
        ids.add(name)
        if draft.args is None:
            bad.append(invalid_tool_call(name=draft.name, args=draft.raw, id=name, error=draft.error))
        else:
            good.append(tool_call(name=draft.name or "", args=draft.args, id=name))
    kept = {key: value for key, value in reply.additional_kwargs.items() if key not in AS_SENT}
    if thought:
        kept["reasoning_content"] = "\n".join(filter(None, (kept.get("reasoning_content"), writable(thought))))
    update = {"content": content, "tool_calls": good, "invalid_tool_calls": bad, "additional_kwargs": kept}
    return reply.model_copy(update=update), names


def fresh_id(reply: AIMessage, content: Any, number: int) -> str:
    """An id for a call: the same for the same reply, another in every other reply.

    Nine letters and digits: there are endpoints that take no other ids.
    """
    seed = f"{reply.id or content}\n{number}"
    return hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:9]
