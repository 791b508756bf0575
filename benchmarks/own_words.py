"""How often a run's student is right where questions of its exam are asked in other words: paired, task by task.

    python benchmarks/own_words.py runs/python-stdlib

`own_words.jsonl` holds 40 test questions of examples/python-stdlib (seed 11), drawn at random and put by hand into free
words. Each is played twice with the same student, as the exam words it and as the file does.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from agents.context import Context
from agents.files import read_jsonl
from agents.models import close_seats
from agents.task import Task, is_right
from evals.stats import mcnemar, newcombe, pairs, wilson
from graphs.episode import recursion_limit
from graphs.react import graph
from retort.config import load_config
from retort.pipeline import Run


async def played(context: Context, questions: list[str]) -> list[dict[str, Any]]:
    """The states in which episodes of these questions end."""

    async def one(question: str) -> dict[str, Any]:
        start: Any = {"question": question, "options": []}
        return await graph.ainvoke(start, {"recursion_limit": recursion_limit(context)}, context=context)

    try:
        return list(await asyncio.gather(*map(one, questions)))
    finally:
        await close_seats()


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("--questions", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    parser.add_argument("--team", default="student")
    args = parser.parse_args()
    run = Run(load_config(args.run / "run.toml"), args.run)
    tasks = {task.id: task for task in run.tasks()}
    rows = read_jsonl(args.questions)
    asked: list[Task] = [tasks[row["task_id"]] for row in rows]
    context = run.context(args.team, "react", "score", held_out=False)
    right: dict[str, list[float]] = {}
    for name, questions in (
        ("as the exam words it", [task.question for task in asked]),
        ("in other words", [str(row["question"]) for row in rows]),
    ):
        states = asyncio.run(played(context, questions))
        right[name] = [
            float(state.get("stop") == "answered" and is_right(task, state.get("answer"), "free"))
            for task, state in zip(asked, states, strict=True)
        ]
        count, n = sum(right[name]), len(asked)
        interval = wilson(count, n)
        stops = ", ".join(f"{stop} {times}" for stop, times in Counter(str(s.get("stop")) for s in states).items())
        print(f"{name:<22} {count:.0f} of {n} right [{100 * interval.low:.0f}-{100 * interval.high:.0f} %]; {stops}")
        for level in dict.fromkeys(task.level for task in asked):
            part = [value for value, task in zip(right[name], asked, strict=True) if task.level == level]
            print(f"  {level:<20} {sum(part):.0f} of {len(part)}")
        for task, question, state, value in zip(asked, questions, states, right[name], strict=True):
            print(f"    {'right' if value else 'wrong'}  {question}  ->  {state.get('answer')!r} ({task.gold!r})")
    table = pairs(*right.values())
    between = newcombe(table)
    print(
        f"difference {100 * table.difference:+.1f} points [{100 * between.low:+.1f}, {100 * between.high:+.1f}], "
        f"p = {mcnemar(table):.2g}, "
        f"{table.first:.0f} right only as the exam words it, {table.second:.0f} only in other words"
    )


if __name__ == "__main__":
    main()
