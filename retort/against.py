"""`retort compare`: one arm of two runs, paired over the test tasks that both played."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agents.errors import StageError
from agents.files import read_json, read_models
from agents.task import Task
from evals.compare import groups_of, right
from evals.notes import p_value, points
from evals.places import score_files, score_stem, scores_folder
from evals.scores import Score
from evals.stats import Interval, clustered, mcnemar, newcombe, pairs, wilson

from .folders import check_run

MAX_DIFFERENCES = 40
"""Differing keys of the configs that are printed; `--json` has all."""


class Side(BaseModel):
    """One of the two runs."""

    run: str
    arm: str
    form: str
    played: int
    """Test tasks that the arm played."""
    right: int
    """Of the shared tasks, those that it got right."""
    rate: float
    interval: Interval
    """Wilson's."""


class Compared(BaseModel):
    """An arm of two runs on the tasks that both played."""

    first: Side
    second: Side
    shared: int
    difference: float
    """Rate of the first minus that of the second."""
    interval: Interval
    clustered: Interval
    """For tasks that are not independent, by their groups."""
    won: int
    """Tasks that the first run alone got right."""
    lost: int
    p: float
    """Exact McNemar."""
    differs: dict[str, tuple[Any, Any]]
    """Key of the config -> its values in the two runs; None where it is not given."""
    boards: dict[str, tuple[Any, Any]]
    """Part of the board -> its hashes in the two runs, where they differ."""


@dataclass(frozen=True)
class Played:
    """What a run has of an arm."""

    run: Path
    tasks: dict[str, Task]
    """Every task of the exam."""
    scores: dict[str, Score]
    """Task -> score."""


def played(run: Path, arm: str, form: str | None) -> Played:
    """The exam of a run and the scores of one of its arms; `form` None = the primary one.

    Raises:
        StageError: no run folder, no exam, or no such arm in it.
    """
    check_run(run)
    tasks = {task.id: task for task in read_models(run / "exam.jsonl", Task, "exam")}
    names = arms_of(run)
    if not names:
        raise StageError(f"no arm of {run} has played the test: run the stage 'evaluate' first")
    if arm not in names:
        raise StageError(f"no arm of {run} is named {arm!r}; there are {', '.join(names)}")
    folder = scores_folder(run)
    for path in (folder / f"{score_stem(arm)}.jsonl", folder / f"{score_stem(arm)}.{form}.jsonl"):
        if path.exists():
            rows = [row for row in read_models(path, Score, "evaluate") if row.arm == arm]
            if rows and form in (None, rows[0].form):
                return Played(run, tasks, {row.task_id: row for row in rows})
    raise StageError(f"arm {arm!r} of {run} did not sit the {form} form")


def arms_of(run: Path) -> list[str]:
    """Names of the arms that have scores on the test."""
    found: dict[str, None] = {}
    for path in score_files(scores_folder(run)):
        for row in read_models(path, Score, "evaluate")[:1]:
            found[row.arm] = None
    return list(found)


def compared(one: Path, two: Path, arm: str = "student", form: str | None = None) -> Compared:
    """Compare an arm of two runs over the test tasks (same id, question and gold) that it played in both.

    Raises:
        StageError: a folder that is no run, an arm that did not play, two forms, or no shared task.
    """
    first, second = played(one, arm, form), played(two, arm, form)
    forms = [next(iter(each.scores.values())).form for each in (first, second)]
    if forms[0] != forms[1]:
        raise StageError(
            f"arm {arm!r} sat the {forms[0]} form in {one} and the {forms[1]} form in {two}: "
            "give --form free or --form choice, where both sat it"
        )
    shared = [name for name in first.scores if name in second.scores and same_task(first, second, name)]
    if not shared:
        raise StageError(nothing_shared(first, second))
    mine, theirs = (right([each.scores[name] for name in shared]) for each in (first, second))
    table = pairs(mine, theirs)
    groups = groups_of([first.tasks[name] for name in shared])
    return Compared(
        first=side(first, arm, forms[0], mine),
        second=side(second, arm, forms[1], theirs),
        shared=len(shared),
        difference=table.difference,
        interval=newcombe(table),
        clustered=clustered(mine, theirs, groups),
        won=round(table.first),
        lost=round(table.second),
        p=mcnemar(table),
        differs=differing(*(flat(tomllib.loads((each / "run.toml").read_text("utf-8"))) for each in (one, two))),
        boards=differing(board(one), board(two)),
    )


def side(played: Played, arm: str, form: str, values: list[float]) -> Side:
    """What is told of one run."""
    number = round(sum(values))
    interval = wilson(number, len(values))
    rate = number / len(values)
    about = {"run": str(played.run), "arm": arm, "form": form, "played": len(played.scores)}
    return Side(**about, right=number, rate=rate, interval=interval)


def same_task(first: Played, second: Played, name: str) -> bool:
    """Whether both exams ask the same under an id: question, options and gold."""
    one, two = first.tasks.get(name), second.tasks.get(name)
    if one is None or two is None:
        return False
    asked = [(each.question, each.gold, each.shown(first.scores[name].form)) for each in (one, two)]
    return asked[0] == asked[1]


def nothing_shared(first: Played, second: Played) -> str:
    """Why two runs have no task in common."""
    both = set(first.tasks) & set(second.tasks)
    text = f"no test task was played in both {first.run} and {second.run}"
    if not both:
        return f"{text}: their exams have no task in common, so they are of other manuals, facts or kinds of question"
    if not set(first.scores) & set(second.scores):
        return (
            f"{text}: their exams share {len(both)} tasks, but split them otherwise; "
            "give both configs the same exam.seed and sizes"
        )
    return f"{text}: tasks with the same id ask something else; the facts of one run were changed"


def flat(value: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Nested tables as one, by dotted keys."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        whole = f"{name}.{key}" if name else key
        found |= flat(inner, whole) if isinstance(inner, Mapping) else {whole: inner}
    return found


def differing(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys under which two mappings differ, with both values."""
    names = [name for name in dict.fromkeys([*one, *two]) if name != "name"]
    return {name: (one.get(name), two.get(name)) for name in names if one.get(name) != two.get(name)}


def board(run: Path) -> dict[str, Any]:
    """Part of the board that the arms were played on -> its hash; empty where that is not recorded."""
    path = run / "board.json"
    rows = read_json(path, "evaluate") if path.exists() else []
    return dict(rows[0].get("numbers", {})) if rows else {}


def text(found: Compared) -> str:
    """The comparison for the terminal."""
    return "\n".join(lines(found))


def lines(found: Compared) -> Iterator[str]:
    """The lines of `text`."""
    sides = {"A": found.first, "B": found.second}
    for name, each in sides.items():
        yield f"{name}  {each.run}: arm {each.arm!r}, {each.form} form, {each.played} test tasks played"
    yield f"{found.shared} tasks were played in both; the figures are of these alone"
    for name, each in sides.items():
        low, high = 100 * each.interval.low, 100 * each.interval.high
        yield f"{name}  right {each.right} of {found.shared}, {100 * each.rate:.1f} % [{low:.1f}, {high:.1f}]"
    yield (
        f"A - B  {100 * found.difference:+.1f} points {points(found.interval)}, by groups {points(found.clustered)}, "
        f"{p_value(found.p)}, {found.won} won {found.lost} lost"
    )
    if found.boards:
        yield f"boards differ in {', '.join(found.boards)}: the difference is that of player and board together"
    if not found.differs:
        yield "the configs differ in nothing but the name"
        return
    yield "the configs differ in (A | B):"
    for name, (one, two) in list(found.differs.items())[:MAX_DIFFERENCES]:
        yield f"  {name:<28} {shown(one)} | {shown(two)}"
    if len(found.differs) > MAX_DIFFERENCES:
        yield f"  and {len(found.differs) - MAX_DIFFERENCES} more: --json has all"


def shown(value: Any) -> str:
    """A value of a config on a line."""
    return "(not given)" if value is None else repr(value)
