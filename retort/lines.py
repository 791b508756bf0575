"""What stages have done, in one line or one proof."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.files import command_of

from .progress import say as say

if TYPE_CHECKING:
    from agents.corpus.facts import Fact
    from distill.leaks import LeakReport
    from finetune.settings import TrainingResult

SKIPPED = "skipped.jsonl"
"""File of the run folder: files of the corpus that are no page and lines that are no fact, with the reason."""
REJECTED = "facts_rejected.jsonl"
"""File of the run folder: every fact that asks nothing, with the reason."""
MAX_CHARS = 1000
"""Of a rejected value that are written down."""
NAMED = 5
"""Files and lines that the terminal names; the rest stands in the file."""


def passed_over(rows: Sequence[Mapping[str, Any]], file: Path) -> Iterator[str]:
    """What is said of the rows of skipped.jsonl: files by their kind, lines and unknown keys of the facts by name."""
    files = Counter(row["reason"] for row in rows if "line" not in row)
    kinds = [f"{number} {'file' if number == 1 else 'files'}: {why}" for why, number in files.most_common(NAMED)]
    yield from (f"not read, {kind}" for kind in kinds)
    lines = [row for row in rows if "line" in row]
    for row in [each for each in lines if not each["used"]][:NAMED]:
        yield f"{row['file']}, line {row['line']}: {row['reason']}; left out"
    for why, number in Counter(row["reason"] for row in lines if row["used"]).most_common(NAMED):
        yield f"{lines[0]['file']}, {number} {'line' if number == 1 else 'lines'}: {why}"
    if rows:
        yield f"all {len(rows)} of them, by name: {file}"


def left_out(rows: Sequence[Mapping[str, Any]]) -> str:
    """The end of the index's line: what was not read, in numbers; empty where everything was."""
    files = sum("line" not in row for row in rows)
    lines = sum("line" in row and not row["used"] for row in rows)
    parts = [f"{files} {'file' if files == 1 else 'files'} not read"] if files else []
    parts += [f"{lines} broken {'line' if lines == 1 else 'lines'} left out"] if lines else []
    return "".join(f", {each}" for each in parts)


def rejected(skipped: Sequence[Mapping[str, Any]], facts: Sequence[tuple[Fact, str]]) -> Iterator[dict[str, Any]]:
    """The rows of facts_rejected.jsonl: lines that are no fact, then facts that ask nothing."""
    yield from ({"line": row["line"], "reason": row["reason"]} for row in skipped if row.get("used") is False)
    for fact, reason in facts:
        row = fact.model_dump(include={"entity", "attribute", "value", "source", "module"}, exclude_none=True)
        yield {"reason": reason, **row, "value": row["value"][:MAX_CHARS]}


def facts_needed(counts: Mapping[str, Any], file: Path) -> Iterator[str]:
    """What is said of an exam that is smaller than wanted, and of facts that ask nothing."""
    facts = counts["facts"]
    if facts["given"] > facts["usable"]:
        yield f"{facts['given'] - facts['usable']} of {facts['given']} facts ask nothing; why, by name: {file}"
    if counts["facts needed"] > facts["usable"]:
        wanted = counts["wanted"]
        yield (
            f"{wanted['train']} training and {wanted['test']} test questions need about {counts['facts needed']} "
            f"usable facts; there are {facts['usable']}"
        )


def leak_proof(report: LeakReport) -> dict[str, Any]:
    """The leak report in the form of a proof."""
    numbers = report.model_dump(mode="json", exclude={"examples"})
    found = report.examples[0] if report.examples else "no held-out name, question or page"
    detail = (
        f"{report.texts} training texts hold {found}; {report.overlap:.1%} of the questions' runs of words, templates"
    )
    return {"name": "leak", "passed": report.passed, "detail": f"{detail} included, stand in them", "numbers": numbers}


def run_first(stage: str, before: str, state: str, run: Path) -> str:
    """What is said where a stage reads what another makes, which is not fresh."""
    command = shlex.join(["retort", command_of(before), str(run)])
    return f"{stage} reads what {before!r} makes, which is {state}: run it first, `{command}`"


def training_said(done: TrainingResult) -> str:
    """One line on what a training did."""
    loss = (
        f"loss {done.first_loss:.3f} -> {done.last_loss:.3f}"
        if done.first_loss and done.last_loss
        else "no loss logged"
    )
    resumed = f", resumed at step {done.resumed_from}" if done.resumed_from else ""
    passed = sum(proof.passed for proof in done.proofs)
    return (
        f"{done.method}, {done.rows} rows, {done.trained_tokens} of {done.tokens} tokens trained, {done.steps} steps"
        f"{resumed}, {loss}, {passed} of {len(done.proofs)} proofs passed"
    )
