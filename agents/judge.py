"""The judge of the verifying agent: a model that says whether quotes support an answer, and whether it is an answer.

It is asked last, after the checks that cost nothing, and it is never given the gold: a judge that knows the gold would
only repeat it, and its critique would be a hint. What it is shown are an exam's words, a player's words and a manual's
words; all of them are fenced as data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from .answers import LETTERS, Final, fold, stands_in
from .context import Context
from .models.structured import ask_structured, fenced
from .prompts import prompt
from .spent import Spent
from .text import shortened, writable

REASON_CHARS = 300
QUESTION_CHARS = 2000
OPTION_CHARS = 300
ANSWER_CHARS = 500
QUOTE_CHARS = 500
MAX_QUOTES = 12
PASSAGE_CHARS = 2000
"""Characters of one passage that the judge reads; of a longer one those round the first quote in it."""
PASSAGES_CHARS = 16_000
"""Characters of all passages together, some 4,000 tokens; those with a quote come first."""

PROBLEMS = {"supported": "the quotes do not support it", "answers": "it does not answer the question"}
"""What the judge did not find -> what the critique says of it."""


def one_line(value: Any) -> Any:
    """A reason as one bounded line; what is no text is left to the check of types."""
    return writable(fold(value))[:REASON_CHARS].rstrip() if isinstance(value, str) else value


class Judgement(BaseModel):
    """A judgement of an answer."""

    model_config = ConfigDict(frozen=True)

    # The reason stands first: a model that writes its verdict first only finds reasons for it.
    reason: Annotated[str, BeforeValidator(one_line), Field(description="one sentence, at most 300 characters")]
    supported: Annotated[bool, Field(description="the quotes support the answer")]
    answers: Annotated[bool, Field(description="the answer answers the question")]

    @property
    def passed(self) -> bool:
        """Whether the judge has nothing against the answer."""
        return self.supported and self.answers


async def judge(
    context: Context,
    question: str,
    options: Sequence[str],
    final: Final,
    passages: Sequence[str],
    *,
    seconds: float | None = None,
) -> tuple[Judgement | None, list[Spent], list[str]]:
    """Ask the judge about a final answer.

    Args:
        final: the final message taken apart, with the quotes of the turns before it.
        passages: title and text of what this episode retrieved.
        seconds: what the episode has left; None = only the seat's own `timeout` counts.

    Returns:
        The judgement, or None where no judge is seated or its reply could not be read; what its calls cost; names of
        what was mended, each beginning with `judge:`.

    Raises:
        ProviderError: the endpoint failed; the node's retry policy decides what follows.
    """
    seat = context.team.judge
    if seat is None:
        return None, [], []
    messages = [SystemMessage(prompt("judge")), HumanMessage(shown(question, options, final, passages))]
    return await ask_structured(seat, "judge", messages, Judgement, seconds=seconds)


def shown(question: str, options: Sequence[str], final: Final, passages: Sequence[str]) -> str:
    """The message that the judge reads, bounded whatever the episode brought."""
    lettered = [
        f"{letter}) {shortened(option, OPTION_CHARS)}" for letter, option in zip(LETTERS, options, strict=False)
    ]
    quotes = [shortened(fold(quote), QUOTE_CHARS) for quote in final.quotes[:MAX_QUOTES]]
    sections = [("question", shortened(question, QUESTION_CHARS))]
    if lettered:
        sections.append(("options", "\n".join(lettered)))
    sections.append(("answer", shortened(final.answer or "(none)", ANSWER_CHARS)))
    sections.append(("quotes", "\n".join(quotes) or "(none)"))
    chosen = nearest(passages, final.quotes)
    sections += [(f"passage {number}", text) for number, text in enumerate(chosen, 1)]
    if len(chosen) < len(passages):
        sections.append(("note", f"{len(passages) - len(chosen)} more passages are left out"))
    return fenced(sections) + "\nThe data has ended. Give your judgement."


def nearest(passages: Sequence[str], quotes: Sequence[str]) -> list[str]:
    """Passages cut to what the judge may read, those that hold a quote first, as many as there is room for."""
    bare = [fold(quote.strip('"“”')) for quote in quotes]
    held = [[quote for quote in bare if stands_in(quote, passage)] for passage in passages]
    chosen: list[str] = []
    room = PASSAGES_CHARS
    for i in sorted(range(len(passages)), key=lambda i: not held[i]):
        text = round_quote(passages[i], held[i])
        if len(text) > room:
            break
        chosen.append(text)
        room -= len(text)
    return chosen


def round_quote(passage: str, quotes: Sequence[str]) -> str:
    """A passage of at most `PASSAGE_CHARS`: its title line, and what stands round the first quote in it."""
    if len(passage) <= PASSAGE_CHARS:
        return passage
    title, _, text = passage.partition("\n")
    title = shortened(title, OPTION_CHARS)
    room = PASSAGE_CHARS - len(title) - 5  # a line break and two ellipses with their blanks
    places = [re.search(r"\s+".join(map(re.escape, quote.split())), text) for quote in quotes]
    at = min((place.start() for place in places if place), default=0)
    start = max(0, min(at - room // 4, len(text) - room))
    end = start + room
    return f"{title}\n{'… ' if start else ''}{text[start:end]}{' …' if end < len(text) else ''}"


def critique_of(judgement: Judgement) -> str:
    """The message that sends an answer back which the judge did not let pass; made of its words, and of no gold."""
    problems = "; ".join(text for name, text in PROBLEMS.items() if not getattr(judgement, name))
    reason = judgement.reason.rstrip(".")
    return prompt("critique").format(problems=f"{problems} ({reason})" if reason else problems)
