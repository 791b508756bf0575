"""Scripted seats: chat models without a model, which say so in their names. They are the only fakes of the house.

`answer-key` is the demonstrator: it holds the exam's key and shows honest work in the real graph. It searches for every
hop, looks whether the manual's words really stand in what came back, tries once more with other words, and gives up
where they do not. `lines` plays replies from a file.

`answer-key?errors=0.2` errs in a fifth of its turns: it answers before it has read everything, or answers something
else. Its accepted and failed episodes of one task are material for preference training.

All decide from the conversation alone, errors also from the number of the sample: the same conversation of the same
sample gets the same reply on every run and in any order.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, PrivateAttr

from ..answers import GIVE_UP, fold, normalise, parse_final, stands_in
from ..errors import SeatError, StageError
from ..files import as_record, read_jsonl
from ..providers.scripted import script_of
from ..task import Hop, Task
from .samples import current_sample

_TICKED = re.compile(r"`([^`]+)`")


def open_scripted(name: str, path: str | None) -> BaseChatModel:
    """The scripted seat `name`; raises SeatError for an unknown name or a missing file."""
    name, errors = script_of(name)
    if not path:
        raise SeatError(
            f"scripted:{name} needs a file: scripted:{name}@{'exam.jsonl' if name == 'answer-key' else 'FILE'}"
        )
    try:
        rows = read_jsonl(Path(path), "exam" if name == "answer-key" else None)
    except StageError as error:
        raise SeatError(f"scripted:{name}: {error}") from None
    if name == "lines":
        return LineScript(rows=rows)
    try:
        return AnswerKey(tasks=tuple(as_record(row, Task, Path(path), "exam") for row in rows), errors=errors)
    except StageError as error:
        raise SeatError(f"scripted:{name}: {error}") from None


class Scripted(BaseChatModel):
    """Common to scripted seats: tools are accepted and remembered as `offered`, usage is counted in words."""

    offered: bool = False

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """The same seat, knowing that tools are there."""
        return self.model_copy(update={"offered": bool(tools)})

    def reply(self, messages: list[BaseMessage]) -> AIMessage:
        """The next message."""
        raise NotImplementedError

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        message = self.reply(messages)
        prompt = sum(len(str(m.content).split()) for m in messages)
        text = len(str(message.content).split()) + sum(len(json.dumps(c["args"]).split()) for c in message.tool_calls)
        message.usage_metadata = {"input_tokens": prompt, "output_tokens": text, "total_tokens": prompt + text}
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return self._generate(messages)


def call(thought: str, query: str, turn: int) -> AIMessage:
    """A message that thinks and searches."""
    return AIMessage(content=thought, tool_calls=[{"name": "search", "args": {"query": query}, "id": f"call_{turn}"}])


def tells(hop: Hop, block: str) -> bool:
    """Whether a passage of an observation is the hop's own, by its title, and holds the hop's quote.

    The quote alone would not do: the default of a base class's parameter often stands in the derived class as well.
    """
    head = block.removeprefix("[").partition("\n")[0].partition("] ")[2]
    return head == hop.title and stands_in(hop.quote, block)


def subject(hop: Hop) -> str:
    """What is looked up of the hop's entity: the ticked name in its attribute, or the attribute itself."""
    ticked = _TICKED.search(hop.attribute)
    return ticked.group(1) if ticked else hop.attribute


class AnswerKey(Scripted):
    """The demonstrator that holds the key."""

    tasks: tuple[Task, ...] = Field(repr=False)  # LangChain takes a seat's repr at every call: 50 ms of 1,500 tasks
    errors: float = 0.0
    """Share of its turns that go wrong."""
    _by_question: dict[str, Task] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """Index the tasks by question."""
        self._by_question = {fold(task.question): task for task in self.tasks}

    def reply(self, messages: list[BaseMessage]) -> AIMessage:
        """Search for the first hop whose words have not been seen, or answer, or give up."""
        task = self._task(messages)
        if task is None:
            return AIMessage(content=f"This question is not in my key.\nAnswer: {GIVE_UP}")
        if not self.offered:
            return AIMessage(content=f"I hold the key.\nAnswer: {task.gold}")
        seen = [block for m in messages if isinstance(m, ToolMessage) for block in str(m.content).split("\n\n[")]
        asked = [str(c["args"].get("query")) for m in messages if isinstance(m, AIMessage) for c in m.tool_calls]
        noted = {quote for m in messages if isinstance(m, AIMessage) for quote in parse_final(str(m.content)).quotes}
        fresh = ""
        for number, hop in enumerate(task.hops):
            if any(tells(hop, block) for block in seen):
                fresh += f"Quote: {hop.quote}\n" if fold(hop.quote) not in noted else ""
                continue
            name = subject(hop)
            for query in (f"{hop.entity} {name}", hop.entity):
                if query not in asked:
                    if self._errs(task, messages):
                        return self._early(task, number, fresh, messages)
                    return call(f"{fresh}{plan(number, len(task.hops))}{name} of {hop.entity}.", query, len(asked))
            return AIMessage(content=f"I did not find {name} of {hop.entity}.\nAnswer: {GIVE_UP}")
        answer = self._guess(task) if self._errs(task, messages) else task.gold
        return AIMessage(content=f"{fresh}{conclusion(task)}\nAnswer: {answer}")

    def _errs(self, task: Task, messages: list[BaseMessage]) -> bool:
        """Whether this turn goes wrong: drawn from the question, the sample and the number of the turn."""
        turn = sum(isinstance(m, AIMessage) for m in messages)
        return self.errors > 0 and drawn(task.question, current_sample(), turn) < self.errors

    def _early(self, task: Task, number: int, fresh: str, messages: list[BaseMessage]) -> AIMessage:
        """An answer before hop `number` is looked up: the value of the hop before, or a guess where nothing is read."""
        if number == 0:
            return AIMessage(content=f"I know this one.\nAnswer: {self._guess(task)}")
        chosen = "\nA) " in str(next(m.content for m in messages if isinstance(m, HumanMessage)))
        found = self._guess(task) if chosen else task.hops[number - 1].value
        return AIMessage(content=f"{fresh}The manual says so.\nAnswer: {found}")

    def _guess(self, task: Task) -> str:
        """A wrong answer: another option, or the answer to another training question of the same kind."""
        others = [option for option in task.options if normalise(option) != normalise(task.gold)]
        if not others:
            same = (each for each in self.tasks if each.split == "train" and each.kind == task.kind)
            others = sorted({each.gold for each in same if normalise(each.gold) != normalise(task.gold)})
        if not others:
            return GIVE_UP
        return others[int(drawn(task.question, current_sample()) * len(others))]

    def _task(self, messages: list[BaseMessage]) -> Task | None:
        first = next((m for m in messages if isinstance(m, HumanMessage)), None)
        if first is None:
            return None
        question = str(first.content).split("\nA) ")[0]
        return self._by_question.get(fold(question))


def drawn(*parts: Any) -> float:
    """A number from 0 up to 1 that follows from `parts`."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big") / 2**64


def plan(number: int, hops: int) -> str:
    """How a turn begins that searches for hop `number` (from 0): a reader with several to find says where it stands.

    Without it a small student answered after the first of two look-ups in 40 of 55 episodes.
    """
    if hops == 1:
        return "I look up "
    return f"{hops} things to find. First, " if number == 0 else f"Number {number + 1} of {hops}: "


def conclusion(task: Task) -> str:
    """The demonstrator's last thought: how the answer follows from what it read."""
    if task.kind in ("call", "effective"):
        held = task.hops and normalise(task.hops[-1].value) == normalise(task.gold)
        return "It is left unset, so the default holds." if held else "It is set, so that value holds."
    if task.kind == "release":
        return "Both are found, and the later one decides."
    return "The manual says so." if len(task.hops) == 1 else "Both are found."


class LineScript(Scripted):
    """Plays a file: each row `{"reply": ..., "call"?: {...}, "turn"?: n, "when"?: words}`.

    The first row whose `turn` (number of assistant messages so far) and `when` (words of the first user message) fit is
    played; a row without `turn` fits every turn. `raw_call` gives a call that cannot be read.
    """

    rows: list[dict[str, Any]] = Field(repr=False)

    def reply(self, messages: list[BaseMessage]) -> AIMessage:
        """The first row that fits; where none does, the script gives up."""
        turn = sum(isinstance(m, AIMessage) for m in messages)
        first = next((str(m.content) for m in messages if isinstance(m, HumanMessage)), "")
        for row in self.rows:
            if row.get("turn", turn) != turn or str(row.get("when", "")) not in first:
                continue
            message = AIMessage(content=str(row.get("reply", "")))
            if "call" in row:
                named = row["call"]
                message.tool_calls = [
                    {"name": named.get("name", "search"), "args": named.get("arguments", {}), "id": f"call_{turn}"}
                ]
            if "raw_call" in row:
                message.invalid_tool_calls = [
                    {
                        "name": None,
                        "args": str(row["raw_call"]),
                        "id": None,
                        "error": "not JSON",
                        "type": "invalid_tool_call",
                    }
                ]
            return message
        return AIMessage(content=f"The script has no line for turn {turn}.\nAnswer: {GIVE_UP}")
