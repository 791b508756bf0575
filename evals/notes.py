"""What stands round the figures of a leaderboard in words: headline, comparisons, and what a reader must know."""

from __future__ import annotations

from collections.abc import Iterator

from agents.task import LEVELS, Level

from .rows import Comparison, Leaderboard, Row, Sheet, Standing
from .scores import Column
from .stats import Interval

SURE = 0.01
"""Above the best trivial player of a level: only with a p below this."""


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage, a dash where it does not apply."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def number(value: float | None, digits: int = 2) -> str:
    """A mean, a dash where it does not apply."""
    return "-" if value is None else f"{value:,.{digits}f}"


DIGITS = {"share": (0, 1), "count": (1, 2), "tokens": (0, 0)}
"""Unit of a column -> digits in the terminal and in the report; of any other unit two."""


def cell(column: Column, value: float | None, *, report: bool = False) -> str:
    """A mean of a column as a table shows it."""
    digits = DIGITS.get(column.unit, (2, 2))[report]
    return percent(value, digits) if column.unit == "share" else number(value, digits)


def count(value: float) -> str:
    """A count; an expected one has a decimal."""
    return f"{value:.0f}" if abs(value - round(value)) < 1e-6 else f"{value:.1f}"


def points(interval: Interval) -> str:
    """An interval of a difference in percentage points: `[-3.2, +12.0]`."""
    return f"[{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def p_value(p: float) -> str:
    """`p = 0.0215`, or `p < 0.0001`."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"


def asked(board: Leaderboard) -> str:
    """What kind of tasks: held-out ones, or those for choosing."""
    return "held-out tasks" if board.split == "test" else f"{board.split} tasks"


def headline(board: Leaderboard) -> str:
    """One line: the student, the base, the best trivial player."""
    primary, base = board.primary_row(), board.first("base", None)
    also = "".join(f" ({form} form {percent(each.accuracy.value)} %)" for form, each in primary.also.items())
    start = "" if board.split == "test" else f"{board.split.upper()}: "
    parts = [f"{start}{primary.arm}: {percent(primary.accuracy.value)} % of {board.n} {asked(board)} right{also}"]
    best = board.best
    if base is not None and base.arm != primary.arm and (best is None or base.arm != best.name):
        parts.append(f"base {percent(base.accuracy.value)} %")
    if best is not None:
        parts.append(f"best trivial ({best.name}) {percent(best.accuracy)} %")
    return "; ".join(parts)


def sizes(board: Leaderboard) -> str:
    """How many tasks, of which sort."""
    of_level = ", ".join(f"{level} {board.levels[level]}" for level in shown_levels(board))
    text = f"{board.n} tasks in {board.groups} groups: {of_level}; {board.unseen} on unseen modules"
    return text + "".join(f"; {sheet.n} in the {form} form" for form, sheet in board.also.items())


def shown_levels(sheet: Sheet) -> list[Level]:
    """The levels of which there are tasks."""
    return [level for level in LEVELS if sheet.levels.get(level)]


def against(name: str, each: Comparison) -> str:
    """A comparison in one line; on a level its own p, else Holm's."""
    who = f"{each.other} (best trivial)" if each.role == "trivial" else each.other
    where, p = ("", each.p_holm) if each.level is None else (f"{each.level}: ", each.p)
    return (
        f"{where}{name} - {who}: {100 * each.difference:+.1f} points {points(each.interval)}, "
        f"{p_value(p)}, {count(each.better)} won {count(each.worse)} lost"
    )


def differences(row: Row) -> list[str]:
    """The comparisons of an arm in the primary form, one a line: base, teacher, best trivial, then level by level."""
    main = [each for each in row.against if each.role != "baseline"]
    return [against(row.arm, each) for each in (*main, *row.by_level)]


def standings(row: Row) -> Iterator[tuple[str, Standing]]:
    """The arm's name, and the name with the form for each further one, with what it got there."""
    yield row.arm, row
    for form, each in row.also.items():
        yield f"{row.arm} ({form} form)", each


def clock_notes(board: Leaderboard) -> list[str]:
    """Which figures count episodes as wrong that the clock ended: they stand right under the table."""
    return [
        f"!{name}: {each.by_the_clock} of {each.n} ended by the clock"
        for row in board.rows
        for name, each in standings(row)
        if each.by_the_clock
    ]


def format_notes(board: Leaderboard) -> list[str]:
    """Which figures are a matter of format."""
    lines = []
    for row in board.rows:
        for name, each in standings(row):
            if each.how == "graph" and each.unread > 0.5:
                line = (
                    f"{name}: {percent(each.unread, 0)} % of its episodes ended without an answer that could be read; "
                    "its figure says nothing of what it knows"
                )
                choice = row.also.get("choice")
                weighed = choice is not None and choice.how == "likelihood"
                lines.append(line + (" (choice column: by likelihood)." if weighed else "."))
    return lines


def level_notes(board: Leaderboard) -> list[str]:
    """The levels on which the primary is not above the best trivial player."""
    lines = []
    for name, standing in standings(board.primary_row()):
        for each in standing.by_level:
            if each.difference <= 0 or each.p >= SURE:
                lines.append(
                    f"{name} is not above the best trivial player of level {each.level} ({each.other}): "
                    f"{100 * each.difference:+.1f} points, {p_value(each.p)}."
                )
    return lines


def notes(board: Leaderboard) -> list[str]:
    """What a reader must know: what is missing or means little first, then marks, columns and tests."""
    lines = [*format_notes(board), *level_notes(board)]
    if board.looks > 1:
        lines.append(f"test was evaluated {board.looks} times with different students: choose on dev (--split dev).")
    for row in board.rows:
        for name, each in standings(row):
            if each.missing:
                lines.append(f"{name}: {each.missing} of {each.n} tasks have no episode and count as wrong.")
        lines += [
            f"{row.arm}: - in the {form} form: its options were not asked for, or cannot be weighed, since an endpoint "
            'does not tell the log-probabilities of a prompt; choice = "graph" in [[evaluate.arms]] lets it play.'
            for form in board.also
            if form not in row.also
        ]
    lines += form_notes(board)
    lines += [
        "[low-high]: 95 % Wilson interval. Differences: Newcombe's paired interval, exact McNemar p with Holm's "
        "correction over base, teacher and all trivial baselines, of a level its own p; won: only this arm was right, "
        "lost: only the other was (where a baseline's guesses tie: expected numbers, and a test against its chances).",
        *column_notes(board),
    ]
    if any(r.demonstrator for r in board.rows):
        lines.append("*: scripted demonstrator, no LLM; it holds the answer key and shows what the board allows.")
    if any(r.mode != "react" for r in board.rows):
        lines.append("~: closed book, the same board with search taken away.")
    return lines


def column_notes(board: Leaderboard) -> list[str]:
    """What the columns of how the arms play are, in one note; nothing where none is shown."""
    stated = [f"{each.head}{', %' if each.unit == 'share' else ''}: {each.legend}" for each in board.conduct().values()]
    return [" ".join(stated)] if stated else []


def form_notes(board: Leaderboard) -> list[str]:
    """What the forms are, and which figures were weighed and not played."""
    stated = {
        "free": "free: answered in the player's own words, compared by value",
        "choice": "choice: the same tasks with lettered options",
    }
    forms = [board.form, *board.also]
    lines = [
        "; ".join(stated[form] for form in forms) + (f". all, levels and tests: {board.form}." if forms[1:] else ".")
    ]
    weighed = [row for row in board.rows for each in row.also.values() if each.how == "likelihood"]
    if weighed:
        closed = [row.arm for row in weighed if row.mode != "react"]
        opened = [row.arm for row in weighed if row.mode == "react"]
        parts = [f"{', '.join(opened)} after the passages that a search with the question brings"] if opened else []
        parts += [f"{', '.join(closed)} without passages"] if closed else []
        lines.append(
            "^: not played but weighed: the option whose tokens gain most log-probability after `Answer: ` from the "
            f"question, a token; {'; '.join(parts)}."
        )
    return lines
