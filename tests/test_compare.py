"""Comparisons of players by hand: who is compared with whom, on which tasks, by which test, corrected for how many."""

from __future__ import annotations

import pytest
from exam_parts import question

from agents.task import Level, Task
from evals.compare import against, best_by_level, best_trivial, comparisons, corrected, groups_of, level_comparisons
from evals.rows import Best
from evals.scores import Score
from evals.stats import against_chances, holm, mcnemar, newcombe, pairs

COUNTS: dict[Level, int] = {"engineer": 12, "professional": 8, "consultant": 4}
LEVEL = [level for level, count in COUNTS.items() for _ in range(count)]
TASKS: list[Task] = [question(n, "x", level=level) for n, level in enumerate(LEVEL)]
STUDENT = [1.0] * 10 + [0.0] * 2 + [1.0] * 5 + [0.0] * 3 + [1.0] * 4
BASE = [0.0] * 8 + [1.0] * 4 + [0.0] * 8 + [1.0] + [0.0] * 3
NEVER = [0.0] * 24
THIRD = [1 / 3] * 24
SHARE = sum(THIRD) / 24


def rows(values: list[float], arm: str = "a") -> list[Score]:
    """Rows that are right where `values` says 1."""
    return [
        Score(
            task_id=task.id, arm=arm, level=task.level, kind=task.kind, group=task.group, unseen_module=False,
            values={"correct": value, "answered": 1.0}, gold=task.gold,
        )
        for task, value in zip(TASKS, values, strict=True)
    ]  # fmt: skip


SCORED = {"student": rows(STUDENT), "base": rows(BASE), "teacher": rows([1.0] * 24)}
GROUPS = groups_of(TASKS)


def test_outcomes_are_compared_by_mcnemar_and_chances_by_their_own_test() -> None:
    table = pairs(STUDENT, BASE)
    found = against("base", "base", STUDENT, BASE, GROUPS)
    assert (found.role, found.other, found.level) == ("base", "base", None)
    assert (found.better, found.worse) == (16, 2) and found.difference == pytest.approx(14 / 24)
    assert found.p == found.p_holm == mcnemar(table)
    assert found.interval == newcombe(table)
    tied = against("baseline", "tied", STUDENT, THIRD, GROUPS, "engineer")
    assert tied.p == against_chances(STUDENT, THIRD) != mcnemar(pairs(STUDENT, THIRD))
    assert tied.level == "engineer" and tied.better == pytest.approx(19 * 2 / 3)


def test_the_family_is_corrected_by_holm() -> None:
    found = [against("baseline", name, STUDENT, values, GROUPS) for name, values in (("b", BASE), ("t", THIRD))]
    done = corrected(found)
    assert [each.p_holm for each in done] == holm([each.p for each in found])
    assert [each.p for each in done] == [each.p for each in found]
    assert any(each.p_holm > each.p for each in done)


def test_roles_and_order() -> None:
    chances = {"best": THIRD, "other": NEVER, "third": NEVER}
    found = comparisons("student", TASKS, SCORED, chances, base="base", teacher="teacher", trivial="best")
    assert [(each.role, each.other) for each in found] == [
        ("base", "base"),
        ("teacher", "teacher"),
        ("baseline", "other"),
        ("baseline", "third"),
        ("trivial", "best"),
    ]
    assert [each.p_holm for each in found] == holm([each.p for each in found])
    assert all(each.level is None for each in found)


def test_a_base_that_is_the_best_trivial_player_has_both_roles_and_one_test() -> None:
    found = comparisons("student", TASKS, SCORED, {"other": NEVER}, base="base", teacher=None, trivial="base")
    assert [(each.role, each.other) for each in found] == [("base", "base"), ("baseline", "other"), ("trivial", "base")]
    assert found[0].model_copy(update={"role": "trivial"}) == found[2]
    assert [each.p_holm for each in found[:2]] == holm([each.p for each in found[:2]])


def test_nobody_is_compared_with_himself_or_with_who_was_not_scored() -> None:
    found = comparisons("base", TASKS, SCORED, {}, base="base", teacher="absent", trivial="base")
    assert found == ()


def test_the_best_trivial_player() -> None:
    assert best_trivial({}, None, None) is None
    assert best_trivial({"a": NEVER, "b": THIRD}, None, None) == Best(name="b", accuracy=SHARE)
    assert best_trivial({"a": NEVER}, BASE, "base") == Best(name="base", accuracy=5 / 24)
    assert best_trivial({"a": THIRD}, BASE, "base") == Best(name="a", accuracy=SHARE)
    assert best_trivial({"a": [1.0]}, [0.0], "base") == Best(name="a", accuracy=1.0)
    assert best_trivial({}, [1.0], "base") == Best(name="base", accuracy=1.0)
    assert (
        best_trivial({"a": NEVER}, BASE, None)
        == best_trivial({"a": NEVER}, None, "base")
        == Best(name="a", accuracy=0.0)
    )


def test_the_best_of_each_level_is_found_on_its_tasks() -> None:
    chances = {"frequent": [0.0] * 20 + [0.5] * 4, "told": [0.0] * 12 + [0.25] * 8 + [0.0] * 4}
    found = best_by_level(TASKS, chances, BASE, "base")
    assert found == {
        "engineer": Best(name="base", accuracy=4 / 12),
        "professional": Best(name="told", accuracy=0.25),
        "consultant": Best(name="frequent", accuracy=0.5),
    }
    assert best_by_level(TASKS, chances, None, None)["engineer"] == Best(name="frequent", accuracy=0.0)
    assert best_by_level(TASKS[:12], chances, BASE, "base") == {"engineer": found["engineer"]}


def test_levels_are_compared_on_their_own_tasks() -> None:
    """The arm itself is left out where it is the best of a level, and the levels after it are not."""
    chances = {"told": [0.0] * 12 + [0.25] * 8 + [0.0] * 4}
    best = {
        "engineer": Best(name="student", accuracy=1.0),
        "professional": Best(name="told", accuracy=0.25),
        "consultant": Best(name="base", accuracy=0.25),
    }
    found = level_comparisons("student", TASKS, SCORED, chances, best)  # type: ignore[arg-type]
    assert [(each.level, each.other, each.role) for each in found] == [
        ("professional", "told", "trivial"),
        ("consultant", "base", "trivial"),
    ]
    assert found[0].p == against_chances(STUDENT[12:20], [0.25] * 8)
    assert found[1].p == mcnemar(pairs(STUDENT[20:], BASE[20:])) and found[1].better == 3
    assert [each.p_holm for each in found] == holm([each.p for each in found])


def test_groups_of_a_question_of_two_entities() -> None:
    one, two = question(1, "x", group="g1"), question(2, "x", group="g2")
    both = question(3, "x", entities=("e1", "e2", "e9"), group="g1")
    assert groups_of([one, two, both]) == [{"g1"}, {"g2"}, {"g1", "g2", "entity e9"}]
    assert groups_of([question(4, "x", groups=("a", "b"))]) == [{"a", "b"}]
