"""Comparisons of arms with one another and with the trivial baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.task import Task

from .baselines import Chances, drawn
from .rows import Comparison
from .scores import Score
from .stats import clustered, exact_binomial, holm, mcnemar, newcombe, pairs


def right(rows: Sequence[Score]) -> list[bool]:
    """Right or wrong, task by task."""
    return [row.correct == 1.0 for row in rows]


def against(role: str, other: str, mine: Sequence[bool], theirs: Sequence[bool], groups: Sequence[str]) -> Comparison:
    """Compare two players task by task."""
    table = pairs(mine, theirs)
    p = mcnemar(table)
    return Comparison.model_validate(
        {
            "role": role,
            "other": other,
            "difference": table.difference,
            "interval": newcombe(table),
            "clustered": clustered(mine, theirs, groups),
            "better": table.first,
            "worse": table.second,
            "p": p,
            "p_holm": p,
        }
    )


def against_chance(name: str, tasks: Sequence[Task], values: Chances, mine: Sequence[bool]) -> Comparison:
    """Compare with a trivial baseline; its ties are drawn for the pairs, the difference is to its expected accuracy."""
    found = against("trivial", name, mine, drawn(tasks, values, name), [task.group for task in tasks])
    if all(value in (0.0, 1.0) for value in values):
        return found
    expected = sum(values) / len(values)
    exact = exact_binomial(sum(mine), len(mine), expected)
    return found.model_copy(update={"difference": sum(mine) / len(mine) - expected, "p_binomial": exact})


def corrected(found: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The comparisons of one arm with Holm's correction."""
    adjusted = holm([each.p for each in found])
    return tuple(each.model_copy(update={"p_holm": p}) for each, p in zip(found, adjusted, strict=True))


def comparisons(
    arm: str,
    tasks: Sequence[Task],
    scored: Mapping[str, Sequence[Score]],
    chances: Mapping[str, Chances],
    *,
    base: str | None,
    teacher: str | None,
    trivial: str,
) -> tuple[Comparison, ...]:
    """An arm against base, teacher and the best trivial baseline; never against itself.

    Args:
        scored: arm -> rows in the order of `tasks`.
        trivial: a name of `chances`, or the base arm where that is the best trivial player.
    """
    mine = right(scored[arm])
    groups = [task.group for task in tasks]
    found = [
        against(role, other, mine, right(scored[other]), groups)
        for role, other in (("base", base), ("teacher", teacher))
        if other is not None and other != arm
    ]
    if trivial in chances:
        return corrected([*found, against_chance(trivial, tasks, chances[trivial], mine)])
    # The base arm is the best trivial player: its comparison serves both roles, and is one test, not two.
    done = corrected(found)
    return (*done, *(each.model_copy(update={"role": "trivial"}) for each in done if each.role == "base"))
