"""The words that models are given, one file each, and their common hash."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

NAMES = (
    "react",
    "cot",
    "cot_choice",
    "answer",
    "answer_choice",
    "first_thought",
    "opened_with",
    "rewrite",
    "extract",
    "extract_structured",
    "repair",
    "repair_tools",
    "critique",
    "judge",
    "structured",
    "structured_repair",
)


@cache
def prompt(name: str) -> str:
    """The text of agents/prompts/NAME.txt without its last line break."""
    return files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")


def every_prompt() -> dict[str, str]:
    """Name -> text of all prompts; part of the board's hash."""
    return {name: prompt(name) for name in NAMES}
