"""A leaderboard as the table that a terminal of 100 columns shows."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from .baselines import Baseline
from .notes import cell, clock_notes, differences, headline, notes, percent, shown_levels, sizes
from .rows import Leaderboard, Rate, Row, Standing

WIDTH = 100
MIN_NAME = 20
"""Columns that an arm's name gets at the least before the columns move closer; a longer one is cut."""
MARKS = re.compile(r"[*~!]*$")


def span(rate: Rate | None) -> str:
    """`92.5 [87-96]`, a dash where nothing was asked."""
    if rate is None or rate.n == 0:
        return "-"
    share = "100" if rate.right == rate.n else f"{100 * rate.value:.1f}"
    return f"{share} [{100 * rate.low:.0f}-{100 * rate.high:.0f}]"


def mark(row: Row) -> str:
    """The arm's name with the marks of the legend: * demonstrator, ~ closed book, ! ended by the clock."""
    marks = (row.demonstrator, "*"), (row.mode != "react", "~"), (row.by_the_clock > 0, "!")
    return row.arm + "".join(sign for holds, sign in marks if holds)


def beside(standing: Standing | None) -> str:
    """The figure in a form beside the primary one: ^ weighed by likelihood, ! ended by the clock."""
    if standing is None:
        return "-"
    return span(standing.accuracy) + ("^" if standing.how == "likelihood" else "!" if standing.by_the_clock else "")


def _cut(name: str, room: int) -> str:
    """A name in `room` columns; its marks stay."""
    if len(name) <= room:
        return name
    marks = str(MARKS.findall(name)[0])
    return name[: max(1, room - 1 - len(marks))] + "…" + marks


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns: the first to the left, the others to the right, two blanks between where there is room."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    gap = 2 if WIDTH - sum(widths[1:]) - 2 * (len(header) - 1) >= min(widths[0], MIN_NAME) else 1
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - gap * (len(header) - 1))
    lines = [
        [_cut(first, widths[0]).ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(rest, widths[1:], strict=True))]
        for first, *rest in [header, *rows]
    ]
    grid_lines = [(" " * gap).join(line).rstrip() for line in lines]
    return [grid_lines[0], "-" * max(len(line) for line in grid_lines), *grid_lines[1:]]


def accuracy_grid(board: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the accuracy table; arms first, then the trivial baselines."""
    levels = shown_levels(board)
    header = ["right, %", "all", *levels, *(["unseen"] if board.unseen else []), *board.also]
    rows = [
        [
            mark(r),
            span(r.accuracy),
            *(span(r.levels.get(x)) for x in levels),
            *([span(r.unseen)] if board.unseen else []),
            *(beside(r.also.get(form)) for form in board.also),
        ]
        for r in board.rows
    ]
    rows += [[f"({b.name})", *map(percent, cells)] for b, cells in baseline_rows(board)]
    return header, rows


def baseline_rows(board: Leaderboard) -> list[tuple[Baseline, list[float | None]]]:
    """Each trivial baseline with its cells of the accuracy table; None where it cannot play a form."""
    levels = shown_levels(board)
    first = {b.name: b for b in board.baselines}
    others = [{b.name: b for b in sheet.baselines} for sheet in board.also.values()]
    rows = []
    for name in dict.fromkeys([*first, *(name for found in others for name in found)]):
        cells: list[float | None] = [None] * (1 + len(levels) + bool(board.unseen))
        if name in first:
            b = first[name]
            cells = [b.accuracy, *(b.levels.get(x) for x in levels), *([b.unseen] if board.unseen else [])]
        cells += [found[name].accuracy if name in found else None for found in others]
        rows.append((next(found[name] for found in (first, *others) if name in found), cells))
    return rows


def conduct_grid(board: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """Header and rows of how the arms play, in the primary form: a column for each that a score shows."""
    columns = board.conduct()
    header = ["how they play", *(column.head for column in columns.values())]
    rows = [[mark(r), *(cell(each, r.means.get(name)) for name, each in columns.items())] for r in board.rows]
    return header, rows


def _parts(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[tuple[list[str], list[list[str]]]]:
    """A table as tables of at most WIDTH columns, each with the first column."""
    chosen: list[int] = []
    for at in range(1, len(header)):
        wide = sum(2 + max(len(row[i]) for row in [header, *rows]) for i in [*chosen, at])
        if chosen and wide > WIDTH - MIN_NAME:
            yield [header[i] for i in [0, *chosen]], [[row[i] for i in [0, *chosen]] for row in rows]
            chosen = []
        chosen.append(at)
    yield [header[i] for i in [0, *chosen]], [[row[i] for i in [0, *chosen]] for row in rows]


def format_table(board: Leaderboard) -> str:
    """The leaderboard for a terminal of 100 columns; the first line is the headline."""
    lines = [headline(board), sizes(board), "", *grid(*accuracy_grid(board)), *clock_notes(board)]
    for part in _parts(*conduct_grid(board)):
        lines += ["", *grid(*part)]
    lines += ["", *differences(board.primary_row()), "", *notes(board)]
    return "\n".join(row for line in lines for row in _wrapped(line)).rstrip()


def _wrapped(line: str) -> list[str]:
    """Prose no wider than WIDTH; the rows of a table fit as they are."""
    return [line] if len(line) <= WIDTH else textwrap.wrap(line, WIDTH, subsequent_indent="  ")
