"""Small exams, built in a moment: what each number of the config does, and what stands on every task."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from exam_parts import check

from agents.corpus.documents import Document
from agents.corpus.facts import Fact
from agents.corpus.library import Library
from agents.errors import ExamError
from agents.task import Task
from distill.exam.build import MAX_UNSEEN, MIN_UNSEEN, Exam, ExamConfig, build_exam
from distill.exam.kinds import made
from distill.exam.split import HeldOut, Names

MODULES = ("heater", "pump", "valve", "panel", "alarm", "radio", "lid", "hose", "lamp")
SMALL = ExamConfig(train=40, dev=6, test=20, held_out=0.3, held_out_modules=0.2)
FREE = SMALL.model_copy(update={"choice": False})
Manual = tuple[list[Fact], Library]


def manual(modules: tuple[str, ...] = MODULES, names: int = 8, seed: int = 0, often: float = 0.0) -> Manual:
    """One page a module, with settings of random names, numbers and releases; share `often` defaults to 777."""
    rng = random.Random(seed)
    documents, facts = [], []
    for module in modules:
        parts = [f"# The {module}\n"]
        for _ in range(names):
            name = f"{module}_{''.join(rng.choices('abcdefghijklmnop', k=5))}"
            values = {
                "default": "777" if often and rng.random() < often else str(rng.randrange(100, 999)),
                "added in version": f"{rng.randrange(1, 9)}.{rng.randrange(9)}.{rng.randrange(9)}",
            }
            lines = "\n\n".join(f"{attribute.capitalize()}: {value}" for attribute, value in values.items())
            parts.append(f"## `{name}`\n\n{lines}\n")
            facts += [
                Fact(entity=name, attribute=a, value=v, source=f"{module}.md", section=f"`{name}`", module=module)
                for a, v in values.items()
            ]
        text = "\n".join(parts)
        documents.append(Document(id=module, title=f"The {module}", text=text, source=f"{module}.md"))
    return facts, Library.build(documents)


@pytest.fixture(scope="module")
def kettle() -> Manual:
    return manual()


@pytest.fixture(scope="module")
def exam(kettle: Manual) -> Exam:
    return build_exam(*kettle, SMALL)


def of(exam: Exam, split: str) -> list[Task]:
    """The tasks of a split."""
    return [task for task in exam.tasks if task.split == split]


def built(kettle: Manual, **changes: Any) -> Exam:
    """An exam in the free form with some of the config changed."""
    return build_exam(*kettle, FREE.model_copy(update=changes))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("config", [SMALL, FREE], ids=["choice", "free"])
def test_what_holds_of_every_exam(kettle: Manual, config: ExamConfig, seed: int) -> None:
    config = config.model_copy(update={"seed": seed})
    check(*kettle, build_exam(*kettle, config), config)


def test_the_same_seed_makes_the_same_exam_and_another_one_another(kettle: Manual, exam: Exam) -> None:
    assert build_exam(*kettle, SMALL) == exam
    free = [built(kettle, seed=seed) for seed in range(3)]
    assert len({each.held_out.groups for each in free}) == 3
    assert [task.id for task in built(kettle).tasks] == [task.id for task in free[0].tasks]


def test_splits_have_the_sizes_asked_for_in_a_mixed_order(exam: Exam) -> None:
    sizes = Counter(task.split for task in exam.tasks)
    assert (sizes["train"], sizes["test"]) == (40, 20) and 5 <= sizes["dev"] <= 7
    assert list(dict.fromkeys(task.split for task in exam.tasks)) == ["train", "dev", "test"]
    kinds = [task.kind for task in of(exam, "train")]
    assert kinds != sorted(kinds) and kinds[: len(kinds) // 2].count("lookup") < 18


def test_a_split_of_size_nought_is_not_there(kettle: Manual) -> None:
    for name in ("train", "dev"):
        assert of(built(kettle, **{name: 0}), name) == []
    assert of(built(kettle, dev=0), "train") and of(built(kettle, train=0), "test")


def test_levels_have_their_shares_and_kinds_their_levels(exam: Exam) -> None:
    levels = Counter(task.level for task in of(exam, "test"))
    assert levels == {"engineer": 10, "professional": 6, "consultant": 4}
    assert all(made(task.kind).level == task.level for task in exam.tasks)
    assert {task.kind for task in exam.tasks} == {"lookup", "pair", "effective", "release"}


def test_shares_are_taken_relative_to_their_sum(kettle: Manual) -> None:
    made = built(kettle, engineer=0.2, professional=0.0, consultant=0.2)
    assert Counter(task.level for task in of(made, "test")) == {"engineer": 10, "consultant": 10}
    with pytest.raises(ExamError, match=r"^\[exam\] engineer, professional and consultant are all 0: give one"):
        built(kettle, engineer=0.0, professional=0.0, consultant=0.0)


def test_a_larger_share_is_held_out_where_it_is_asked_for(kettle: Manual) -> None:
    groups = [len(built(kettle, held_out=share, barred=0.9).held_out.groups) for share in (0.2, 0.5)]
    assert groups[0] < 0.3 * 72 < 0.45 * 72 < groups[1]
    tight = built(kettle, held_out=0.5, barred=0.35)
    assert len(tight.held_out.chunks) <= 0.35 * 72 and "fewer groups" in tight.counts["held_out"]
    assert built(kettle, held_out_modules=0.0).held_out.modules == ()
    assert len(built(kettle, held_out_modules=0.2).held_out.modules) == 1


def test_a_part_of_every_kinds_test_questions_is_about_unseen_modules(exam: Exam) -> None:
    unseen: dict[str, list[bool]] = defaultdict(list)
    for task in exam.tasks:
        assert task.split == "test" or not task.unseen_module
        if task.split == "test":
            unseen[task.kind].append(task.unseen_module)
            homes = {name.partition("_")[0] for name in task.entities}
            assert task.unseen_module == (homes <= set(exam.held_out.modules))
    share = sum(map(sum, unseen.values())) / len(of(exam, "test"))
    assert MIN_UNSEEN <= share <= MAX_UNSEEN
    assert all(any(flags) for kind, flags in unseen.items() if len(flags) > 4)


def test_everything_that_a_task_is_about_stands_on_its_side(kettle: Manual) -> None:
    """`effective` names a second setting, of which no hop tells: it may be no held-out one either."""
    for seed in range(3):
        made = built(kettle, seed=seed, train=80)
        held = set(made.held_out.groups)
        for task in made.tasks:
            assert {group in held for group in task.groups} == {task.split == "test"}
            assert set(task.entities) >= {hop.entity for hop in task.hops}


def test_a_task_carries_what_it_was_made_of(kettle: Manual) -> None:
    made = built(kettle)
    given = {(fact.entity, fact.attribute): fact for fact in kettle[0]}
    for task in made.tasks:
        kind, _, name = task.id.partition("-")
        assert kind == task.kind and len(name) == 10 and int(name, 16) >= 0
        assert task.provenance["attribute"] == task.provenance["family"] == task.hops[-1].attribute
        first = given[task.hops[0].entity, task.hops[0].attribute]
        assert task.provenance["source"] == first.source and task.group == first.entity
        assert task.parts == (tuple(hop.value for hop in task.hops) if task.kind == "pair" else ())
        assert task.evidence == tuple(dict.fromkeys(hop.chunk for hop in task.hops))
    assert len({task.id for task in made.tasks}) == len(made.tasks)
    again = {task.question: task.id for task in built(kettle, seed=1).tasks}
    shared = [task for task in made.tasks if task.question in again]
    assert shared and all(again[task.question] == task.id for task in shared), "the id is the question's"


def test_counts_add_up(kettle: Manual, exam: Exam) -> None:
    counted = exam.counts["tasks"]
    for split, levels in counted.items():
        for level, kinds in levels.items():
            assert list(kinds) == sorted(kinds)
            for kind, count in kinds.items():
                assert count == sum((t.split, t.level, t.kind) == (split, level, kind) for t in exam.tasks)
    assert sum(n for levels in counted.values() for kinds in levels.values() for n in kinds.values()) == len(exam.tasks)
    assert list(counted["test"]) == ["engineer", "professional", "consultant"]
    assert sum(exam.counts["mix"].values()) == pytest.approx(1.0, abs=1e-3)
    for split, kinds in exam.counts["drafts"].items():
        for kind, count in kinds.items():
            assert count >= exam.counts["not guessable"][split].get(kind, 0)
    held, chunks = exam.counts["held_out"], len(kettle[1].chunks)
    assert held["groups"] == f"{len(exam.held_out.groups)} of 72"
    assert (held["modules"], held["chunks"]) == (1, f"{len(exam.held_out.chunks)} of {chunks}")
    assert held["chunk share"] == round(len(exam.held_out.chunks) / chunks, 4) and held["mention cap"] == 40
    assert exam.counts["options"]["with"] == sum(bool(task.options) for task in exam.tasks)
    assert exam.counts["facts"] == {"given": 144, "usable": 144}


def test_facts_that_were_dropped_are_counted_with_the_first_that_was_lost(kettle: Manual) -> None:
    facts, library = kettle
    odd = [
        facts[0].model_copy(update={"entity": "ghost_x"}),
        facts[1].model_copy(update={"entity": "ghost_y"}),
        facts[0].model_copy(update={"value": "99999"}),
    ]
    made = build_exam([*facts, *odd], library, FREE)
    assert made.counts["facts"] == {
        "given": 147,
        "usable": 144,
        "entity in no document": 2,
        "value on no line": 1,
        "first lost": "ghost_x",
    }


def test_baselines_are_given_for_each_form_that_can_be_asked(kettle: Manual, exam: Exam) -> None:
    assert set(exam.baselines) == {"free", "choice"}
    assert exam.baselines["choice"]["overall"]["random"] == 0.25
    assert set(built(kettle).baselines) == {"free"} and "random" not in built(kettle).baselines["free"]["overall"]
    assert list(exam.audit.values()) == sorted(exam.audit.values(), reverse=True)


def test_dev_has_the_mix_of_the_others_as_far_as_it_goes(kettle: Manual) -> None:
    kinds = Counter(task.kind for task in of(built(kettle, dev=10), "dev"))
    assert kinds["lookup"] >= kinds["pair"] >= 1 and sum(kinds.values()) <= 10


def test_no_answer_is_right_too_often() -> None:
    same, library = manual(often=0.25)
    often = {}
    for cap in (0.05, 1.0):
        config = FREE.model_copy(update={"gold_cap": cap, "guessable": 1.0, "train": 100})
        golds = Counter(task.gold for task in of(build_exam(same, library, config), "train") if task.kind == "lookup")
        often[cap] = golds["777"]
        assert 0 < golds["777"] <= max(2, cap * golds.total() + 1)
    assert often[0.05] < often[1.0]


def test_what_is_guessed_too_easily_is_left_out() -> None:
    same, library = manual(often=0.67)
    strict, loose = (
        build_exam(same, library, FREE.model_copy(update={"guessable": share})).counts for share in (0.05, 1.0)
    )
    assert loose["drafts"] == loose["not guessable"]
    assert sum(strict["not guessable"][s]["lookup"] for s in strict["drafts"]) < sum(
        kinds["lookup"] for kinds in strict["drafts"].values()
    )


def test_too_few_test_questions_are_an_error(kettle: Manual) -> None:
    facts, library = kettle
    with pytest.raises(
        ExamError, match=r"^only 20 test questions of 144 usable facts: at least 21 need about 151 facts"
    ):
        built(kettle, least_test=21)
    assert len(of(built(kettle, least_test=20), "test")) == 20
    with pytest.raises(ExamError, match="there are no facts"):
        build_exam([], library)
    with pytest.raises(ExamError, match="only 0 test questions of 1 usable facts"):
        build_exam(facts[:1], library)


def test_training_names_nothing_that_is_held_out(kettle: Manual) -> None:
    facts, library = kettle
    named = [
        fact.model_copy(update={"value": other.entity, "quote": f"Default: {fact.value}"})
        if fact.attribute == "default"
        else fact
        for fact, other in zip(facts, [*facts[10:], *facts[:10]], strict=True)
    ]
    made = build_exam(named, library, FREE)
    names = Names(made.held_out.names)
    for task in made.tasks:
        if task.split != "test":
            assert not names.within("\n".join((task.question, task.gold, *task.options)))


def test_the_summary_in_words() -> None:
    made = Exam(
        tasks=(),
        held_out=HeldOut(entities=(), groups=(), modules=(), chunks=()),
        counts={
            "tasks": {"test": {"engineer": {"lookup": 3}, "consultant": {"call": 2, "example": 1}}, "dev": {}},
            "facts": {"given": 5, "usable": 4},
            "held_out": {"groups": "1 of 4"},
            "options": {"with": 8},
        },
        baselines={"free": {"overall": {"a": 0.1, "b": 0.25}}, "choice": {"engineer": {}}},
        audit={"probe": 0.275, "random": 0.25},
    )
    assert made.summary().splitlines() == [
        "test      6  engineer 3 {lookup: 3}, consultant 3 {call: 2, example: 1}",
        "dev       0  ",
        "facts {given: 5, usable: 4}",
        "held out {groups: 1 of 4}",
        "free   overall       best baseline: b 25.0%",
        "choice engineer      best baseline: none 0.0%",
        "options alone: probe 27.5% of 8 (chance 25%)",
    ]
    assert "options alone" not in made.model_copy(update={"audit": {}}).summary()
