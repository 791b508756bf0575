"""Every baseline by hand, on a few questions in each form that it can play."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from exam_parts import question

from agents.task import Form, Task
from distill.exam.baselines import BASELINES, baselines, chances, company, families, values_stated

FOUR = ("on", "off", "auto", "never")


def guess(name: str, tasks: Sequence[Task], train: Sequence[Task] = (), form: Form = "choice") -> list[float]:
    return BASELINES[name].guess(tasks, train, form)


def asked(text: str, gold: str, options: Sequence[str] = (), **changes: object) -> Task:
    return question(0, gold, options, question=text, **changes)


def test_every_baseline_is_in_this_file_and_knows_its_forms() -> None:
    assert {name: one.forms for name, one in BASELINES.items()} == {
        "random": ("choice",),
        "frequent value": ("free", "choice"),
        "nearest question": ("free", "choice"),
        "told in the question": ("free", "choice"),
        "one of those named": ("free",),
        "longest option": ("choice",),
        "shortest option": ("choice",),
        "most like the question": ("choice",),
        "least like the question": ("choice",),
        "most like the others": ("choice",),
        "least like the others": ("choice",),
        "same value twice": ("choice",),
        "probe": ("choice",),
    }


def test_random() -> None:
    tasks = [question(0, "on", FOUR), question(1, "on", ("on", "off"))]
    assert guess("random", tasks) == [0.25, 0.5]


TRAINED = [question(n, gold, FOUR) for n, gold in enumerate(["on", "on", "off"])]
TRAINED += [question(9, "1", provenance={"attribute": "size", "family": "number"})]


def test_frequent_value_free() -> None:
    tasks = [question(10, "on"), question(11, "off"), question(12, "`on`.")]
    assert guess("frequent value", tasks, TRAINED, "free") == [1.0, 0.0, 1.0]
    new = {"attribute": "length", "family": "number"}
    assert guess("frequent value", [question(13, "1", provenance=new)], TRAINED, "free") == [1.0], "by the family"
    new = {"attribute": "x", "family": "y"}
    assert guess("frequent value", [question(13, "on", provenance=new)], TRAINED, "free") == [1.0], "by the kind"
    assert guess("frequent value", [question(13, "on", kind="pair")], TRAINED, "free") == [0.0]
    tied = [question(1, "on"), question(2, "off")]
    assert guess("frequent value", tasks[:1], tied, "free") == [0.5]
    assert guess("frequent value", tasks, [], "free") == [0.0, 0.0, 0.0]


def test_frequent_value_choice() -> None:
    tasks = [question(10, "on", FOUR), question(11, "off", FOUR), question(12, "off", ("off", "auto", "x", "y"))]
    assert guess("frequent value", tasks, TRAINED) == [1.0, 0.0, 1.0]
    assert guess("frequent value", [question(13, "x", ("x", "y", "z", "w"))], TRAINED) == [0.25]


def test_families_are_the_narrowest_first() -> None:
    assert families(question(0, "x")) == [("lookup", "default"), ("lookup", "family", "default"), ("lookup",)]


def test_nearest_question() -> None:
    train = [asked("What is the timeout of proxy?", "60s"), asked("Which size has the buffer?", "8k")]
    tasks = [asked("What is the timeout of the proxy?", "60 seconds"), asked("Which size has a buffer?", "4k")]
    assert guess("nearest question", tasks, train, "free") == [1.0, 0.0]
    assert guess("nearest question", tasks, [], "free") == [0.0, 0.0]
    assert guess("nearest question", [], train, "free") == []
    options = ("60s", "30s", "9", "1k")
    tasks = [asked("What is the timeout of the proxy?", "60s", options), asked("The timeout of proxy?", "9", options)]
    assert guess("nearest question", tasks, train) == [1.0, 0.0]
    assert guess("nearest question", tasks, []) == [0.25, 0.25]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A configuration sets `x` to 5 and leaves `y` unset.", ["x", "5", "y"]),
        ("A program calls `f(a, key=None)`. What is `key`?", ["f(a, key=None)", "key", "None"]),
        ("A program calls f(a, n=3).", ["3"]),
        ("Nothing is told here.", []),
        ("`a` and `a`", ["a"]),
    ],
)
def test_values_told(text: str, found: list[str]) -> None:
    assert values_stated(text) == found


def test_told_in_the_question_free() -> None:
    last = [asked("Sets `x` to 5.", "5"), asked("Sets `y` to 7.", "7")]
    first = [asked("Sets `x` to 5.", "x"), asked("Sets `y` to 7.", "y")]
    tasks = [asked("Sets `z` to 3.", "3"), asked("Sets `z` to 3.", "z"), asked("Nothing.", "3")]
    assert guess("told in the question", tasks, last, "free") == [1.0, 0.0, 0.0]
    assert guess("told in the question", tasks, first, "free") == [0.0, 1.0, 0.0]


def test_told_in_the_question_choice() -> None:
    options = ("3", "4", "5", "6")
    tasks = [asked("Sets `z` to 3.", "3", options), asked("Sets `z` to 3.", "4", options), asked("?", "3", options)]
    assert guess("told in the question", tasks) == [1.0, 0.0, 0.25]


def test_one_of_those_named() -> None:
    tasks = [asked("`a` or `b`?", "a"), asked("`a` or `b`?", "c"), asked("`a`, `b`, `c`?", "`c`"), asked("?", "a")]
    assert guess("one of those named", tasks, [], "free") == [0.5, 0.0, pytest.approx(1 / 3), 0.0]


def test_longest_and_shortest_option() -> None:
    tasks = [question(0, "never", FOUR), question(1, "on", FOUR), question(2, "aa", ("aa", "bb", "c", "d"))]
    assert guess("longest option", tasks) == [1.0, 0.0, 0.5]
    assert guess("shortest option", tasks) == [0.0, 1.0, 0.0]


def test_most_and_least_like_the_question() -> None:
    options = ("gzip", "brotli", "lua", "xyz")
    tasks = [asked("Which has gzip_types?", gold, options) for gold in options[:2]]
    assert guess("most like the question", tasks) == [1.0, 0.0]
    tasks = [asked("gzip or brotli or lua?", gold, options) for gold in ("xyz", "lua")]
    assert guess("least like the question", tasks) == [1.0, 0.0]


def test_most_and_least_like_the_others() -> None:
    options = ("100 ms", "100 s", "100 m", "zz")
    assert guess("least like the others", [question(0, gold, options) for gold in ("zz", "100 s")]) == [1.0, 0.0]
    assert guess("most like the others", [question(0, "zz", options)]) == [0.0]
    assert company(options)[3] == min(company(options))
    equal = ("ab", "cd", "ef", "gh")
    assert guess("most like the others", [question(0, "ab", equal)]) == [0.25]


def test_same_value_twice() -> None:
    options = ("1 and 1", "1 and 2", "2 and 1", "3, 3")
    doubled = [question(n, "1 and 1", options) for n in range(4)]
    single = [question(n, "1 and 2", options) for n in range(4)]
    tasks = [question(8, "1 and 1", options), question(9, "1 and 2", options)]
    assert guess("same value twice", tasks, doubled) == [0.5, 0.0]
    assert guess("same value twice", tasks, single) == [0.0, 0.5]
    assert guess("same value twice", [question(9, "on", FOUR)], single) == [0.25]


def test_probe() -> None:
    """It learns from twenty questions and more that the longest option is right; from fewer it knows nothing."""

    def made(n: int) -> Task:
        options = [f"{n}{'x' * k}" for k in (1, 2, 3, 9)]
        gold = options[-1]
        return question(n, gold, options[n % 4 :] + options[: n % 4])

    train, tasks = [made(n) for n in range(60)], [made(n) for n in range(60, 66)]
    assert sum(guess("probe", tasks, train)) >= 5
    assert guess("probe", tasks, train[:19]) == [0.25] * 6
    assert guess("probe", [], train) == []


def test_chances_are_those_of_the_form() -> None:
    tasks = [question(0, "on", FOUR), question(1, "off", FOUR)]
    assert set(chances(tasks, TRAINED, "choice")) == {n for n, one in BASELINES.items() if "choice" in one.forms}
    free = chances([*tasks, question(2, "on")], TRAINED, "free")
    assert set(free) == {"frequent value", "nearest question", "told in the question", "one of those named"}
    assert all(len(found) == 3 for found in free.values())
    with pytest.raises(ValueError, match="without options"):
        chances([question(2, "on")], TRAINED, "choice")


def test_training_questions_without_options_do_not_train_in_the_choice_form() -> None:
    train = [*[question(n, "off") for n in range(9)], question(10, "on", FOUR)]
    tasks = [question(20, "on", FOUR)]
    assert chances(tasks, train, "choice")["frequent value"] == [1.0]
    assert chances(tasks, train, "free")["frequent value"] == [0.0]


def test_the_table_is_of_one_split_by_level() -> None:
    rows = [*TRAINED, question(20, "on", FOUR, split="test"), question(21, "off", split="test")]
    rows += [question(22, "on", FOUR, split="test", level="consultant"), question(23, "on", FOUR, split="dev")]
    free, choice = baselines(rows), baselines(rows, form="choice")
    assert set(free) == {"engineer", "consultant", "overall"}
    assert free["overall"]["frequent value"] == 0.6667
    assert free["engineer"]["frequent value"] == 0.5
    assert free["consultant"]["frequent value"] == 1.0
    assert choice["engineer"]["frequent value"] == choice["overall"]["frequent value"] == 1.0
    assert choice["overall"]["random"] == 0.25
    assert baselines(rows, "dev", "choice")["overall"]["longest option"] == 0.0
    assert baselines([], "test") == {}
