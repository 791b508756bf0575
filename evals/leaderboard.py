"""The leaderboard: every arm's scores on the held-out exam, on one board, with paired statistics.

A row is refused when it was played on another board. The mode is not part of the board: the closed-book arm is the same
board with search taken away, and its row says so. Nor is the form: the same tasks are asked without options and with
them, the first form of the list is the primary one, and the others stand beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.errors import BoardError, SeatError, StageError
from agents.files import write_json, write_jsonl, write_text
from agents.providers import split_spec
from agents.task import LEVELS, Form, Task
from graphs.trajectory import Trajectory

from .baselines import Chances, chances, summarise
from .compare import best_by_level, best_trivial, comparisons, groups_of, level_comparisons, right
from .export import csv_text, markdown
from .journal import finished
from .looks import different_students
from .places import FORMS, How, Split, asked_in, score_stem, scores_folder
from .played import again, check_names, check_played, one_board, read_arm, read_exam, read_records
from .rows import ArmSpec, Comparison, Leaderboard, Rate, Row, Sheet, Standing
from .scores import MISSING, Column, Score, missing
from .scoring import Scoring, score_arm
from .tables import format_table
from .weighed import Weighed, likelihood_score

__all__ = [
    "FORMS",
    "ArmSpec",
    "Comparison",
    "Leaderboard",
    "Rate",
    "Row",
    "build_leaderboard",
    "format_table",
    "read_arm",
    "read_exam",
    "write_leaderboard",
]


class Sitting:
    """All arms in one form: what they were asked, and what they got."""

    def __init__(
        self,
        run: Path,
        arms: Sequence[ArmSpec],
        form: Form,
        tasks: Sequence[Task],
        train: Sequence[Task],
        split: Split,
        primary: bool,
        scoring: Scoring,
    ) -> None:
        self.form = form
        self.tasks = asked_in(form, tasks)
        self.how: dict[str, How] = {arm.name: "graph" if primary or form == "free" else arm.choice for arm in arms}
        suffix = None if primary else form
        self.played: dict[str, list[Trajectory]] = {
            arm.name: read_arm(run, arm.name, form=suffix, split=split) for arm in arms if self.how[arm.name] == "graph"
        }
        check_played(arms, form, self.played)
        self.weighed: dict[str, list[Weighed]] = {
            arm.name: read_weighed(run, arm.name, split) for arm in arms if self.how[arm.name] == "likelihood"
        }
        self.columns = scoring.columns
        scored = {
            name: finished(score_arm(self.tasks, rows, name, form, scoring)) for name, rows in self.played.items()
        }
        scored |= {name: weighed_rows(self.tasks, rows, name, self.columns) for name, rows in self.weighed.items()}
        self.scored: dict[str, list[Score]] = {arm.name: scored[arm.name] for arm in arms if arm.name in scored}
        self.chances: dict[str, Chances] = chances(self.tasks, train, form)

    def boards(self) -> Iterable[tuple[str, str]]:
        """(arm, hash of the board) of whatever was played or weighed."""
        for rows in (self.played, self.weighed):
            for name, found in rows.items():
                yield from ((name, row.board) for row in found)

    def sheet(self, base: str | None) -> Sheet:
        """The tasks and the trivial players; `base` = the base arm, one of these."""
        if base not in self.scored:
            base = None
        theirs = None if base is None else right(self.scored[base])
        return Sheet(
            form=self.form,
            n=len(self.tasks),
            groups=len(set().union(*groups_of(self.tasks))),
            levels={level: sum(task.level == level for task in self.tasks) for level in LEVELS},
            unseen=sum(task.unseen_module for task in self.tasks),
            baselines=tuple(summarise(name, self.tasks, values) for name, values in self.chances.items()),
            best=best_trivial(self.chances, theirs, base),
            best_by_level=best_by_level(self.tasks, self.chances, theirs, base),
        )

    def standing(self, arm: str, sheet: Sheet, base: str | None, teacher: str | None) -> Standing | None:
        """What an arm got; None where it cannot sit this form."""
        if arm not in self.scored:
            return None
        trivial = sheet.best.name if sheet.best else None
        return standing(
            self.form,
            self.how[arm],
            self.scored[arm],
            self.columns,
            comparisons(arm, self.tasks, self.scored, self.chances, base=base, teacher=teacher, trivial=trivial),
            level_comparisons(arm, self.tasks, self.scored, self.chances, sheet.best_by_level),
        )


def read_weighed(run: Path, arm: str, split: Split) -> list[Weighed]:
    """The weighed options of an arm.

    Raises:
        StageError: they were never weighed.
    """
    path = scores_folder(run, split) / f"{score_stem(arm, 'choice')}.likelihood.jsonl"
    return read_records(path, Weighed, again(split, arm))


def weighed_rows(
    tasks: Sequence[Task], rows: Sequence[Weighed], arm: str, columns: Mapping[str, Column]
) -> list[Score]:
    """One row of scores a task, in the order of `tasks`; a task that was not weighed becomes a `missing` row."""
    known = {row.task_id: row for row in rows}
    return [
        likelihood_score(task, known[task.id], arm) if task.id in known else missing(task, arm, "choice", columns)
        for task in tasks
    ]


def build_leaderboard(
    run: Path,
    arms: Sequence[ArmSpec],
    *,
    tasks: int | None = None,
    forms: Sequence[Form] = FORMS,
    split: Split = "test",
    scoring: Scoring | None = None,
) -> Leaderboard:
    """Score every arm of a run folder and compare them.

    Args:
        tasks: only the first so many tasks of the split were played; None = all of them.
        forms: the primary one first; the choice form is left out where no task has options.
        split: test, or dev for choosing.
        scoring: the scores; None = those of a config that names none. Nobody is asked: what a seat said of an episode
            was kept when the arm was evaluated.

    Raises:
        StageError: no exam, an arm never played, a task played twice or not in the exam, a score that was not asked.
        BoardError: the arms were not played on one board.
    """
    if not arms:
        raise StageError("a leaderboard needs at least one arm: see [[evaluate.arms]]")
    asked, train = read_exam(run, tasks, split)
    check_names(arms, forms)
    scoring = (scoring or Scoring.of()).reading()
    sittings = [
        Sitting(run, arms, form, asked, train, split, form == forms[0], scoring)
        for form in forms
        if asked_in(form, asked)
    ]
    if not sittings:
        raise BoardError(f"no task of split {split!r} has options: set forms = ['free'] in [evaluate]")
    board = one_board(pair for sitting in sittings for pair in sitting.boards())
    base, teacher = _first(arms, "base"), _first(arms, "teacher")
    sheets = [sitting.sheet(base) for sitting in sittings]
    rows = []
    for arm in arms:
        found = [one.standing(arm.name, sheet, base, teacher) for one, sheet in zip(sittings, sheets, strict=True)]
        first = found[0]
        assert first is not None, "the primary form is played by everybody"
        rows.append(
            Row(
                **_fields(first),
                arm=arm.name,
                player=arm.player,
                kind=arm.kind,
                seat=seat_name(arm.seat, run),
                demonstrator=arm.demonstrator,
                mode=arm.mode,
                board=board if first.missing < first.n else None,
                also={each.form: each for each in found[1:] if each is not None},
            )
        )
    return Leaderboard(
        **_fields(sheets[0]),
        run=run.resolve().name,
        split=split,
        limit=tasks,
        board=board,
        rows=tuple(rows),
        also={sheet.form: sheet for sheet in sheets[1:]},
        looks=different_students(run, read_exam(run)[0]) if split == "test" else 1,
        columns=scoring.columns,
    )


def _fields(record: Standing | Sheet) -> dict[str, Any]:
    """The fields of a record that are to stand in a larger one."""
    return {name: getattr(record, name) for name in type(record).model_fields}


def _first(arms: Sequence[ArmSpec], player: str) -> str | None:
    return next((arm.name for arm in arms if arm.player == player and arm.mode == "react"), None)


def standing(
    form: Form,
    how: How,
    rows: Sequence[Score],
    columns: Mapping[str, Column],
    against: tuple[Comparison, ...] = (),
    by_level: tuple[Comparison, ...] = (),
) -> Standing:
    """What one arm got in one form."""
    played = [row for row in rows if row.stop != MISSING]
    by = {level: [row.right for row in rows if row.level == level] for level in LEVELS}
    unseen = [row.right for row in rows if row.unseen_module]
    return Standing(
        form=form,
        how=how,
        n=len(rows),
        missing=len(rows) - len(played),
        accuracy=Rate.of(row.right for row in rows),
        levels={level: Rate.of(outcomes) for level, outcomes in by.items() if outcomes},
        unseen=Rate.of(unseen) if unseen else None,
        means={name: _mean(row.values.get(name) for row in rows) for name in columns},
        stops=dict(Counter(row.stop for row in rows).most_common()),
        reasons=dict(Counter(reason for row in rows for reason in row.reasons).most_common()),
        against=against,
        by_level=by_level,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def seat_name(seat: str, run: Path) -> str:
    """A seat's spec without this machine's paths: relative to the run where it lies in it, else its last part."""
    try:
        spec = split_spec(seat)
    except SeatError:  # of a run that was played where another package was installed
        return seat
    root = run.resolve()

    def shown(name: str) -> str:
        path = Path(name)
        if not path.is_absolute():
            return name
        return str(path.relative_to(root)) if path.is_relative_to(root) else path.name

    url = spec.url if spec.url and "://" in spec.url else None
    return spec._replace(provider=shown(spec.provider), model=shown(spec.model), url=url).line


def write_leaderboard(run: Path, board: Leaderboard) -> None:
    """Write leaderboard.{json,csv,md}, of `dev` leaderboard.dev.{json,md}; and what each baseline gets on each task."""
    name = "leaderboard" if board.split == "test" else f"leaderboard.{board.split}"
    write_json(run / f"{name}.json", board.model_dump(mode="json"))
    if board.split == "test":
        write_text(run / f"{name}.csv", csv_text(board))
    write_text(run / f"{name}.md", markdown(board))
    asked, train = read_exam(run, board.limit, board.split)
    rows = []
    for form in (board.form, *board.also):
        tasks = asked_in(form, asked)
        by_name = chances(tasks, train, form)
        for at, task in enumerate(tasks):
            rows.append({"task_id": task.id, "form": form, "chances": {each: by_name[each][at] for each in by_name}})
    # Not among the scores: those are what a leaderboard is made of.
    folder = run if board.split == "test" else scores_folder(run, board.split)
    write_jsonl(folder / "baselines.jsonl", rows)
