"""What single episodes are worth, and what trivial players would get."""

from __future__ import annotations

import pytest
import synthetic_run as synthetic
from synthetic_run import scored as score
from synthetic_run import scored_arm as score_arm

from agents.errors import StageError
from agents.task import Task
from evals.baselines import mean_of, summarise
from evals.scores import MISSING, NO_OPTION, Score, scores
from evals.scoring import Scoring
from graphs.trajectory import Hit, ToolUse, Verdict


@pytest.mark.parametrize("task", synthetic.make_tasks(12, 6), ids=lambda task: task.id)
def test_every_gold_answer_scores_one(task: Task) -> None:
    for form in ("free", "choice"):
        row = score(task, synthetic.episode(task, "student", task.gold, form=form))
        assert (row.correct, row.answered, row.well_formed, row.grounded, row.evidence_recall) == (1.0,) * 5
        assert (row.form, row.choice, row.gold) == (form, task.gold if form == "choice" else None, task.gold)


def test_gold_by_letter_and_open_question() -> None:
    task = synthetic.make_task(2)
    assert task.options[2] == task.gold
    assert score(task, synthetic.episode(task, "x", "C", form="choice")).correct == 1.0
    assert score(task, synthetic.episode(task, "x", "D", form="choice")).correct == 0.0
    free = synthetic.make_task(2, options=())
    assert score(free, synthetic.episode(free, "x", f"`{free.gold}`")).correct == 1.0
    assert score(free, synthetic.episode(free, "x", "about 100")).correct == 0.0


def test_an_answer_counts_only_where_the_episode_ended_with_it() -> None:
    task = synthetic.make_task(0)
    row = score(task, synthetic.episode(task, "x", task.gold, stop="limit:steps"))
    assert (row.correct, row.answered) == (0.0, 0.0)


def test_a_limit_is_no_parse_failure_and_an_unread_answer_is() -> None:
    task = synthetic.make_task(0)
    assert score(task, synthetic.episode(task, "x", None)).well_formed == 1.0
    bad = Verdict(well_formed=False, reasons=("ambiguous",))
    row = score(task, synthetic.episode(task, "x", "all of them", verdict=bad))
    assert (row.well_formed, row.correct, row.reasons) == (0.0, 0.0, ("ambiguous",))
    assert score(task, synthetic.episode(task, "x", None, stop="malformed")).well_formed == 0.0
    assert score(task, synthetic.episode(task, "x", None, stop="gave_up")).well_formed == 1.0


def test_an_answer_that_names_no_option_is_no_answer_of_the_choice_form() -> None:
    task = synthetic.make_task(0)
    for said in ("all of them", "E", f"{task.options[0]} or {task.options[1]}"):
        row = score(task, synthetic.episode(task, "x", said, form="choice"))
        assert (row.answered, row.correct, row.stop, row.form) == (0.0, 0.0, NO_OPTION, "choice")
        assert score(task, synthetic.episode(task, "x", said)).answered == 1.0, "a free answer may be anything"
    for said in (task.options[0], "B", f"D) {task.options[3]}"):
        row = score(task, synthetic.episode(task, "x", said, form="choice"))
        assert (row.answered, row.stop) == (1.0, "answered")
    assert score(task, synthetic.episode(task, "x", None, form="choice")).stop == "limit:steps"


def test_searching_and_evidence() -> None:
    task = synthetic.make_task(3, evidence=("a#1", "a#2"), hops=())
    half = (ToolUse(query="q", rewritten="q", hits=(Hit(chunk="a#2", score=1), Hit(chunk="b", score=1)), extract=""),)
    row = score(task, synthetic.episode(task, "x", task.gold, tool_uses=half * 2))
    assert (row.searches, row.searched, row.evidence_recall) == (2.0, 1.0, 0.5)
    none = score(task, synthetic.episode(task, "x", task.gold, tool_uses=()))
    assert (none.searches, none.searched, none.evidence_recall, none.grounded) == (0.0, 0.0, 0.0, None)
    closed = score(task, synthetic.episode(task, "x", task.gold, mode="cot"))
    assert closed.evidence_recall is None and closed.grounded is None and closed.correct == 1.0


def test_a_search_without_a_grounded_quote_is_not_grounded() -> None:
    task = synthetic.make_task(0)
    assert score(task, synthetic.episode(task, "x", None)).grounded == 0.0


def test_cost_comes_from_usage_and_the_arm_may_be_named() -> None:
    task = synthetic.make_task(1)
    row = score(task, synthetic.episode(task, "team", task.gold, repairs=2), arm="row name")
    assert (row.prompt_tokens, row.completion_tokens, row.steps, row.seconds, row.repairs) == (400, 40, 2, 0.25, 2)
    assert row.arm == "row name" and score(task, synthetic.episode(task, "team", "1")).arm == "team"


def test_every_column_says_what_it_is() -> None:
    columns = Scoring.of(("search", "format", "cost")).columns
    assert list(columns)[:2] == ["correct", "answered"], "the outcome is always scored"
    assert all(column.legend.endswith(".") and column.title for column in columns.values())
    assert not set(columns) & set(Score.model_fields)
    assert scores.names()[:5] == ["outcome", "search", "format", "cost", "judged_support"]


def test_a_task_without_an_episode_is_a_wrong_row() -> None:
    tasks = [synthetic.make_task(i) for i in range(4)]
    rows = score_arm(tasks, [synthetic.episode(t, "x", t.gold) for t in tasks[1:3]], "x")
    assert [row.task_id for row in rows] == [task.id for task in tasks]
    assert [row.correct for row in rows] == [0.0, 1.0, 1.0, 0.0]
    assert [row.stop for row in rows] == [MISSING, "answered", "answered", MISSING]
    assert (rows[0].values, rows[0].answered) == ({"correct": 0.0, "answered": 0.0, "searched": 0.0}, 0.0)


def test_double_and_stray_trajectories_are_refused() -> None:
    tasks = [synthetic.make_task(i) for i in range(2)]
    one = synthetic.episode(tasks[0], "x", tasks[0].gold)
    with pytest.raises(StageError, match="two trajectories of task 'test000'"):
        score_arm(tasks, [one, one], "x")
    with pytest.raises(StageError, match="'test001', which is not asked here"):
        score_arm(tasks[:1], [synthetic.episode(tasks[1], "x", "1")], "x")
    with pytest.raises(StageError, match="is of task 'test000', not 'test001'"):
        score(tasks[1], one)


def test_a_baseline_is_summed_up_over_all_by_level_and_on_unseen_modules() -> None:
    tasks = [synthetic.make_task(i) for i in range(6)]  # of the three levels in turn; 0 and 5 are of unseen modules
    found = summarise("longest option", tasks, [1.0, 0.5, 0.25, 0.0, 0.5, 0.0])
    assert (found.name, found.legend) == ("longest option", "The option with the most characters.")
    assert found.accuracy == pytest.approx(2.25 / 6) and found.unseen == 0.5
    assert found.levels == {"engineer": 0.5, "professional": 0.5, "consultant": 0.125}
    seen = summarise("random", tasks[1:5], [0.25] * 4)
    assert (seen.accuracy, seen.unseen) == (0.25, None)
    nothing = summarise("random", [], [])
    assert (nothing.accuracy, nothing.levels, nothing.unseen) == (0.0, {}, None)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        mean_of([1.0], [True, False])
