"""Compares the board on which training episodes were collected with the board of the exam.

A student that was trained under other prompts, tools or another graph than it is examined with is not at fault for what
it does wrong. Two parts differ on purpose: held-out pages are barred while collecting, and answers may be sent back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

COLLECTED = "board_collect.json"
"""File of the run folder: the parts of the board of the last collecting."""
NOTES = "leaderboard_notes.json"
"""File of the run folder: what a reader of the leaderboard must know beside its own notes, a list of sentences."""
COMPARED = {"prompts": "prompts", "tools": "tools", "graph": "graph (or code that plays)", "index": "index"}
"""Part that must agree -> what it is called."""


def differences(run: Path) -> list[str]:
    """What differs between collecting and the exam, one sentence each; empty where one of them is still to come."""
    collected, proofs = read(run / COLLECTED), read(run / "board.json")
    proof = proofs[0] if isinstance(proofs, list) and proofs else None
    examined = proof.get("numbers") if isinstance(proof, dict) else None
    if not isinstance(collected, dict) or not isinstance(examined, dict):
        return []
    return [
        f"the training episodes were played with other {what} than the exam ({collected.get(part)} and "
        f"{examined.get(part)}): collect and evaluate both with what is there now"
        for part, what in COMPARED.items()
        if collected.get(part) != examined.get(part)
    ]


def read(path: Path) -> Any:
    """A JSON file, or None where it is absent or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
