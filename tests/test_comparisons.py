"""Comparisons on a leaderboard: corrected for how many there are, and honest about who is compared with whom."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic_run as synthetic

from agents.files import write_jsonl
from agents.task import Task
from evals.leaderboard import Leaderboard, build_leaderboard
from evals.rows import Comparison


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Leaderboard:
    """Base, student and teacher on 40 tasks: right nowhere, where i mod 5 is below 3, and where it is below 4."""
    run = synthetic.write_run(tmp_path_factory.mktemp("run") / "synthetic", 40)
    tasks = [task for task in synthetic.make_tasks(40) if task.split == "test"]
    for arm, below in (("base", 0), ("student", 3), ("teacher", 4)):
        synthetic.write_arm(run, arm, synthetic.play(tasks, arm, lambda i, below=below: i % 5 < below))
    return build_leaderboard(run, synthetic.ARMS)


def by_role(board: Leaderboard, arm: str) -> dict[str, Comparison]:
    """The comparisons of an arm."""
    return {each.role: each for each in board.row(arm).against}


def test_each_arm_is_compared_with_the_others_and_not_with_itself(board: Leaderboard) -> None:
    found = by_role(board, "student")
    assert (found["base"].other, found["teacher"].other) == ("base", "teacher")
    assert (found["base"].better, found["base"].worse, found["base"].difference) == (24, 0, pytest.approx(0.6))
    assert (found["teacher"].better, found["teacher"].worse) == (0, 8)
    assert found["teacher"].difference == pytest.approx(-0.2)
    assert "base" not in by_role(board, "base") and "teacher" not in by_role(board, "teacher")


def test_p_values_are_corrected_for_all_the_comparisons_of_their_arm(board: Leaderboard) -> None:
    """Holm: the smallest of so many counts as often, the next once less, and none less than one before it."""
    for arm in ("student", "base+cpt"):
        found = sorted(board.row(arm).against, key=lambda each: each.p)
        assert len(found) > 3
        reached = 0.0
        for left, each in zip(range(len(found), 0, -1), found, strict=True):
            reached = max(reached, min(1.0, left * each.p))
            assert each.p_holm == pytest.approx(reached)
    smallest = min(board.row("student").against, key=lambda each: each.p)
    assert 0 < smallest.p < smallest.p_holm


def test_intervals_hold_the_difference(board: Leaderboard) -> None:
    for row in board.rows:
        for each in row.against:
            assert each.interval.low <= each.difference <= each.interval.high
            assert each.clustered.low <= each.difference <= each.clustered.high


def test_groups_that_win_and_lose_as_a_whole_widen_the_resampled_interval(tmp_path: Path) -> None:
    """The same answers, once with every task a group of its own and once in groups of ten."""

    def width(size: int) -> float:
        run = synthetic.write_run(tmp_path / str(size) / "synthetic", 40)
        every = [task.model_copy(update={"group": f"g{i // size}"}) for i, task in enumerate(synthetic.make_tasks(40))]
        write_jsonl(run / "exam.jsonl", every)
        tasks: list[Task] = [task for task in every if task.split == "test"]
        for arm, right in (("base", range(0)), ("student", range(8, 28))):
            synthetic.write_arm(run, arm, synthetic.play(tasks, arm, lambda i, right=right: i in right))
        made = build_leaderboard(run, synthetic.ARMS)
        interval = by_role(made, "student")["base"].clustered
        return interval.high - interval.low

    assert width(10) > 1.5 * width(1)
