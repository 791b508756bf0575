"""How a final message is read, and when an answer is right: by the one option that it names, or by its text.

Strict on purpose. An option counts only when exactly one matches after normalisation, by text or by letter, and there
case is kept, since `-a` and `-A` are different options. A free answer is compared by its value: `60 seconds` is `60s`,
`30.0` is `30`, `none` is `None`; names that code could tell apart by case are not folded.
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
_NUMBER = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3})+|[\d_]*\d)?(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)
_UNIT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([A-Za-z]+)")
UNITS = {
    "ms": ("millisecond", "milliseconds", "msec", "msecs"),
    "s": ("sec", "secs", "second", "seconds"),
    "m": ("min", "mins", "minute", "minutes", "mb", "megabyte", "megabytes"),
    "h": ("hr", "hour", "hours"),
    "d": ("day", "days"),
    "w": ("week", "weeks"),
    "k": ("kb", "kilobyte", "kilobytes"),
    "g": ("gb", "gigabyte", "gigabytes"),
    "b": ("byte", "bytes"),
}
"""Unit as short manuals write it -> its other spellings. `m` is minutes or megabytes: one setting has one of them."""
_CANONICAL_UNIT = {other: unit for unit, others in UNITS.items() for other in (unit, *others)}
_WORDS = re.compile(r"[^\W\d_]{2,}(?:[ ,]+(?:and |or )?[^\W\d_]{2,})*")
_JOINTS = (re.compile(r"\s*(?:[,;]\s*(?:and\s+)?|\s+and\s+)"), re.compile(r"\s*(?:[,;/]\s*(?:and\s+)?|\s+and\s+)"))
"""What may stand between the parts of an answer to two questions: a slash, too, but it may also be in a path."""
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
    value = bare(text)
    if "," in value and not set(value) & set("()[]{}'\""):
        value = ", ".join(sorted(part.strip() for part in value.split(",") if part.strip()))
    return value


def bare(text: str) -> str:
    """White space folded, without backticks, one pair of quotes round the whole, and a full stop at the end."""
    value = fold(text.replace("`", ""))
    while len(value) >= 2 and _PAIRS.get(value[0]) == value[-1]:
        value = value[1:-1].strip()
    if value.endswith(".") and not value.endswith("..") and len(value) > 1:
        value = value[:-1].rstrip()
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


def canonical(text: str) -> str:
    """The form in which free answers are compared: `normalise`, and one spelling of numbers, units, lists and words.

    A fraction of zeros is dropped (`30.0` is `30`), any other fraction stays as written, since `7.10` may be a release
    and is not `7.1`. Case is folded only in plain words of two letters and more. A list joined with `and` or `or` reads
    as a comma list.

    >>> canonical("60 seconds") == canonical("60s"), canonical("'UTF-8'") == canonical("utf-8")
    (True, False)
    """
    value = bare(text)
    number = _NUMBER.fullmatch(value)
    if number and (number.group(2) or number.group(3)):
        return _plain_number(*number.groups(default=""))
    unit = _UNIT.fullmatch(value)
    if unit and unit.group(2).lower() in _CANONICAL_UNIT:
        return canonical(unit.group(1)) + _CANONICAL_UNIT[unit.group(2).lower()]
    if _WORDS.fullmatch(value):
        parts = re.split(r"\s*,\s*(?:and |or )?|\s+(?:and|or)\s+", value.casefold())
        return ", ".join(sorted(parts))
    return normalise(value)


def _plain_number(sign: str, whole: str, fraction: str, exponent: str) -> str:
    digits = whole.replace(",", "").replace("_", "").lstrip("0") or "0"
    rest = "" if not fraction.strip(".0") else fraction
    text = ("-" if sign == "-" and (digits != "0" or rest) else "") + digits + rest
    if exponent:  # 1e3 is 1000 where that is exact
        value = float(text + exponent)
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return text


def same_answer(
    answer: str | None,
    gold: str,
    options: Sequence[str] = (),
    *,
    aliases: Sequence[str] = (),
    parts: Sequence[str] = (),
) -> bool:
    """Whether `answer` is the gold: by option where there are options, by its value where there are none.

    Args:
        aliases: other spellings of the gold.
        parts: of a gold that answers two questions: its parts, which may be joined otherwise but not exchanged.
    """
    if answer is None:
        return False
    if options:
        return match_option(answer, options) == gold
    if parts:  # `canonical` puts words in order, and `off and on` is not `on and off` here
        wanted = [canonical(part) for part in parts]
        plain = fold(answer.replace("`", ""))
        given = [[canonical(part) for part in joint.split(plain)] for joint in _JOINTS]
        return wanted in given or normalise(answer) in {normalise(right) for right in (gold, *aliases)}
    text = canonical(answer)
    return any(text == canonical(right) for right in (gold, *aliases))


def holds(text: str, value: str) -> bool:
    """Whether `value` stands in `text` as a whole (`1` does not stand in `10` or `0.1`)."""
    pattern = rf"(?<![\w.\-]){re.escape(value)}(?![\w\-]|\.\w)"
    return re.search(pattern, text) is not None


def bears(quote: str, value: str) -> bool:
    """Whether a quote says `value` of something: the value stands in it, or all parts of a list, beside other words.

    >>> bears("Default: 60s", "60s"), bears("60s", "60s"), bears("the", "60s")
    (True, False, False)
    """
    plain, wanted = fold(quote.replace("`", "")), normalise(value)
    if not re.search(r"\w", plain.replace(wanted, "", 1) if wanted in plain else plain):
        return False
    after = normalise(plain.partition(":")[2])
    if after and after == wanted:
        return normalise(plain) != wanted
    if holds(plain, wanted) or holds(plain, fold(value)):
        return True
    listed = wanted.split(", ")
    return len(listed) > 1 and all(holds(plain, part) for part in listed)


def gave_up(answer: str | None) -> bool:
    """Whether the answer is the agreed way of giving up."""
    return answer is not None and normalise(answer).casefold() == normalise(GIVE_UP).casefold()
