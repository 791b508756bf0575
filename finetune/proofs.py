"""Proofs: what must be true of a training before it starts and of a student before it is handed on.

A proof is a function from evidence to a `Proof`, registered by name for a stage. All of a stage are run; one that
failed raises ProofError, and then no student folder appears. Its first docstring line is the legend in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from agents.errors import ProofError
from agents.files import write_json

Stage = str
"""What is proved: rows before they are trained (`episodes`, `texts`, `pairs`), `student`, `adapter`, or of yours."""
E = TypeVar("E")


class Proof(BaseModel):
    """What one proof found."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    detail: str
    """One sentence: what holds, or where it does not and what to do."""
    numbers: dict[str, float | int | str] = {}


PROOFS: dict[tuple[Stage, str], Callable[[Any], Proof]] = {}


def proof(stage: Stage, name: str) -> Callable[[Callable[[E], Proof]], Callable[[E], Proof]]:
    """Register a proof of `stage` under `name`."""

    def register(function: Callable[[E], Proof]) -> Callable[[E], Proof]:
        PROOFS[stage, name] = function
        return function

    return register


def legend() -> dict[str, str]:
    """Name -> what the proof shows, in the order of registration."""
    from . import proofs_rows, proofs_student  # noqa: F401  (registers them)

    return {name: (function.__doc__ or "").strip().splitlines()[0] for (_, name), function in PROOFS.items()}


def run_proofs(stage: Stage, evidence: Any) -> list[Proof]:
    """Run all proofs of a stage, passed or not."""
    from . import proofs_rows, proofs_student  # noqa: F401  (registers them)

    return [function(evidence) for (wanted, _), function in PROOFS.items() if wanted == stage]


def demand(proofs: Sequence[Proof], file: Path | None = None) -> None:
    """Write `proofs` to `file`; raises ProofError with the detail of those that failed."""
    if file is not None:
        write_json(file, [each.model_dump() for each in proofs])
    failed = [each for each in proofs if not each.passed]
    if failed:
        raise ProofError("; ".join(f"{each.name} proof: {each.detail}" for each in failed))
