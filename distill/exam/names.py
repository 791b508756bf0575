"""Looks for the names of entities in texts: whole names, the longest at each place, as fast for many as for few."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

_TOKEN = re.compile(r"[\w$.\-]+")
_DISTINCTIVE = re.compile(r"[._\-\d]|(?<=.)[A-Z]")
_KEY = re.compile(r"\w+|\W\w*")
_GAP = "\0"
"""Stands for a name that was found; it is no part of any name."""


def distinctive(name: str) -> bool:
    """Whether the form of a name tells it from plain words: one of `. _ -`, a digit, or a capital inside."""
    return _DISTINCTIVE.search(name) is not None


def tokens(text: str) -> set[str]:
    """The whole names in a text: `logging.Handler` is none of `logging.Handler.emit`'s."""
    found = set()
    for raw in _TOKEN.findall(text):
        token = raw.rstrip(".-").lstrip(".")
        found.add(token)
        found.add(token.lstrip("-$"))
    return found


class Names:
    """A set of names that can be looked for in many texts.

    Args:
        names: what is looked for.
        beside: other names, which are never reported; what stands in one of them is no mention of a shorter name.
    """

    def __init__(self, names: Iterable[str], beside: Iterable[str] = ()) -> None:
        self._wanted = frozenset(names)
        every = self._wanted | frozenset(beside)
        self._plain = frozenset(name for name in every if _TOKEN.fullmatch(name))
        starts: dict[str, list[str]] = defaultdict(list)
        for name in sorted(every - self._plain, key=lambda name: (-len(name), name)):
            match = _KEY.match(name)
            if match:
                starts[match.group()].append(name)
        self._starts = dict(starts)
        """First word of a name that is no single token, or its first sign and the word after it -> names, longest
        first: a place of a text is compared with the few names that begin as it does."""
        signs = "".join(re.escape(sign) for sign in sorted({key[0] for key in starts if not re.match(r"\w", key)}))
        first = rf"(?=(\w+|[{signs}]\w*))" if signs else r"(\w+)"
        self._first = re.compile(r"(?<![\w.\-])" + first)
        self._nested = any(tokens(name) & self._plain for name in every - self._plain)

    def spans(self, text: str) -> Iterator[tuple[int, int, str]]:
        """(start, end, name) of the names that are no single token, from left to right; none overlaps another."""
        if not self._starts:
            return
        end = 0
        for match in self._first.finditer(text):
            names = self._starts.get(match.group(1))
            start = match.start()
            if names is None or start < end:
                continue
            for name in names:
                stop = start + len(name)
                if text.startswith(name, start) and not (_goes_on(name, -1) and _goes_on(text, stop)):
                    yield start, stop, name
                    end = stop
                    break

    def within(self, text: str) -> set[str]:
        """Which of the names stand in `text` as whole names."""
        odd = list(self.spans(text))
        if odd and self._nested:
            for start, stop, _ in reversed(odd):
                text = f"{text[:start]}{_GAP}{text[stop:]}"
        return (tokens(text) & self._plain | {name for _, _, name in odd}) & self._wanted


def _goes_on(text: str, at: int) -> bool:
    """Whether the character at `at` is one of those that names are made of. `Where=yes` holds `Where=`."""
    return at < len(text) and (text[at] == "-" or text[at] == "_" or text[at].isalnum())
