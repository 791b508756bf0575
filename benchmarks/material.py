"""The made-up manual that the benchmark's episodes are played over: 2,880 settings on 240 pages, and as many questions.

The index is of the size of a real manual (the standard library's has about 3,000 chunks), and a prompt is about 400
tokens long. The right answer always stands first, since that is what latency_server.py answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGES, SETTINGS = 240, 12
NAMES = ["limit", "delay", "margin", "rate", "floor", "ceiling", "window", "burst", "cooldown", "drain", "idle", "span"]
PARTS = ["heater", "pump", "valve", "panel", "alarm", "radio", "filter", "motor", "relay", "sensor", "buffer", "timer"]
SCENARIO = (
    "A colleague has taken over the maintenance of an installation whose configuration was written years ago by people "
    "who have left since. Nobody changed anything on purpose, the file was only cleaned of lines that looked idle, "
    "and since then the machine behaves otherwise than before on mornings when the water is cold and the load is high. "
    "You suspect that a line that was taken out had set a value different from what the machine assumes by itself, and "
    "before you open a ticket you want to know from the manual, not from memory, what is assumed where nothing is set."
)


SYSTEM = (Path(__file__).parents[1] / "agents" / "prompts" / "react.txt").read_text(encoding="utf-8").strip()
SEARCH: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search the manual.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}
FOUND = "\n\n".join(
    f"[{n}] The heater0 > heater0_{name}\nDefault: {n}ms\nSets how the heater0 behaves while the water is warming up; "
    "see also the heater and its radio. Values below the delay are raised to it."
    for n, name in enumerate(NAMES[:3], 1)
)
"""What a search has brought, for the arms that do not search."""


def module(page: int) -> str:
    """The name of a page's part of the machine."""
    return f"{PARTS[page % len(PARTS)]}{page // len(PARTS)}"


def value(page: int, n: int) -> str:
    """The default of a setting; no two settings of a page share it."""
    return f"{3 + 7 * (page * SETTINGS + n)}ms"


def pages() -> Iterator[tuple[str, str]]:
    """(module, Markdown) of every page."""
    for page in range(PAGES):
        parts = [f"# The {module(page)}\n\nSettings of the {module(page)} of the machine.\n"]
        for n, name in enumerate(NAMES):
            parts.append(
                f"## `{module(page)}_{name}`\n\nDefault: {value(page, n)}\n\nAdded in: {1 + n % 5}.{n % 9}.{n % 4}\n\n"
                f"Sets how the {module(page)} behaves while the water is warming up; see also the {PARTS[n]} and its "
                f"{NAMES[(n + 5) % SETTINGS]}. Values below the {NAMES[(n + 1) % SETTINGS]} are raised to it.\n"
            )
        yield module(page), "\n".join(parts)


def questions(count: int) -> Iterator[dict[str, Any]]:
    """`count` questions: entity, question, options (the right one first), gold; they repeat with another opening."""
    for i in range(count):
        page, n = i // SETTINGS % PAGES, i % SETTINGS
        wrong = [value(page, (n + step) % SETTINGS) for step in (1, 2, 3)]
        name = f"{module(page)}_{NAMES[n]}"
        yield {
            "entity": name,
            "question": f"Case {i}. {SCENARIO} What is the default of `{name}`?",
            "options": (value(page, n), *wrong),
            "gold": value(page, n),
        }


def asked(row: dict[str, Any]) -> str:
    """The user message of a question, as Retort writes it."""
    return "\n".join(
        [row["question"], *(f"{letter}) {option}" for letter, option in zip("ABCD", row["options"], strict=True))]
    )


def write_library(folder: Path) -> None:
    """Cut and index the manual."""
    from agents.corpus.documents import Document
    from agents.corpus.library import Library

    made = (Document(id=name, title=f"The {name}", text=text, source=f"{name}.md") for name, text in pages())
    Library.build(made).save(folder)
