"""Trivial baselines: what a player gets on the held-out exam who has not read the manual.

A baseline sees questions (and in the choice form their options) and the training questions with their golds. It gives
each task the chance of being right, exactly: ties share it. The exam is refused where one of them does too well
(audit.py); the leaderboard compares arms with each of them, task by task.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from agents.answers import canonical
from agents.task import LEVELS, Form, Task

from .cues import likeness, overlap
from .paraphrase import as_asked

Chances = list[float]
"""For each task, in order, the probability that the baseline is right."""
Guess = Callable[[Sequence[Task], Sequence[Task], Form], Chances]
"""(held-out tasks, training tasks, form) -> chances; in the choice form every task has options."""


class Registered(NamedTuple):
    """A baseline and the forms in which it can play."""

    guess: Guess
    forms: tuple[Form, ...]


BASELINES: dict[str, Registered] = {}

_TOLD = re.compile(r"`([^`]+)`|(?<!\w)to ([^\s,;?`]+)|=([^,)\s]+)")
_PART = re.compile(r" and |, ")


def baseline(name: str, *forms: Form) -> Callable[[Guess], Guess]:
    """Register a baseline for these forms, or for both."""

    def register(function: Guess) -> Guess:
        BASELINES[name] = Registered(function, forms or ("free", "choice"))
        return function

    return register


def _heaviest(task: Task, weights: Sequence[float]) -> float:
    """Chance of the gold when the heaviest option is taken and ties share."""
    top = max(weights)
    best = [option for option, weight in zip(task.options, weights, strict=True) if weight >= top - 1e-12]
    return (task.gold in best) / len(best)


@baseline("random", "choice")
def random_option(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """An option drawn at random."""
    return [1 / len(task.options) for task in tasks]


@baseline("frequent value")
def frequent(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """The most frequent gold of training questions for the same attribute, or of the same kind where it is new."""
    seen: dict[Hashable, Counter[str]] = defaultdict(Counter)
    for task in train:
        for family in families(task):
            seen[family][canonical(task.gold)] += 1
    found = []
    for task in tasks:
        counts = next((seen[family] for family in families(task) if seen[family]), Counter[str]())
        if form == "choice":
            found.append(_heaviest(task, [counts[canonical(option)] for option in task.options]))
        else:
            top = [gold for gold, n in counts.items() if n == max(counts.values())]
            found.append((canonical(task.gold) in top) / max(1, len(top)))
    return found


def families(task: Task) -> list[Hashable]:
    """What questions of one sort share, the narrowest first: kind and attribute, kind and family, the kind."""
    attribute = task.hops[-1].attribute if task.hops else ""
    attribute = task.provenance.get("attribute", attribute)
    return [(task.kind, attribute), (task.kind, "family", task.provenance.get("family", attribute)), (task.kind,)]


@baseline("nearest question")
def nearest(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """The gold of the training question that looks most like this one; in the choice form the option most like it."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not train or not tasks:
        return [1 / len(task.options) if form == "choice" else 0.0 for task in tasks]
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    known = vectors.fit_transform([task.question for task in train])
    best = (vectors.transform([task.question for task in tasks]) @ known.T).toarray().argmax(axis=1)
    golds = [train[i].gold for i in best]
    if form == "choice":
        return [
            _heaviest(task, [float(canonical(o) == canonical(gold)) + likeness(o, gold) for o in task.options])
            for task, gold in zip(tasks, golds, strict=True)
        ]
    return [float(canonical(gold) == canonical(task.gold)) for task, gold in zip(tasks, golds, strict=True)]


def values_stated(question: str) -> list[str]:
    """Names and values that stand in a question: in backticks, after `to`, after an equals sign; in order."""
    found = ["".join(match) for match in _TOLD.findall(question)]
    inside = [value for text in found for value in re.findall(r"=([^,)\s]+)", text)]
    return list(dict.fromkeys([*found, *inside]))


@baseline("told in the question")
def stated_in_question(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """A value that the question tells: the first or the last one, whichever was right more often in training."""
    ends: dict[str, Counter[int]] = defaultdict(Counter)
    for task in train:
        stated = [canonical(value) for value in values_stated(task.question)]
        for end in (0, -1):
            ends[task.kind][end] += bool(stated) and stated[end] == canonical(task.gold)
    found = []
    for task in tasks:
        stated = [canonical(value) for value in values_stated(task.question)]
        if form == "choice":
            found.append(_heaviest(task, [float(canonical(option) in stated) for option in task.options]))
            continue
        end = -1 if ends[task.kind][-1] >= ends[task.kind][0] else 0
        found.append(float(bool(stated) and stated[end] == canonical(task.gold)))
    return found


@baseline("one of those named", "free")
def named(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """One of the names and values in the question, drawn at random: one of two in an either-or question."""
    found = []
    for task in tasks:
        stated = {canonical(value) for value in values_stated(task.question)}
        found.append((canonical(task.gold) in stated) / max(1, len(stated)))
    return found


@baseline("longest option", "choice")
def longest(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """The option with the most characters."""
    return [_heaviest(task, [len(option) for option in task.options]) for task in tasks]


@baseline("shortest option", "choice")
def shortest(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """The option with the fewest characters."""
    return [_heaviest(task, [-len(option) for option in task.options]) for task in tasks]


@baseline("most like the question", "choice")
def overlapping(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """The option that shares most words and runs of characters with the question."""
    return [_heaviest(task, [overlap(task.question, option) for option in task.options]) for task in tasks]


@baseline("least like the question", "choice")
def not_overlapping(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """The option that shares least words and runs of characters with the question."""
    return [_heaviest(task, [-overlap(task.question, option) for option in task.options]) for task in tasks]


def company(options: Sequence[str]) -> list[float]:
    """How much each option is like the others."""
    return [sum(likeness(one, two) for j, two in enumerate(options) if j != i) for i, one in enumerate(options)]


@baseline("most like the others", "choice")
def central(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """The option that is most like the other options."""
    return [_heaviest(task, company(task.options)) for task in tasks]


@baseline("least like the others", "choice")
def odd(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """The option that is least like the other options."""
    return [_heaviest(task, [-value for value in company(task.options)]) for task in tasks]


@baseline("same value twice", "choice")
def doubled(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """An option with the same value twice, or one without, whichever was right more often in training."""
    same = sum(_twice(task.gold) for task in train if any(map(_twice, task.options)))
    chance = sum(sum(map(_twice, task.options)) / len(task.options) for task in train if any(map(_twice, task.options)))
    sign = 1.0 if same >= chance else -1.0
    return [_heaviest(task, [sign * _twice(option) for option in task.options]) for task in tasks]


def _twice(option: str) -> bool:
    parts = _PART.split(option)
    return len(parts) == 2 and parts[0] == parts[1]


@baseline("probe", "choice")
def probe(tasks: Sequence[Task], train: Sequence[Task], form: Form) -> Chances:
    """A model trained on training questions and their options, which has not seen the manual (probe.py)."""
    from .probe import Probe, hits

    known = [task for task in train if task.options]
    if len(known) < 20 or not tasks:
        return random_option(tasks, train, form)
    beliefs = Probe().fit(known).chances(tasks)
    return [float(chance) for chance in hits(tasks, beliefs["probe"])]


def chances(tasks: Sequence[Task], train: Sequence[Task], form: Form = "free") -> dict[str, Chances]:
    """Name -> chances of every baseline that can play in `form`.

    Raises:
        ValueError: the choice form, and a task without options.
    """
    if form == "choice" and not all(task.options for task in tasks):
        raise ValueError("a task without options cannot be played in the choice form")
    # In the exam's own wording, in which the tasks are asked: what was reworded for a student would mislead a rule.
    known = [as_asked(task) for task in train if form == "free" or task.options]
    return {name: one.guess(tasks, known, form) for name, one in BASELINES.items() if form in one.forms}


def baselines(tasks: Sequence[Task], split: str = "test", form: Form = "free") -> dict[str, dict[str, float]]:
    """Level (and `overall`) -> baseline -> expected accuracy on the tasks of `split` that can be asked in `form`."""
    asked = [task for task in tasks if task.split == split and (form == "free" or task.options)]
    found = chances(asked, [task for task in tasks if task.split == "train"], form)
    result: dict[str, dict[str, float]] = {}
    for level in (*LEVELS, "overall"):
        members = [i for i, task in enumerate(asked) if level in (task.level, "overall")]
        if members:
            result[level] = {
                name: round(sum(values[i] for i in members) / len(members), 4) for name, values in found.items()
            }
    return result
