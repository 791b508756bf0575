"""Collects the words of a reply that are no calls."""

from __future__ import annotations


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
        said, self._parts = "".join(self._parts), []
        if self._called:
            said = said.strip()
        elif gap:
            said = said[:-1] if said.endswith(gap) else said.rstrip()
        if said and (said.strip() or self._begun):
            self._said.append(said)
