"""How a final message is read: its quotes, its answer, and the one option that the answer names.

Strict on purpose: an answer counts only when exactly one option matches it after normalisation, by text or by letter.
Case is kept, since `-a` and `-A` are different options.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

LETTERS = string.ascii_uppercase
GIVE_UP = "I don't know"
"""The answer that ends an episode as `gave_up`: the model looked and says that the manual does not tell."""

_TAG = re.compile(r"^[\s>#-]*(quote|answer)\s*:\s*(.*)$", re.IGNORECASE)
_BOLD_TAG = re.compile(r"^[\s>#-]*(?:\*\*|__)(quote|answer)(?::(?:\*\*|__)|(?:\*\*|__):)\s*(.*)$", re.IGNORECASE)
_LETTER = re.compile(r"^\(?([A-Z])\)?[.):]?$")
_LETTERED = re.compile(r"^\(?([A-Z])[.):]\s+(.+)$")
_PAIRS = {"`": "`", '"': '"', "'": "'", "“": "”", "‘": "’"}


@dataclass(frozen=True)
class Final:
    """A final message taken apart."""

    answer: str | None
    """Text after the last `Answer:`; None where there is no such line or nothing stands on it."""
    quotes: tuple[str, ...]
    """Texts after `Quote:`, in order, empty ones left out."""


def parse_final(text: str) -> Final:
    """Read the `Quote:` and `Answer:` lines of a final message."""
    answer: str | None = None
    quotes: list[str] = []
    for line in text.splitlines():
        match = _TAG.match(line) or _BOLD_TAG.match(line)
        if match is None:
            continue
        value = match.group(2).strip()
        if match.group(1).lower() == "answer":
            answer = value or None
        elif value:
            quotes.append(value)
    return Final(answer=answer, quotes=tuple(quotes))


def fold(text: str) -> str:
    """White space folded to single blanks, none at the ends."""
    return " ".join(text.split())


def stands_in(quote: str, text: str) -> bool:
    """Whether `quote` stands verbatim in `text`, white space folded, and not as a part of a longer word or number."""
    words = fold(quote)
    if not words:
        return False
    before = r"(?<!\w)" if words[0].isalnum() else ""
    after = r"(?!\w)" if words[-1].isalnum() else ""
    return re.search(before + re.escape(words) + after, fold(text)) is not None


def normalise(text: str) -> str:
    """The form in which answers and options are compared.

    White space is folded, backticks and one pair of quotes round the whole are taken off, a full stop at the end too,
    and a comma list outside brackets is put in order (manuals list the same set in different orders).
    """
    value = fold(text.replace("`", ""))
    while len(value) >= 2 and _PAIRS.get(value[0]) == value[-1]:
        value = value[1:-1].strip()
    if value.endswith(".") and not value.endswith("..") and len(value) > 1:
        value = value[:-1].rstrip()
    if "," in value and not set(value) & set("()[]{}'\""):
        value = ", ".join(sorted(part.strip() for part in value.split(",") if part.strip()))
    return value


def match_option(answer: str | None, options: Sequence[str]) -> str | None:
    """The option that `answer` names by its text, its letter, or both (`B) text`); None where none or several do."""
    if answer is None:
        return None
    found = {i for i, option in enumerate(options) if normalise(option) == normalise(answer)}
    letter = _LETTER.match(fold(answer).replace("*", ""))
    if letter:
        found.add(LETTERS.index(letter.group(1)))
    lettered = _LETTERED.match(fold(answer))
    if lettered and not found:
        index = LETTERS.index(lettered.group(1))
        if index < len(options) and normalise(options[index]) == normalise(lettered.group(2)):
            found.add(index)
    found = {i for i in found if i < len(options)}
    return options[found.pop()] if len(found) == 1 else None


def same_answer(answer: str | None, gold: str, options: Sequence[str]) -> bool:
    """Whether `answer` is the gold: by option where there are options, by normalised text where there are none."""
    if answer is None:
        return False
    if options:
        return match_option(answer, options) == gold
    return normalise(answer) == normalise(gold)


def gave_up(answer: str | None) -> bool:
    """Whether the answer is the agreed way of giving up."""
    return answer is not None and normalise(answer).casefold() == normalise(GIVE_UP).casefold()
