"""Mode `answer` is a closed book like `cot`: no recall of evidence, called so in its row, one call an episode."""

from __future__ import annotations

import pytest
import synthetic_run as synthetic
from synthetic_run import scored as score

from evals.rows import ArmSpec
from retort.plan import estimate

CLOSED = ("cot", "answer")


@pytest.mark.parametrize("mode", CLOSED)
def test_recall_of_evidence_does_not_apply(mode: str) -> None:
    task = synthetic.make_task(0)
    row = score(task, synthetic.episode(task, "x", task.gold, mode=mode))
    assert row.evidence_recall is None and row.grounded is None
    assert score(task, synthetic.episode(task, "x", task.gold)).evidence_recall == 1.0


@pytest.mark.parametrize("mode", CLOSED)
def test_an_arm_is_called_closed_book(mode: str) -> None:
    arm = ArmSpec.model_validate({"name": "a", "player": "student", "mode": mode, "seat": "hf:x"})
    assert arm.kind == "student, closed book"


@pytest.mark.parametrize("mode", CLOSED)
def test_the_plan_counts_one_call_an_episode(mode: str) -> None:
    tasks = [synthetic.make_task(i) for i in range(4)]
    assert (estimate(tasks, (mode,)).episodes, estimate(tasks, (mode,)).calls) == (4, 4)
    assert estimate(tasks, ("react",)).calls == 8
