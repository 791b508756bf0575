"""What a row of scores says beside right and wrong: where it came from, what it is called, what is left out."""

from __future__ import annotations

import pytest
import synthetic_run as synthetic
from synthetic_run import scored as score
from synthetic_run import scored_arm as score_arm

from agents.errors import StageError
from evals.scores import NO_OPTION, Asker, Column, Score, Values, file_stem, missing, scorer
from evals.scoring import Scoring
from graphs.trajectory import Hit, ToolUse, Verdict


def test_a_row_carries_what_the_task_is_and_what_the_episode_came_to() -> None:
    task = synthetic.make_task(5)
    wrong = synthetic.wrong_option(task)
    row = score(task, synthetic.episode(task, "x", wrong, form="choice"))
    assert (row.form, row.task_id, row.level, row.kind, row.group, row.unseen_module, row.gold) == (
        "choice",
        task.id,
        task.level,
        task.kind,
        task.group,
        True,
        task.gold,
    )
    assert (row.key, row.answer, row.choice, row.stop, row.reasons) == (
        f"x-{task.id}",
        wrong,
        wrong,
        "answered",
        ("wrong",),
    )


def test_the_row_of_an_episode_that_was_never_played_knows_only_its_task() -> None:
    task = synthetic.make_task(1)
    row = missing(task, "some arm")
    assert row.model_dump(exclude_defaults=True) == {
        "task_id": task.id,
        "arm": "some arm",
        "level": task.level,
        "kind": task.kind,
        "group": task.group,
        "unseen_module": False,
        "values": {"correct": 0.0, "answered": 0.0},
        "gold": task.gold,
    }


def test_an_answer_that_names_no_option_is_no_answer_where_options_were_shown() -> None:
    task = synthetic.make_task(1)
    assert NO_OPTION == "no_option"
    for form, stop, answered in (("choice", NO_OPTION, 0.0), ("free", "answered", 1.0)):
        row = score(task, synthetic.episode(task, "x", "99999", form=form))
        assert (row.form, row.stop, row.answered, row.correct) == (form, stop, answered, 0.0)
    wrong = score(task, synthetic.episode(task, "x", synthetic.wrong_option(task), form="choice"))
    assert (wrong.stop, wrong.answered) == ("answered", 1.0)
    ended = score(task, synthetic.episode(task, "x", None, form="choice"))
    assert (ended.stop, ended.answered) == ("limit:steps", 0.0)
    open_question = task.model_copy(update={"options": ()})
    assert score(open_question, synthetic.episode(task, "x", "99999", form="choice")).answered == 1.0


def test_a_task_that_was_never_played_is_missing_in_its_form() -> None:
    tasks = [synthetic.make_task(i) for i in range(2)]
    assert missing(tasks[0], "x", "choice").form == "choice" and missing(tasks[0], "x").form == "free"
    played = [synthetic.episode(tasks[0], "x", tasks[0].gold, form="choice")]
    assert [row.form for row in score_arm(tasks, played, "x", "choice")] == ["choice", "choice"]
    assert [row.form for row in score_arm(tasks, [], "x")] == ["free", "free"]


def test_every_row_of_an_arm_carries_the_arms_name() -> None:
    tasks = [synthetic.make_task(i) for i in range(3)]
    rows = score_arm(tasks, [synthetic.episode(t, "team", t.gold) for t in tasks[:2]], "student closed book")
    assert [row.arm for row in rows] == ["student closed book"] * 3


def test_evidence_counts_the_chunks_of_every_hop_and_those_that_the_task_names() -> None:
    """Three chunks are wanted, of the hop and of the task's list; two are found, one of them twice."""
    task = synthetic.make_task(0, evidence=("one#1", "two#1"))
    hits = (Hit(chunk="kettle#0", score=2), Hit(chunk="two#1", score=1))
    again = (Hit(chunk="two#1", score=2), Hit(chunk="other", score=1))
    looked = tuple(ToolUse(query="q", hits=each, extract="") for each in (hits, again))
    assert score(task, synthetic.episode(task, "x", task.gold, tool_uses=looked)).evidence_recall == pytest.approx(
        2 / 3
    )


def test_evidence_does_not_apply_to_a_task_that_names_none() -> None:
    task = synthetic.make_task(0)
    bare = task.model_copy(update={"evidence": (), "hops": ()})
    assert score(bare, synthetic.episode(task, "x", task.gold)).evidence_recall is None


def test_a_search_whose_quotes_were_not_checked_is_not_grounded() -> None:
    task = synthetic.make_task(0)
    for said, value in ((True, 1.0), (False, 0.0), (None, 0.0)):
        verdict = Verdict(well_formed=True, grounded=said)
        assert score(task, synthetic.episode(task, "x", task.gold, verdict=verdict)).grounded == value


def test_right_is_worked_out_from_the_answer_whatever_the_verdict_says() -> None:
    task = synthetic.make_task(0)
    nothing_checked = Verdict(well_formed=False)
    assert score(task, synthetic.episode(task, "x", task.gold, verdict=nothing_checked)).correct == 1.0
    believed = Verdict(well_formed=True, correct=True, accepted=True)
    assert score(task, synthetic.episode(task, "x", synthetic.wrong_option(task), verdict=believed)).correct == 0.0


@pytest.mark.parametrize(
    ("arm", "stem"),
    [
        ("student", "student"),
        ("base+cpt", "base+cpt"),
        ("Student closed book", "Student-closed-book"),
        ("a / b: c", "a-b-c"),
        ("v1.5-Z", "v1.5-Z"),
        ("Xstudent X", "Xstudent-X"),
        ("../secret", "secret"),
        ("über", "ber"),
        ("?!", "arm"),
        ("", "arm"),
    ],
)
def test_an_arm_becomes_a_file_name_that_stays_in_its_folder(arm: str, stem: str) -> None:
    assert file_stem(arm) == stem


def test_the_legend_of_a_column_is_one_line() -> None:
    columns = Scoring.of().columns
    assert columns["repairs"].legend == "Malformed calls that were sent back."
    assert columns["searches"].legend == "Searches an episode."
    assert all("\n" not in column.legend for column in columns.values())


async def test_a_score_is_the_function_itself_with_its_columns() -> None:
    """A score of our own is called as it is written."""
    task = synthetic.make_task(0)
    played = synthetic.episode(task, "x", task.gold)

    @scorer(seven=Column(title="seven", unit="count", legend="Always seven."))
    async def steps(task: object, trajectory: object, asker: Asker) -> Values:
        return {"seven": 7.0}

    assert await steps(task, played, Asker()) == {"seven": 7.0}
    assert (list(steps.columns), steps.asks) == (["seven"], False)
    assert score(task, played).steps == 2.0


def test_a_stray_or_double_trajectory_says_what_to_do() -> None:
    tasks = [synthetic.make_task(i) for i in range(2)]
    one = synthetic.episode(tasks[0], "x", tasks[0].gold)
    with pytest.raises(StageError, match=r"arm 'x' holds two .* run the stage 'evaluate' again$"):
        score_arm(tasks, [one, one], "x")
    with pytest.raises(StageError, match=r"task 'test000', which is not asked here: run the stage 'evaluate' again$"):
        score_arm(tasks[1:], [one], "x")


def test_a_score_is_frozen() -> None:
    row = missing(synthetic.make_task(0), "x")
    assert row.stop == "missing"
    with pytest.raises(ValueError, match="frozen"):
        row.stop = "answered"  # type: ignore[misc]
    assert Score.model_validate_json(row.model_dump_json()) == row
