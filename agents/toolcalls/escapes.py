"""Keeps words apart from the signs of a transport: what only looks like a sign gets a backslash, and loses it again."""

from __future__ import annotations

import re


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
