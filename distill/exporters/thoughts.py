"""Hidden reasoning in formats without a field for it: a <think> block before a turn's text, and out of it again."""

from __future__ import annotations

from agents.toolcalls.reply import Escapes

OPEN, CLOSE = "<think>\n", "\n</think>\n"
ESCAPES = Escapes(r"</?think>")


def joined(thought: str, text: str) -> str:
    """The text behind its thought; an empty block stands before a text that begins like one."""
    if not thought and not text.startswith(OPEN):
        return text
    return f"{OPEN}{ESCAPES.on(thought)}{CLOSE}{text}"


def parted(text: str) -> tuple[str, str]:
    """(thought, text), the inverse of `joined`; no thought where there is no block."""
    inside, close, rest = text.removeprefix(OPEN).partition(CLOSE)
    if not text.startswith(OPEN) or not close:
        return "", text
    return ESCAPES.off(inside), rest
