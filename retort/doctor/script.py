"""The conversation that the doctor plays: a question, a call with a thought, an observation, an answer, a further word.

The thought's length and the further message are what is varied; everything else stays the same to the letter, so that a
difference in prompt tokens can have no other cause.
"""

from __future__ import annotations

import itertools

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from agents.prompts import prompt

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
