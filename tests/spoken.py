"""A scripted seat that speaks a text transport: it reads calls and observations out of text, and writes such text.

Written without the transport's own code, so that both can be wrong only by themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from agents.models.scripted import Scripted

CALLS = {
    "text": re.compile(r"^Action: (?P<name>.*)\nAction Input: (?P<args>.*)$", re.MULTILINE),
    "hermes": re.compile(r'<tool_call>\n\{"name": "(?P<name>.*?)", "arguments": (?P<args>.*)\}\n</tool_call>'),
}
BROUGHT = {
    "text": re.compile(r"^Observation: (.*?)(?=\nObservation: |\Z)", re.MULTILINE | re.DOTALL),
    "hermes": re.compile(r"<tool_response>\n(.*?)\n</tool_response>", re.DOTALL),
}
OFFERS = {"text": "Action Input:", "hermes": "<tools>"}


class Spoken(Scripted):
    """Lets another scripted seat answer, in the words of a text transport."""

    transport: str
    inner: Scripted
    slips: Callable[[str], str] | None = None
    """What becomes of a reply on its way, to play a model that does not keep to the form."""

    def reply(self, messages: list[BaseMessage]) -> AIMessage:
        """The inner seat's reply as text."""
        assert not self.offered, "tools came natively"
        said = self.inner.model_copy(update={"offered": self.told_of_tools(messages)}).reply(self.read(messages))
        text = self.written(said)
        return AIMessage(self.slips(text) if self.slips else text)

    def told_of_tools(self, messages: list[BaseMessage]) -> bool:
        """Whether the system message tells of tools in this transport's way."""
        return isinstance(messages[0], SystemMessage) and OFFERS[self.transport] in str(messages[0].content)

    def read(self, messages: list[BaseMessage]) -> list[BaseMessage]:
        """The conversation as it was before it became text."""
        found: list[BaseMessage] = []
        for message in messages:
            text = str(message.content)
            if isinstance(message, HumanMessage) and text.startswith(("Observation: ", "<tool_response>")):
                last = next(m for m in reversed(found) if isinstance(m, AIMessage))
                brought = BROUGHT[self.transport].findall(text)
                assert len(brought) == len(last.tool_calls)
                ids = [call["id"] or "" for call in last.tool_calls]
                found += [ToolMessage(each, tool_call_id=name) for each, name in zip(brought, ids, strict=True)]
            elif isinstance(message, AIMessage):
                found.append(self.turn(text, len(found)))
            else:
                found.append(message)
        return found

    def turn(self, text: str, number: int) -> AIMessage:
        """An assistant's text with its calls."""
        calls: list[dict[str, Any]] = []
        begins = len(text)
        for match in CALLS[self.transport].finditer(text):
            begins = min(begins, match.start())
            calls.append({"name": match["name"], "args": json.loads(match["args"]), "id": f"c{number}_{len(calls)}"})
        thought = text[:begins].removesuffix("\n") if calls else text
        return AIMessage(thought.removeprefix("Thought: "), tool_calls=calls)

    def written(self, message: AIMessage) -> str:
        """A reply as text."""
        parts = [f"Thought: {message.content}" if self.transport == "text" else str(message.content)]
        for call in message.tool_calls:
            args = json.dumps(call["args"])
            if self.transport == "text":
                parts.append(f"Action: {call['name']}\nAction Input: {args}")
            else:
                parts.append(f'<tool_call>\n{{"name": "{call["name"]}", "arguments": {args}}}\n</tool_call>')
        return "\n".join(parts)
