"""Plays the held-out exam: every arm in the same graph, by the same verifier without help, into scores/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.context import Context
from agents.errors import BoardError, StageError
from agents.files import write_json, write_jsonl
from agents.seats.meter import Budget
from agents.task import Task
from distill.collect import collect, now
from distill.ledger import Ledger
from graphs.board import board_parts
from graphs.episode import Table

from .scores import file_stem, score


def replay(
    run: Path,
    tasks: Sequence[Task],
    contexts: Mapping[str, Context],
    *,
    concurrency: int,
    budget: Budget | None = None,
) -> str:
    """Play `tasks` once for every arm into scores/ARM.trajectories.jsonl and scores/ARM.jsonl; continues when repeated.

    Raises:
        BoardError: two arms would play on different boards.
        StageError: episodes failed at an endpoint; what was finished is recorded.
        BudgetError: the budget is used up.
    """
    tables = {name: Table.lay(context) for name, context in contexts.items()}
    same_board(run, contexts)
    said = []
    with Ledger(run / "scores" / "ledger.sqlite") as ledger:
        for name, table in tables.items():
            done = now(collect(tasks, table, ledger, concurrency=concurrency, budget=budget, title=f"play {name}"))
            if done.failures:
                raise StageError(
                    f"evaluate: {sum(done.failures.values())} episodes of arm {name!r} failed at the endpoint"
                    "; run the same command again for the rest\n" + "\n".join(done.failed())
                )
            wanted = {table.key(task): task for task in tasks}
            played = [t for t in ledger.trajectories() if t.key in wanted]
            write_jsonl(run / "scores" / f"{file_stem(name)}.trajectories.jsonl", played)
            rows = [score(wanted[t.key], t, arm=name) for t in played]
            write_jsonl(run / "scores" / f"{file_stem(name)}.jsonl", rows)
            said.append(f"{name} {sum(bool(t.verdict.correct) for t in played)}/{len(tasks)}")
    return "right: " + ", ".join(said)


def same_board(run: Path, contexts: Mapping[str, Context]) -> None:
    """The same-board proof: write board.json, or raise BoardError naming the first part that differs."""
    parts = {name: board_parts(context) for name, context in contexts.items()}
    first, *others = parts
    for other in others:
        for part, value in parts[first].items():
            if parts[other][part] != value:
                raise BoardError(
                    f"arms {first!r} and {other!r} differ in their {part}: {value} and {parts[other][part]}"
                )
    detail = f"{len(parts)} arms agree on {', '.join(parts[first])}"
    write_json(run / "board.json", [{"name": "same board", "passed": True, "detail": detail, "numbers": parts[first]}])
