"""Measures what can be answered without the manual, and refuses an exam of which that is too much.

The choice form is guessed by every registered baseline and by probes that are trained on the exam itself, cross-fitted
over all its questions: the held-out ones alone are too few to tell 25 % from 30 %. Lists of options that the probes see
through are dealt anew, or withdrawn. The free form has no chance level; its floor is what the best baseline gets.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from agents.errors import ExamError
from agents.task import Task

from .baselines import BASELINES
from .choices import OPTIONS, Dealt
from .drafts import Draft
from .fill import Filled
from .guessable import folds
from .probe import cross_fitted, hits

MARGIN = 0.05
"""Share above chance at which an exam is refused, where that cannot be luck."""
LUCK = 3.0
"""Standard deviations of chance that the best of all guessers may be above it: of 240 questions that tell nothing it
got 32 % in one of eight trials, of 80 it got 36 %."""
AIM = 0.02
"""Share above chance at which lists of options are no longer dealt anew."""
AIM_TEST = 0.03
"""The same for the held-out questions alone, which are fewer: the best of several guessers is above chance by luck."""
ROUNDS = 8
"""Times that lists are dealt anew at the most."""
RENEWED = 0.2
"""Share of the lists that one round deals anew: those that are seen through best."""
FEWEST = 60
"""Questions with options below which no statement is made: one in three right would then be within chance."""
TRAINED = ("probe",)
"""Registered baselines that are trained; the audit trains its own, cross-fitted."""


TaskOf = Callable[[Draft, tuple[str, ...]], Task]
"""Makes the task of a draft and its options."""


def shown(dealt: Sequence[Dealt], task_of: TaskOf) -> tuple[list[Task], list[str]]:
    """The questions of the lists with their options shuffled, always in the same way, and their cells."""
    seen, cells = [], []
    for one in dealt:
        for draft in one.drafts:
            options = list(one.options)
            random.Random(draft.question).shuffle(options)
            seen.append(task_of(draft, tuple(options)))
            cells.append(draft.cell)
    return seen, cells


def renew(filled: Sequence[Filled], task_of: TaskOf, seed: int) -> tuple[int, int]:
    """Deal anew the lists that a guesser sees through, in place, until the best of them is near chance.

    Returns:
        Lists dealt anew, and questions that lost their options because nothing could take their list's place.
    """
    renewed = lost = 0
    for number in range(ROUNDS):
        owners = [(one, part) for part in filled for one in part.dealt]
        if len(owners) * OPTIONS < FEWEST:
            break
        seen, cells = shown([one for one, _ in owners], task_of)
        right = guesses(seen, cells, seed + number)
        tested = np.array([cell == "test" for cell in cells])
        bad = sorted(blamed(right, np.ones_like(tested), AIM) | blamed(right, tested, AIM_TEST))
        if not bad:
            break
        for i in bad:
            one, part = owners[i]
            lost += part.replace([one])
        renewed += len(bad)
    return renewed, lost


def blamed(right: Mapping[str, Any], among: Any, aim: float) -> set[int]:
    """Numbers of the lists that guessers see through best, where one of them is further above chance than `aim`.

    Args:
        right: guesser -> chance of being right, question by question, the questions of a list side by side.
        among: the questions that count.
    """
    if not among.any():
        return set()
    over = {name: float(hit[among].mean()) - 1 / OPTIONS - aim for name, hit in right.items()}
    if max(over.values()) <= 0:
        return set()
    weight = sum(hit * among * max(0.0, over[name]) for name, hit in right.items())
    by_list = weight.reshape(-1, OPTIONS).sum(axis=1)
    count = max(1, round(RENEWED * int(among.sum()) / OPTIONS))
    return {int(i) for i in np.argsort(-by_list, kind="stable")[:count]}


def guesses(tasks: Sequence[Task], cells: Sequence[str], seed: int) -> dict[str, Any]:
    """Guesser -> for each task the chance that it is right, having seen the tasks of the other cells alone."""
    found = {name: hits(tasks, rows) for name, rows in cross_fitted(tasks, cells, seed).items()}
    fold = folds(cells)
    for name, one in BASELINES.items():
        if "choice" not in one.forms or name in TRAINED:
            continue
        found[name] = np.zeros(len(tasks))
        for number in sorted(set(fold.tolist())):
            inside = [i for i in range(len(tasks)) if fold[i] == number]
            known = [tasks[i] for i in range(len(tasks)) if fold[i] != number]
            found[name][inside] = one.guess([tasks[i] for i in inside], known, "choice")
    return found


def audit(tasks: Sequence[Task], cells: Sequence[str], seed: int) -> dict[str, float]:
    """Baseline -> share right over all tasks with options; probes cross-fitted with a seed that nothing was chosen by.

    Args:
        cells: for each task with options, in order, its cell: a task is guessed from those of the other cells.
    """
    asked = [task for task in tasks if task.options]
    if not asked:
        return {}
    found = {name: float(hit.mean()) for name, hit in guesses(asked, cells, seed + 1000).items()}
    return {name: round(value, 4) for name, value in sorted(found.items(), key=lambda item: -item[1])}


def passes(found: Mapping[str, float], count: int) -> bool:
    """Whether no baseline is further above chance than an exam may be, of `count` questions with options."""
    return count < FEWEST or max(found.values(), default=0.0) <= 1 / OPTIONS + MARGIN


def most(count: int) -> float:
    """The share above which an exam of `count` questions with options is refused: few ones leave room for luck."""
    return 1 / OPTIONS + max(MARGIN, LUCK * math.sqrt((1 - 1 / OPTIONS) / OPTIONS / count))


def refuse(found: Mapping[str, float], count: int) -> None:
    """Raise ExamError where a baseline is further above chance than an exam may be.

    Args:
        count: questions with options; below `FEWEST` nothing is refused.
    """
    if not found or count < FEWEST:
        return
    name, value = next(iter(found.items()))
    if value > most(count):
        raise ExamError(
            f"the choice form can be passed without the manual: the baseline {name!r} gets {value:.1%} of {count} "
            f"questions where chance is {1 / OPTIONS:.0%} (at most {most(count):.1%} is allowed). Give more "
            "facts of the same attribute, drop attributes whose values follow from the name, or set `choice = false` "
            "in [exam]"
        )
