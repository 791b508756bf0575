"""The leaderboard: every arm's scores on the held-out exam, on one board, with paired statistics.

A row is refused when it was played on another board. The mode is not part of the board: the closed-book arm is the same
board with search taken away, and its row says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from agents.errors import BoardError, StageError
from agents.files import read_jsonl, write_json, write_text
from agents.task import LEVELS, Level, Task
from graphs.trajectory import Trajectory

from .baselines import Baseline, chances, summarise
from .compare import comparisons
from .rows import ArmSpec, Comparison, Leaderboard, Rate, Row
from .scores import MISSING, SCORES, Score, file_stem, legend, score_arm
from .tables import csv_text, format_table, markdown

R = TypeVar("R", bound=BaseModel)
__all__ = [
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


def read_exam(run: Path, tasks: int | None = None) -> tuple[list[Task], list[Task]]:
    """(held-out tasks, training tasks) of a run; `tasks` = only the first so many held-out ones.

    Raises:
        StageError: no exam, or nothing held out in it.
    """
    path = run / "exam.jsonl"
    if not path.exists():
        raise StageError(f"{path} is not there: run the stage 'exam' first")
    every = _records(path, Task, "exam")
    held_out = [task for task in every if task.split == "test"][:tasks]
    if not held_out:
        raise StageError(f"{path} holds no task of split 'test': there is nothing to score")
    return held_out, [task for task in every if task.split == "train"]


def read_arm(run: Path, arm: str) -> list[Trajectory]:
    """The recorded episodes of an arm.

    Raises:
        StageError: the arm was never played.
    """
    path = run / "scores" / f"{file_stem(arm)}.trajectories.jsonl"
    if not path.exists():
        raise StageError(f"{path} is not there: run the stage 'evaluate' for arm {arm!r} first")
    return _records(path, Trajectory, "evaluate")


def _records(path: Path, record: type[R], stage: str) -> list[R]:
    try:
        return [record.model_validate(row) for row in read_jsonl(path)]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StageError(
            f"{path} holds a row that is no {record.__name__} ({where}: {first['msg']}): run the stage {stage!r} again"
        ) from None


def one_board(played: Mapping[str, Sequence[Trajectory]]) -> str | None:
    """The hash of the one board on which everything was played; None when nothing was.

    Raises:
        BoardError: two boards, with the arms and the hashes.
    """
    arms: dict[str, set[str]] = {}
    for arm, trajectories in played.items():
        for trajectory in trajectories:
            arms.setdefault(trajectory.board, set()).add(arm)
    if len(arms) > 1:
        told = "; ".join(f"{board!r}: {', '.join(sorted(names))}" for board, names in sorted(arms.items()))
        raise BoardError(
            f"arms were played on different boards ({told}): run the stage 'evaluate' again for all of them"
        )
    return next(iter(arms), None)


def check_names(arms: Sequence[ArmSpec]) -> None:
    """Raise BoardError where two arms share a name, or names so alike that their scores share a file."""
    files: dict[str, str] = {}
    for arm in arms:
        stem = file_stem(arm.name).casefold()
        if stem in files:
            raise BoardError(f"arms {files[stem]!r} and {arm.name!r} share a file of scores: rename one of them")
        files[stem] = arm.name


def check_modes(arms: Sequence[ArmSpec], played: Mapping[str, Sequence[Trajectory]]) -> None:
    """Raise BoardError where an arm was played in another mode than its row says."""
    for arm in arms:
        modes = {trajectory.mode for trajectory in played[arm.name]} - {arm.mode}
        if modes:
            raise BoardError(
                f"arm {arm.name!r} says mode {arm.mode!r} and was played in {modes.pop()!r}: evaluate it again"
            )


def build_leaderboard(run: Path, arms: Sequence[ArmSpec], *, tasks: int | None = None) -> Leaderboard:
    """Score every arm of a run folder and compare them.

    Args:
        tasks: only the first so many held-out tasks were played; None = all of them.

    Raises:
        StageError: no exam, an arm never played, a task played twice or not in the exam.
        BoardError: the arms were not played on one board.
    """
    if not arms:
        raise StageError("a leaderboard needs at least one arm: see [[evaluate.arms]]")
    held_out, train = read_exam(run, tasks)
    check_names(arms)
    played = {arm.name: read_arm(run, arm.name) for arm in arms}
    check_modes(arms, played)
    board = one_board(played)
    scored = {name: score_arm(held_out, trajectories, name) for name, trajectories in played.items()}
    by_chance = chances(held_out, train)
    baselines = tuple(summarise(name, held_out, values) for name, values in by_chance.items())
    base = _first(arms, "base")
    teacher = _first(arms, "teacher")
    trivial, value = best_trivial(baselines, base, scored)
    rows = [
        summary(
            arm,
            scored[arm.name],
            board,
            seat_name(arm.seat, run),
            comparisons(arm.name, held_out, scored, by_chance, base=base, teacher=teacher, trivial=trivial),
        )
        for arm in arms
    ]
    return Leaderboard(
        run=run.resolve().name,
        board=board,
        n=len(held_out),
        groups=len({task.group for task in held_out}),
        levels={level: sum(task.level == level for task in held_out) for level in LEVELS},
        unseen=sum(task.unseen_module for task in held_out),
        rows=tuple(rows),
        baselines=baselines,
        best_trivial=trivial,
        best_trivial_accuracy=value,
        legend=legend(),
    )


def _first(arms: Sequence[ArmSpec], player: str) -> str | None:
    return next((arm.name for arm in arms if arm.player == player and arm.mode == "react"), None)


def best_trivial(
    baselines: Sequence[Baseline], base: str | None, scored: Mapping[str, Sequence[Score]]
) -> tuple[str, float]:
    """Name and accuracy of the best of the trivial baselines and the untrained base."""
    found = [(each.accuracy, each.name) for each in baselines]
    if base is not None:
        found.append((_mean(row.correct for row in scored[base]) or 0.0, base))
    value, name = max(found, key=lambda pair: pair[0])
    return name, value


def summary(arm: ArmSpec, rows: Sequence[Score], board: str | None, seat: str, against: tuple[Comparison, ...]) -> Row:
    """The row of one arm."""
    played = [row for row in rows if row.stop != MISSING]
    levels: dict[Level, Rate] = {}
    for level in LEVELS:
        of_level = [row.correct == 1.0 for row in rows if row.level == level]
        if of_level:
            levels[level] = Rate.of(of_level)
    unseen = [row.correct == 1.0 for row in rows if row.unseen_module]
    # Means that end in `or 0.0` are over all tasks: what was never played was neither answered nor searched.
    means = {name: _mean(getattr(row, name) for row in played) for name in SCORES}
    well_formed = means["well_formed"]
    return Row(
        arm=arm.name,
        player=arm.player,
        kind=arm.kind,
        seat=seat,
        demonstrator=arm.demonstrator,
        mode=arm.mode,
        board=board if played else None,
        n=len(rows),
        missing=len(rows) - len(played),
        accuracy=Rate.of(row.correct == 1.0 for row in rows),
        levels=levels,
        unseen=Rate.of(unseen) if unseen else None,
        answered=_mean(row.answered for row in rows) or 0.0,
        searched=_mean(row.searched or 0.0 for row in rows) or 0.0,
        parse_failures=0.0 if well_formed is None else 1 - well_formed,
        means=means,
        stops=dict(Counter(row.stop for row in rows).most_common()),
        reasons=dict(Counter(reason for row in rows for reason in row.reasons).most_common()),
        against=against,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def seat_name(seat: str, run: Path) -> str:
    """A seat's spec without this machine's paths: relative to the run where it lies in it, else its last part."""
    if seat.startswith("scripted:"):
        return seat.partition("@")[0]
    provider, colon, model = seat.partition(":")
    if not colon or not Path(model).is_absolute():
        return seat
    path, root = Path(model), run.resolve()
    return f"{provider}:{path.relative_to(root) if path.is_relative_to(root) else path.name}"


def write_leaderboard(run: Path, board: Leaderboard) -> None:
    """Write leaderboard.json, leaderboard.csv and leaderboard.md."""
    write_json(run / "leaderboard.json", board.model_dump(mode="json"))
    write_text(run / "leaderboard.csv", csv_text(board))
    write_text(run / "leaderboard.md", markdown(board))
