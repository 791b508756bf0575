"""An exam with a planted shortcut is refused by the name of who finds it; an exam without one passes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from exam_parts import draft, question

from agents.errors import ExamError
from agents.task import Task
from distill.exam.audit import FEWEST, audit, blamed, guesses, refuse, renew, shown
from distill.exam.choices import Dealt
from distill.exam.drafts import Draft
from distill.exam.fill import Filled
from distill.exam.probe import Probe, cross_fitted, hits

CELLS = ("test", "train0", "train1")
Row = tuple[str, str, list[str]]
"""A question, its gold, and its wrong options."""


def letters(rng: random.Random, count: int = 6) -> str:
    """A word that shares nothing with others but by luck."""
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=count))


def exam(made: Callable[[random.Random, int], Row], count: int = 120, fixed: bool = False, seed: int = 5) -> list[Task]:
    """Questions whose golds stand at each place equally often (always first where `fixed`), in random order."""
    rng = random.Random(seed)
    tasks = []
    for n in range(count):
        text, gold, wrong = made(rng, n)
        rng.shuffle(wrong)
        wrong.insert(0 if fixed else n % 4, gold)
        tasks.append(question(n, gold, wrong, question=text))
    rng.shuffle(tasks)
    return tasks


def cells_of(tasks: Sequence[Task]) -> list[str]:
    return [CELLS[int(task.id[1:]) // 4 % len(CELLS)] for task in tasks]


def audited(tasks: Sequence[Task], seed: int = 0) -> dict[str, float]:
    return audit(tasks, cells_of(tasks), seed)


def plain(rng: random.Random, n: int) -> Row:
    """Nothing tells."""
    return f"What is {letters(rng)}?", str(rng.randrange(100, 1000)), [str(rng.randrange(100, 1000)) for _ in range(3)]


def longest(rng: random.Random, n: int) -> Row:
    """The right option is the longest one."""
    return f"What is {letters(rng)}?", letters(rng, 12), [letters(rng, 8) for _ in range(3)]


def shortest(rng: random.Random, n: int) -> Row:
    """The right option is the shortest one."""
    return f"What is {letters(rng)}?", letters(rng, 5), [letters(rng, 8) for _ in range(3)]


def form(rng: random.Random, n: int) -> Row:
    """The right option is a duration, the others are numbers of the same length."""
    return f"What is {letters(rng)}?", f"{rng.randrange(10, 99)}s", [str(rng.randrange(100, 999)) for _ in range(3)]


def shared_word(rng: random.Random, n: int) -> Row:
    """The right option shares a word with the question."""
    word = letters(rng)
    return f"What is {word} of it?", f"{word} {letters(rng)}", [f"{letters(rng)} {letters(rng)}" for _ in range(3)]


def unshared_word(rng: random.Random, n: int) -> Row:
    """The wrong options share a word with the question, the right one does not."""
    words = [letters(rng) for _ in range(3)]
    return f"What of {' '.join(words)}?", f"{letters(rng)} {letters(rng)}", [f"{word} {letters(rng)}" for word in words]


def odd_one(rng: random.Random, n: int) -> Row:
    """The wrong options are like each other."""
    stem = letters(rng)
    return f"What is {letters(rng)}?", letters(rng, 8), [f"{stem}{letters(rng, 2)}" for _ in range(3)]


def central_one(rng: random.Random, n: int) -> Row:
    """Each wrong option is the right one with something changed."""
    stem = letters(rng, 9)
    wrong = [f"{letters(rng, 3)}{stem[3:]}", f"{stem[:3]}{letters(rng, 3)}{stem[6:]}", f"{stem[:6]}{letters(rng, 3)}"]
    return f"What is {letters(rng)}?", stem, wrong


def never_doubled(rng: random.Random, n: int) -> Row:
    """Two of four options are the same value twice, and never right."""
    one, two = rng.sample(range(10, 99), 2)
    return f"What of {letters(rng)}?", f"{one} and {two}", [f"{one} and {one}", f"{two} and {two}", f"{two} and {one}"]


def frequent(rng: random.Random, n: int) -> Row:
    """The right option is a value that is right often, the others never are."""
    gold = rng.choice(["101", "202", "303"])
    return f"What is {letters(rng)}?", gold, [str(value) for value in rng.sample(range(400, 999), 3)]


ASSOCIATED = {"port": "off", "path": "on", "name": "auto", "host": "never"}


def association(rng: random.Random, n: int) -> Row:
    """A word of the question tells which of four options is right; each of them is right equally often."""
    words = list(ASSOCIATED)
    word = words[n // 4 % 4]
    return f"What does {letters(rng)} {word} {letters(rng)}?", ASSOCIATED[word], [
        value for key, value in ASSOCIATED.items() if key != word
    ]  # fmt: skip


def test_an_exam_without_shortcuts_passes() -> None:
    tasks = exam(plain, seed=6)
    found = audited(tasks)
    assert len(found) == 14
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert found["random"] == 0.25
    refuse(found, len(tasks))


@pytest.mark.parametrize(
    ("made", "name", "at_least"),
    [
        (longest, "longest option", 1.0),
        (shortest, "shortest option", 1.0),
        (form, "surface probe", 0.9),
        (shared_word, "most like the question", 0.95),
        (unshared_word, "least like the question", 0.95),
        (odd_one, "least like the others", 0.95),
        (central_one, "most like the others", 0.95),
        (never_doubled, "same value twice", 0.5),
        (frequent, "frequent value", 0.9),
        (association, "association probe", 0.9),
    ],
)
def test_a_planted_shortcut_is_refused_by_name(
    made: Callable[[random.Random, int], Row], name: str, at_least: float
) -> None:
    tasks = exam(made)
    found = audited(tasks)
    assert found[name] >= at_least
    with pytest.raises(ExamError, match=r"can be passed without the manual: the baseline .* of 120 questions"):
        refuse(found, len(tasks))
    refuse_by_name(found, name)


def refuse_by_name(found: dict[str, float], name: str) -> None:
    """The one that finds the shortcut blocks by its own name, whoever else finds it."""
    with pytest.raises(ExamError, match=f"the baseline '{name}' gets"):
        refuse({name: found[name]}, 120)


def test_only_a_trained_probe_finds_an_association() -> None:
    found = audited(exam(association))
    assert found["association probe"] >= 0.9
    untrained = [value for name, value in found.items() if "probe" not in name and name != "nearest question"]
    assert max(untrained) <= 0.3


def test_the_gold_always_in_one_place_is_refused() -> None:
    tasks = exam(plain, fixed=True)
    found = audited(tasks)
    assert found["surface probe"] >= 0.9
    with pytest.raises(ExamError, match="probe"):
        refuse(found, len(tasks))


def test_the_margin_is_five_points_above_chance_or_what_may_be_luck() -> None:
    refuse({"x": 0.30, "random": 0.25}, 1000)
    with pytest.raises(ExamError, match=r"'x' gets 30\.1% of 1000 questions where chance is 25% \(at most 30\.0%"):
        refuse({"x": 0.301, "random": 0.25}, 1000)
    refuse({"x": 0.37, "random": 0.25}, 100)
    with pytest.raises(ExamError, match=r"at most 38\.0% is allowed"):
        refuse({"x": 0.39, "random": 0.25}, 100)


@pytest.mark.parametrize("seed", range(3))
def test_an_exam_is_not_refused_for_its_guessers_luck(seed: int) -> None:
    """With a fixed margin three in eight of such exams were refused."""
    tasks = exam(plain, count=80, seed=seed)
    refuse(audited(tasks), len(tasks))


def test_of_few_questions_nothing_is_said() -> None:
    tasks = exam(longest, count=FEWEST - 1)
    found = audited(tasks)
    assert found["longest option"] == 1.0
    refuse(found, len(tasks))
    with pytest.raises(ExamError):
        refuse(found, FEWEST)
    refuse({}, 1000)


def test_without_options_there_is_nothing_to_audit() -> None:
    assert audit([question(0, "x")], [], 0) == {}


def test_questions_without_options_do_not_count() -> None:
    tasks = exam(longest, count=60)
    mixed = [*tasks[:30], question(999, "x"), *tasks[30:]]
    assert audit(mixed, cells_of(tasks), 0) == audited(tasks)


def test_same_seed_same_audit() -> None:
    tasks = exam(plain, count=80)
    assert audited(tasks) == audited(tasks)


def test_a_probe_knows_nothing_of_its_own_cell() -> None:
    """An association that holds in one cell alone is found by nobody."""
    tasks = exam(association)
    one_cell = ["test" if task.gold in ("off", "on") else "train0" for task in tasks]
    beliefs = cross_fitted(tasks, one_cell)["association probe"]
    assert hits(tasks, beliefs).mean() <= 0.3
    assert audit(tasks, ["test"] * len(tasks), 0)["longest option"] > 0, "one cell alone: only what needs no training"


def test_the_same_seed_is_the_same_probe() -> None:
    tasks, asked = exam(association, count=120), exam(plain, count=24)
    one, two = (Probe(3).fit(tasks).chances(asked) for _ in range(2))
    assert set(one) == {"surface probe", "association probe", "probe"}
    for name, rows in one.items():
        assert np.array_equal(rows, two[name])
        assert rows.shape == (24, 4)
        assert np.allclose(rows.sum(axis=1), 1.0)


def test_ties_share_a_hit() -> None:
    tasks = [question(0, "b", "abcd"), question(1, "b", "ab")]
    beliefs = np.array([[0.4, 0.4, 0.1, 0.1], [0.3, 0.7, 0.9, 0.9]])
    assert hits(tasks, beliefs).tolist() == [0.5, 1.0], "of what is no option, nothing is believed"


def task_of(one: Draft, options: tuple[str, ...]) -> Task:
    return question(int(one.group[1:]), one.gold, options, question=one.question)


def told_lists(telling: Sequence[bool]) -> list[Dealt]:
    """A list of four questions for each entry, in turn over the cells; in some each question holds its own gold."""
    rng = random.Random(1)
    found = []
    for number, tells in enumerate(telling):
        golds = [letters(rng) for _ in range(4)]
        drafts = tuple(
            draft(4 * number + i, gold, question=f"What is {gold if tells else letters(rng)} of {letters(rng)}?",
                  cell=CELLS[number % 3])
            for i, gold in enumerate(golds)
        )  # fmt: skip
        found.append(Dealt(drafts, tuple(golds)))
    return found


def test_lists_that_are_seen_through_are_dealt_anew() -> None:
    lists = told_lists([n < 8 for n in range(40)] + [False] * 70)
    told, spare = lists[:8], lists[40:]
    part = Filled("lookup", lists[:40], [], spare)
    renewed, lost = renew([part], task_of, 0)
    assert renewed >= 8
    assert lost == 0
    assert not any(one in told for one in part.dealt)
    assert part.count() == 160
    tasks, cells = shown(part.dealt, task_of)
    assert max(float(hit.mean()) for hit in guesses(tasks, cells, 77).values()) <= 0.3


def test_where_there_is_no_spare_list_options_are_withdrawn() -> None:
    lists = told_lists([n < 8 for n in range(32)])
    told = lists[:8]
    part = Filled("lookup", list(lists), [])
    _, lost = renew([part], task_of, 0)
    assert lost == len(part.single) >= 32
    assert not any(one in told for one in part.dealt)
    assert part.count() == 128, "the questions stay"


def test_lists_that_tell_nothing_stay() -> None:
    lists = told_lists([False] * 9)
    part = Filled("lookup", list(lists), [], told_lists([False]))
    assert renew([part], task_of, 0) == (0, 0), "fewer than can be judged"
    assert part.dealt == lists


def test_those_are_blamed_that_a_guesser_above_the_aim_gets_right() -> None:
    every = np.ones(40, dtype=bool)
    right = {"x": np.array([1.0] * 8 + [0.25] * 32), "y": np.array([0.0] * 36 + [1.0] * 4)}
    assert blamed(right, every, 0.02) == {0, 1}
    assert blamed({"y": right["y"]}, every, 0.02) == set()
    assert blamed(right, np.zeros(40, dtype=bool), 0.02) == set()
    last = np.array([False] * 20 + [True] * 20)
    assert blamed(right, last, 0.02) == set()


def test_options_are_always_shown_in_the_same_way() -> None:
    lists = told_lists([False] * 3)
    tasks, cells = shown(lists, task_of)
    assert cells == [CELLS[n // 4] for n in range(12)]
    assert tasks == shown(lists, task_of)[0]
    assert {frozenset(task.options) for task in tasks[:4]} == {frozenset(lists[0].options)}
