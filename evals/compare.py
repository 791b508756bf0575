"""Comparisons of arms with one another and with the trivial baselines, over all tasks and level by level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.task import LEVELS, Level, Task

from .baselines import Chances
from .rows import Best, Comparison, Role
from .scores import Score
from .stats import against_chances, clustered, holm, mcnemar, newcombe, pairs


def right(rows: Sequence[Score]) -> list[float]:
    """1 for right, 0 for wrong, task by task."""
    return [float(row.right) for row in rows]


def groups_of(tasks: Sequence[Task]) -> list[frozenset[str]]:
    """The groups of each task: a question of two look-ups belongs to two.

    Where an exam does not record them all, the group of a further entity is that of the tasks that begin with it, and
    the entity's own name where there are none.
    """
    known = {task.entities[0]: task.group for task in tasks if task.entities}
    return [
        frozenset(task.groups or (task.group, *(known.get(name, f"entity {name}") for name in task.entities[1:])))
        for task in tasks
    ]


def against(
    role: Role,
    other: str,
    mine: Sequence[float],
    theirs: Sequence[float],
    groups: Sequence[frozenset[str]],
    level: Level | None = None,
) -> Comparison:
    """Compare two players task by task; `theirs` may be chances of being right, where a baseline's options tie."""
    table = pairs(mine, theirs)
    whole = all(value in (0.0, 1.0) for value in theirs)
    p = mcnemar(table) if whole else against_chances(mine, theirs)
    return Comparison(
        role=role,
        other=other,
        level=level,
        difference=table.difference,
        interval=newcombe(table),
        clustered=clustered(mine, theirs, groups),
        better=table.first,
        worse=table.second,
        p=p,
        p_holm=p,
    )


def corrected(found: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The comparisons of one family with Holm's correction."""
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
    trivial: str | None,
) -> tuple[Comparison, ...]:
    """An arm against base, teacher and every trivial baseline, the best of all last; never against itself.

    All of them are one family for Holm's correction.

    Args:
        scored: arm -> rows in the order of `tasks`.
        trivial: the best trivial player: a name of `chances`, or the base arm.
    """
    mine = right(scored[arm])
    groups = groups_of(tasks)
    roles: tuple[tuple[Role, str | None], ...] = (("base", base), ("teacher", teacher))
    found = [
        against(role, other, mine, right(scored[other]), groups)
        for role, other in roles
        if other is not None and other != arm and other in scored
    ]
    names = sorted(chances, key=lambda name: name == trivial)
    found += [
        against("trivial" if name == trivial else "baseline", name, mine, chances[name], groups) for name in names
    ]
    done = corrected(found)
    # Where the base arm is the best trivial player, its comparison serves both roles, and is one test, not two.
    return (*done, *(each.model_copy(update={"role": "trivial"}) for each in done if each.other == trivial == base))


def best_trivial(chances: Mapping[str, Chances], base: Sequence[float] | None, name: str | None) -> Best | None:
    """The best of all trivial baselines and the untrained base; None where there is none.

    Args:
        base: right or wrong of the base arm, task by task.
        name: the base arm's name.
    """
    found = {baseline: sum(values) / max(1, len(values)) for baseline, values in chances.items()}
    if base is not None and name is not None:
        found[name] = sum(base) / max(1, len(base))
    if not found:
        return None
    best = max(found, key=lambda each: found[each])
    return Best(name=best, accuracy=found[best])


def of_level(tasks: Sequence[Task], level: Level) -> list[int]:
    """Places of the tasks of a level."""
    return [at for at, task in enumerate(tasks) if task.level == level]


def best_by_level(
    tasks: Sequence[Task], chances: Mapping[str, Chances], base: Sequence[float] | None, name: str | None
) -> dict[Level, Best]:
    """Level -> the best trivial player of its tasks."""
    found: dict[Level, Best] = {}
    for level in LEVELS:
        places = of_level(tasks, level)
        part = {each: [values[at] for at in places] for each, values in chances.items()}
        best = best_trivial(part, None if base is None else [base[at] for at in places], name) if places else None
        if best is not None:
            found[level] = best
    return found


def level_comparisons(
    arm: str,
    tasks: Sequence[Task],
    scored: Mapping[str, Sequence[Score]],
    chances: Mapping[str, Chances],
    best: Mapping[Level, Best],
) -> tuple[Comparison, ...]:
    """An arm against the best trivial player of each level, on its tasks; Holm's correction over the levels."""
    groups = groups_of(tasks)
    mine = right(scored[arm])
    found = []
    for level, player in best.items():
        if player.name == arm:
            continue
        theirs = chances[player.name] if player.name in chances else right(scored[player.name])
        at = of_level(tasks, level)
        cut = [[values[i] for i in at] for values in (mine, theirs)]
        found.append(against("trivial", player.name, cut[0], cut[1], [groups[i] for i in at], level))
    return corrected(found)
