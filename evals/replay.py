"""Plays the held-out exam: every arm in the same graph, by the same verifier without help, into scores/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.context import Context, Seat
from agents.errors import BoardError, StageError
from agents.files import write_json, write_jsonl
from agents.models.meter import Budget
from agents.task import Form, Task
from graphs.board import board_parts
from graphs.episode import Table
from graphs.runner.collect import Collected, collect, now
from graphs.runner.executors import suited
from graphs.runner.ledger import Ledger

from .asking import scoring_with
from .jobs import closing
from .journal import finished
from .likelihood import weigh
from .places import FORMS, How, Split, asked_in, score_stem, scores_folder
from .scores import DEFAULT
from .scoring import Scoring, score_episodes
from .weighed import likelihood_score


def replay(
    run: Path,
    tasks: Sequence[Task],
    contexts: Mapping[str, Context],
    *,
    concurrency: int,
    workers: int = 1,
    executor: str | None = None,
    budget: Budget | None = None,
    forms: Sequence[Form] = FORMS,
    choice: Mapping[str, How] | None = None,
    split: Split = "test",
    scores: Sequence[str] = DEFAULT,
    seats: Mapping[str, Seat] | None = None,
) -> str:
    """Sit `tasks` once for every arm and form into the scores folder of `split`; continues when repeated.

    Every arm plays the primary form, which is the first one, into ARM.trajectories.jsonl and ARM.jsonl. A further form
    goes into ARM.FORM.trajectories.jsonl (or ARM.choice.likelihood.jsonl, where it is weighed) and ARM.FORM.jsonl.

    Args:
        contexts: arm -> what it plays with; the form is put in here.
        workers: parts that share the episodes of an arm.
        executor: where episodes are played; arms whose seats it refuses are played in this process.
        choice: arm -> how it sits the choice form where that is not the primary one; `graph` where nothing is said.
        scores: names of scores (evals/scores.py).
        seats: name of a score that asks -> its seat; see `scoring_with`.

    Raises:
        BoardError: two arms would play on different boards.
        StageError: episodes failed at an endpoint; what was finished is recorded.
        BudgetError: the budget is used up.
    """
    folder = scores_folder(run, split)
    scoring = scoring_with(seats or {}, scores, folder=folder, budget=budget, concurrency=concurrency)
    tables = {
        (name, form): Table.from_context(context.model_copy(update={"form": form}))
        for form in forms
        for name, context in contexts.items()
    }
    same_board(run if split == "test" else folder, contexts)
    summaries = []
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.set_aside_broken()
        for form in forms:
            asked = asked_in(form, tasks)
            primary = form == forms[0]
            right = []
            for name in contexts:
                how = "graph" if primary or form == "free" else (choice or {}).get(name, "graph")
                if not asked or how == "none":
                    continue
                stem = score_stem(name, None if primary else form)
                title = f"play {name}" if primary else f"play {name} ({form})"
                if how == "likelihood":
                    count = weighed(folder, stem, name, asked, tables[name, form])
                else:
                    table = tables[name, form]
                    where: dict[str, Any] = {"workers": workers, "executor": suited(table, executor, workers)}
                    done = now(
                        collect(asked, table, ledger, concurrency=concurrency, budget=budget, title=title, **where)
                    )
                    count = played(stem, name, asked, table, ledger, scoring, done)
                right.append(f"{name} {count}/{len(asked)}")
            if right:
                summaries.append(("right: " if primary else f"{form} form: ") + ", ".join(right))
    return "; ".join(summaries)


def played(
    stem: str, name: str, tasks: Sequence[Task], table: Table, ledger: Ledger, scoring: Scoring, done: Collected
) -> int:
    """One arm that has played in the graph is scored; returns how many it got right."""
    if done.failures:
        raise StageError(
            f"evaluate: {sum(done.failures.values())} episodes of arm {name!r} failed at the endpoint"
            "; run the same command again for the rest\n" + "\n".join(done.failed())
        )
    wanted = {table.key(task): task for task in tasks}
    episodes = [t for t in ledger.trajectories() if t.key in wanted]
    folder = ledger.path.parent
    write_jsonl(folder / f"{stem}.trajectories.jsonl", episodes)
    scored = score_episodes([(wanted[t.key], t) for t in episodes], name, scoring)
    rows = finished(closing(scored) if scoring.who else scored)
    write_jsonl(folder / f"{stem}.jsonl", rows)
    return sum(row.right for row in rows)


def weighed(folder: Path, stem: str, name: str, tasks: Sequence[Task], table: Table) -> int:
    """The options of one arm's tasks are weighed; returns for how many the gold weighs most."""
    found = weigh(folder / f"{stem}.likelihood.jsonl", tasks, table, title=f"weigh {name}")
    rows = [likelihood_score(task, row, name) for task, row in zip(tasks, found, strict=True)]
    write_jsonl(folder / f"{stem}.jsonl", rows)
    return sum(row.right for row in rows)


def same_board(folder: Path, contexts: Mapping[str, Context]) -> None:
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
    proof = {"name": "same board", "passed": True, "detail": detail, "numbers": parts[first]}
    write_json(folder / "board.json", [proof])
