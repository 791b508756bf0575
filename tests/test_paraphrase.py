"""Training questions in a person's words: the same names, asked otherwise, and nothing but training touched."""

from __future__ import annotations

import random
import re

import pytest
from exam_parts import question

from agents.task import Task
from distill.exam.baselines import chances
from distill.exam.paraphrase import CLAUSES, NAMES, WHOLE, as_asked, paraphrased, reworded


def asked(attribute: str = "default", text: str = "What is the default of `--foo`?", **more: object) -> Task:
    provenance = {"attribute": attribute, "family": attribute}
    return question(1, "7", entities=("--foo",), question=text, **{"provenance": provenance, **more})


def versions(task: Task, count: int = 400) -> set[str]:
    return {reworded(task, random.Random(seed)) for seed in range(count)}


def test_a_look_up_is_asked_in_many_ways_with_the_same_name() -> None:
    found = versions(asked())
    assert len(found) > 60
    assert all("--foo" in each and "default" in each for each in found)
    assert {"Tell me the default of `--foo`.", "--foo: default?", "--foo default"} <= found
    assert any(each.startswith("tell me the default") for each in found)


def test_a_parameter_keeps_its_name_and_its_owner() -> None:
    task = asked("default of `x`", "Which default value does parameter `x` of `m.f` have?")
    found = versions(task)
    assert all("m.f" in each and re.search(r"\bx\b", each) for each in found)
    assert "Tell me the default value of parameter `x` of `m.f`." in found
    assert "tell me the default value of parameter x of m.f." in found


def test_attributes_of_other_grammar_are_framed_as_clauses() -> None:
    found = versions(asked("added in version", "In which version was `--foo` added?"))
    assert "Tell me the version in which `--foo` was added." in found
    assert not any("which added in version" in each for each in found)


def test_questions_of_several_names_keep_their_words() -> None:
    text = "Compare `a` with `b`: what is the default of each?"
    found = versions(asked(text=text, kind="pair"))
    bare = {each.replace("`", "") for each in found}
    assert text in found and f"Hello! {text}" in bare | found
    assert all("ompare a with b: what is the default of each" in each for each in bare)
    two = versions(asked(text="Set `a` to 1: what is `--foo`?"))
    assert all("et a to 1: what is --foo" in each.replace("`", "") for each in two), "no label can be told"


def test_own_wordings_are_framed_too() -> None:
    found = {reworded(asked("size"), random.Random(n), {"size": ["How large is {entity}?"]}) for n in range(200)}
    assert any("size" in each and "--foo" in each for each in found)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_training_alone_is_reworded(share: float) -> None:
    tasks = [question(n, "7", split=split) for n, split in enumerate(["train"] * 400 + ["dev"] * 20 + ["test"] * 20)]
    found = paraphrased(tasks, share, 5)
    changed = [task for task in found if "asked" in task.provenance]
    assert all(task.split == "train" for task in changed)
    assert abs(len(changed) - 400 * share) <= 40 * (0 < share < 1)
    assert [as_asked(task).question for task in found] == [task.question for task in tasks]
    assert [task.id for task in found] == [task.id for task in tasks]
    assert found == paraphrased(tasks, share, 5)
    if share == 0.3:
        assert found != paraphrased(tasks, share, 6)
        assert found[:300] == paraphrased(tasks[:300], share, 5), "a task's words do not depend on the others"


def test_rules_guess_by_the_exams_own_wording() -> None:
    """Rewording training questions for a student must not weaken the baselines that it is compared with."""
    train = [question(n, str(n % 7), question=f"What is the default of `name_{n}`?") for n in range(60)]
    test = [
        question(100 + n, str(n % 7), split="test", question=f"What is the default of `name_{n}x`?") for n in range(9)
    ]
    assert chances(test, paraphrased(train, 1.0, 1)) == chances(test, train)


def test_every_frame_has_its_gaps() -> None:
    assert all(frame.count("{}") == 1 for frame in (*CLAUSES, *WHOLE))
    assert all(frame.count("{entity}") == frame.count("{asked}") == 1 for frame in NAMES)
