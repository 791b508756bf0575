"""A leaderboard as text: for the terminal, as Markdown, as CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Sequence

from agents.task import LEVELS, Level

from .rows import Comparison, Leaderboard, Rate, Row

WIDTH = 100
NAME = 27
"""Columns that an arm's name gets; a longer one is cut."""


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage, a dash where it does not apply."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def span(rate: Rate | None) -> str:
    """`92.5 [87-96]`, a dash where nothing was asked."""
    if rate is None or rate.n == 0:
        return "-"
    share = "100" if rate.right == rate.n else f"{100 * rate.value:.1f}"
    return f"{share} [{100 * rate.low:.0f}-{100 * rate.high:.0f}]"


def number(value: float | None, digits: int = 2) -> str:
    """A mean, a dash where it does not apply."""
    return "-" if value is None else f"{value:,.{digits}f}"


def p_value(p: float) -> str:
    """`p = 0.0215`, or `p < 0.0001`."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"


def mark(row: Row) -> str:
    """The arm's name with the marks of the legend: * demonstrator, ~ closed book."""
    return row.arm + ("*" if row.demonstrator else "") + ("~" if row.mode == "cot" else "")


def headline(board: Leaderboard) -> str:
    """One line: the student, the base, the best trivial baseline."""
    hero, base = board.hero(), board.first("base", None)
    parts = [f"{hero.arm}: {percent(hero.accuracy.value)} % of {board.n} held-out tasks right"]
    if base is not None and base.arm not in (hero.arm, board.best_trivial):
        parts.append(f"base {percent(base.accuracy.value)} %")
    parts.append(f"best trivial ({board.best_trivial}) {percent(board.best_trivial_accuracy)} %")
    return "; ".join(parts)


def against(hero: Row, each: Comparison) -> str:
    """A comparison in one line."""
    low, high = 100 * each.interval.low, 100 * each.interval.high
    who = f"{each.other} (best trivial)" if each.role == "trivial" else each.other
    return (
        f"{hero.arm} - {who}: {100 * each.difference:+.1f} points [{low:+.1f}, {high:+.1f}], "
        f"{p_value(each.p_holm)}, {each.better} won {each.worse} lost"
    )


def _shown(board: Leaderboard) -> list[Level]:
    return [level for level in LEVELS if board.levels.get(level)]


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns: the first to the left, the others to the right, two blanks between."""
    cut = [[row[0] if len(row[0]) <= NAME else row[0][: NAME - 1] + "…", *row[1:]] for row in rows]
    widths = [max(len(row[i]) for row in [header, *cut]) for i in range(len(header))]
    lines = [
        [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        for row in [header, *cut]
    ]
    text = ["  ".join(line).rstrip() for line in lines]
    return [text[0], "-" * max(len(line) for line in text), *text[1:]]


def accuracy_grid(board: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the accuracy table; arms first, then the trivial baselines."""
    levels = _shown(board)
    header = ["right, %", "all", *levels, *(["unseen"] if board.unseen else [])]
    rows = [
        [
            mark(r),
            span(r.accuracy),
            *(span(r.levels.get(x)) for x in levels),
            *([span(r.unseen)] if board.unseen else []),
        ]
        for r in board.rows
    ]
    for b in board.baselines:
        cells = [percent(b.accuracy), *(percent(b.levels.get(x)) for x in levels), *(["-"] if board.unseen else [])]
        rows.append([f"({b.name})", *cells])
    return header, rows


def conduct_grid(board: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """Header and rows of how the arms play."""
    header = ["how they play", "answer", "search", "unread", "queries", "recall", "ground", "in", "out", "sec"]
    rows = []
    for r in board.rows:
        shares = [percent(r.answered, 0), percent(r.searched, 0), percent(r.parse_failures, 0)]
        m = r.means
        rest = [number(m["searches"], 1), percent(m["evidence_recall"], 0), percent(m["grounded"], 0)]
        cost = [number(m["prompt_tokens"], 0), number(m["completion_tokens"], 0), number(m["seconds"], 2)]
        rows.append([mark(r), *shares, *rest, *cost])
    return header, rows


def notes(board: Leaderboard) -> list[str]:
    """What a reader must know: marks, intervals, tests, what is missing."""
    lines = [
        "[low-high]: 95 % Wilson interval. Differences: Newcombe's paired interval, exact McNemar p with Holm's "
        "correction; won: only this arm was right, lost: only the other was.",
        "answer, search: % of tasks that ended in an answer, that were searched; unread: % that could not be parsed; "
        "queries: searches a task; recall: % of the evidence found; ground: % of searched episodes whose quotes all "
        "stand in what was retrieved; in, out: tokens a task; sec: wall time of an episode beside others in flight.",
    ]
    if any(r.demonstrator for r in board.rows):
        lines.append("*: scripted demonstrator, no LLM; it holds the answer key and shows what the board allows.")
    if any(r.mode == "cot" for r in board.rows):
        lines.append("~: closed book, the same board with search taken away.")
    for r in board.rows:
        if r.missing:
            lines.append(f"{r.arm}: {r.missing} of {r.n} tasks have no episode and count as wrong.")
    return lines


def format_table(board: Leaderboard) -> str:
    """The leaderboard for a terminal of 100 columns; the first line is the headline."""
    sizes = ", ".join(f"{level} {board.levels[level]}" for level in _shown(board))
    lines = [
        headline(board),
        f"{board.n} tasks in {board.groups} groups: {sizes}; {board.unseen} on unseen modules",
        "",
    ]
    lines += _grid(*accuracy_grid(board))
    lines += ["", *_grid(*conduct_grid(board)), ""]
    hero = board.hero()
    lines += [*(against(hero, each) for each in hero.against), "", *notes(board)]
    return "\n".join(row for line in lines for row in _wrapped(line)).rstrip()


def _wrapped(line: str) -> list[str]:
    """Prose no wider than WIDTH; the rows of a table fit as they are."""
    return [line] if len(line) <= WIDTH else textwrap.wrap(line, WIDTH, subsequent_indent="  ")


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        safe = [cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells]
        return "| " + " | ".join(safe) + " |"

    return [line(header), "| --- |" + " ---: |" * (len(header) - 1), *map(line, rows)]


def markdown(board: Leaderboard) -> str:
    """leaderboard.md."""
    lines = [f"# Leaderboard of {board.run}", "", headline(board) + ".", ""]
    lines += [f"Board `{board.board}`: graph, prompts, tools, limits and library are the same for every row.", ""]
    lines += [*_markdown_table(*accuracy_grid(board)), "", *_markdown_table(*conduct_grid(board)), ""]
    lines += ["| arm | against | points | 95 % | by groups | won / lost | McNemar p | Holm | binomial p |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in board.rows:
        for c in row.against:
            groups = f"[{100 * c.clustered.low:+.1f}, {100 * c.clustered.high:+.1f}]"
            other = f"{c.other} (best trivial)" if c.role == "trivial" else c.other
            binomial = "-" if c.p_binomial is None else f"{c.p_binomial:.2g}"
            lines.append(
                f"| {row.arm} | {other} | {100 * c.difference:+.1f} "
                f"| [{100 * c.interval.low:+.1f}, {100 * c.interval.high:+.1f}] | {groups} | {c.better} / {c.worse} "
                f"| {c.p:.2g} | {c.p_holm:.2g} | {binomial} |"
            )
    lines += ["", *(f"- {note}" for note in notes(board)), "", "## Players", ""]
    lines += [f"- `{row.arm}`: {row.kind}; seat `{row.seat or '-'}`, mode {row.mode}" for row in board.rows]
    lines += ["", "## Columns", "", *(f"- `{name}`: {text}" for name, text in board.legend.items())]
    return "\n".join(lines) + "\n"


def csv_text(board: Leaderboard) -> str:
    """leaderboard.csv: every number of every row, shares from 0 to 1."""
    rows = [_flat(row) for row in board.rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _flat(row: Row) -> dict[str, object]:
    cells: dict[str, object] = row.model_dump(
        include={
            "arm",
            "player",
            "kind",
            "seat",
            "mode",
            "board",
            "n",
            "missing",
            "answered",
            "searched",
            "parse_failures",
        }
    )
    rates: list[tuple[str, Rate]] = [("accuracy", row.accuracy), *row.levels.items()]
    rates += [("unseen", row.unseen)] if row.unseen else []
    for name, rate in rates:
        cells |= {f"{name}_right": rate.right, f"{name}_n": rate.n}
        cells |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}
    cells |= {f"mean_{name}": value for name, value in row.means.items()}
    for each in row.against:
        for field in ("other", "difference", "better", "worse", "p", "p_holm", "p_binomial"):
            cells[f"{each.role}_{field}"] = getattr(each, field)
        cells |= {f"{each.role}_low": each.interval.low, f"{each.role}_high": each.interval.high}
        cells |= {f"{each.role}_groups_low": each.clustered.low, f"{each.role}_groups_high": each.clustered.high}
    cells["stops"] = ";".join(f"{name}={count}" for name, count in row.stops.items())
    cells["reasons"] = ";".join(f"{name}={count}" for name, count in row.reasons.items())
    return cells
