"""What a tool brought or how it failed, as the observation that the reasoning agent reads."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..text import shortened

if TYPE_CHECKING:
    from langchain_core.messages import ToolMessage

RESULT_CHARS = 4_000
"""A longer result is cut: about a thousand tokens, half of what a small student sees at once."""
ERROR_CHARS = 300
EMPTY = "(no output)"
"""What a tool says that says nothing: most endpoints refuse an empty observation."""

# A path from the root, also behind file://; not the rest of a URL or of a relative path, and no lone slash.
_STEP = r"[^\s'\"<>|,;:()\[\]/\\]+"
_PATH = re.compile(rf"(?:file://|(?<![\w:/.~\-]))(?:[A-Za-z]:)?(?:[/\\]{_STEP})*[/\\]({_STEP})[/\\]?")


@dataclass(frozen=True)
class Observation:
    """What one call of a tool brought."""

    text: str
    """What the reasoning agent reads."""
    hits: tuple[tuple[str, float], ...] = ()
    """Chunks of the library whose text it was given: (chunk id, score)."""
    error: str | None = None
    """Why the tool failed, in one line; None where it did not."""


def failed(why: str) -> Observation:
    """A failure as an observation: one line of at most 300 characters."""
    line = shortened(" ".join(why.split()), ERROR_CHARS - len("Error: "))
    return Observation(text=f"Error: {line}", error=line)


def broken(tool: str, error: BaseException | str) -> Observation:
    """A tool's exception, or its own words on a failure, as an observation; of paths only the last name stays."""
    if isinstance(error, BaseException):
        text = str(error).strip()
        plain = not text or type(error).__name__ == "ToolException"
        error = (text or type(error).__name__) if plain else f"{type(error).__name__}: {text}"
    unplaced = _PATH.sub(r"\1", error)
    return failed(f"{tool} failed: {unplaced}")


def observation_of(tool: str, message: ToolMessage) -> Observation:
    """What a LangChain tool returned: its text, `[image]` for an image, JSON for structured content."""
    text = readable(message.content)
    artifact = message.artifact
    if not text.strip() and isinstance(artifact, dict) and "structured_content" in artifact:
        text = json.dumps(artifact["structured_content"], ensure_ascii=False)
    if message.status == "error":
        return broken(tool, text or "it does not say why")
    text = text.strip()
    left = len(text) - RESULT_CHARS
    if left > 0:
        text = f"{text[:RESULT_CHARS]}…\n({left:,} more characters were cut)"
    return Observation(text or EMPTY)


def readable(content: Any) -> str:
    """A message's content as text."""
    if isinstance(content, str):
        return content
    blocks = [block if isinstance(block, dict) else {"type": "text", "text": str(block)} for block in content]
    return "\n".join(str(b.get("text", "")) if b.get("type") == "text" else f"[{b.get('type', '?')}]" for b in blocks)
