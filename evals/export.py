"""A leaderboard as files for others: Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from .notes import clock_notes, count, headline, notes, points, sizes
from .rows import Comparison, Leaderboard, Rate, Row, Standing
from .scores import Column
from .tables import accuracy_grid, conduct_grid


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], text: int = 1) -> list[str]:
    """A table whose first `text` columns stand to the left."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(_safe(cell) for cell in cells) + " |"

    return [line(header), "|" + " --- |" * text + " ---: |" * (len(header) - text), *map(line, rows)]


def markdown(board: Leaderboard) -> str:
    """leaderboard.md."""
    lines = [
        f"# Leaderboard of {_safe(board.run)}",
        "",
        _safe(headline(board)) + ".",
        "",
        _safe(sizes(board)) + ".",
        "",
    ]
    lines += [f"Board `{board.board}`: graph, prompts, tools, limits and library are the same for every row.", ""]
    header, rows = accuracy_grid(board)
    for cells, row in zip(rows, board.rows, strict=False):
        if row.by_the_clock:
            cells[1] += f"; {row.by_the_clock} of {row.n} ended by the clock"
    lines += [*markdown_table(header, rows), "", *markdown_table(*conduct_grid(board)), ""]
    header = ["arm", "form", "against", "tasks", "points", "95 %", "by groups", "won / lost", "p", "Holm"]
    lines += markdown_table(header, [cells for row in board.rows for cells in _compared(row)], 4)
    lines += ["", *(f"- {_safe(note)}" for note in [*clock_notes(board), *notes(board)]), "", "## Players", ""]
    lines += [f"- `{row.arm}`: {row.kind}; seat `{row.seat or '-'}`, mode {row.mode}" for row in board.rows]
    lines += [
        "",
        "## Columns",
        "",
        *(f"- `{name}`: {_safe(column_text(each))}" for name, each in board.columns.items()),
    ]
    return "\n".join(lines) + "\n"


def column_text(column: Column) -> str:
    """What a column's numbers are, and which are better."""
    unit = "from 0 to 1" if column.unit == "share" else column.unit
    return f"{column.legend} ({unit}{'' if column.better == 'none' else f'; {column.better} is better'})"


def _compared(row: Row) -> list[list[str]]:
    """Every comparison of an arm, in every form."""
    found = []
    for standing in (row, *row.also.values()):
        for c in (*standing.against, *standing.by_level):
            other = f"{c.other} (best trivial)" if c.role == "trivial" else c.other
            cells = [f"{100 * c.difference:+.1f}", points(c.interval), points(c.clustered)]
            cells.append(f"{count(c.better)} / {count(c.worse)}")
            found.append([row.arm, standing.form, other, c.level or "all", *cells, f"{c.p:.2g}", f"{c.p_holm:.2g}"])
    return found


def csv_text(board: Leaderboard) -> str:
    """leaderboard.csv: every number of every row, shares from 0 to 1; columns of a further form begin with its name."""
    rows = [_flat(row) for row in board.rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _flat(row: Row) -> dict[str, object]:
    cells: dict[str, object] = row.model_dump(include={"arm", "player", "kind", "seat", "mode", "board"})
    cells |= _standing(row)
    for form, standing in row.also.items():
        cells |= {f"{form}_{name}": value for name, value in _standing(standing).items()}
    return cells


def _standing(row: Standing) -> dict[str, object]:
    cells: dict[str, object] = {"form": row.form, "how": row.how, "n": row.n, "missing": row.missing}
    cells |= {name: row.means[name] for name in ("answered", "searched", "parse_failures") if name in row.means}
    rates: list[tuple[str, Rate]] = [("accuracy", row.accuracy), *row.levels.items()]
    rates += [("unseen", row.unseen)] if row.unseen else []
    for name, rate in rates:
        cells |= {f"{name}_right": rate.right, f"{name}_n": rate.n}
        cells |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}
    cells |= {f"mean_{name}": value for name, value in row.means.items()}
    for each in row.against:
        cells |= _flat_comparison(each.role if each.role != "baseline" else f"baseline_{each.other}", each)
    for each in row.by_level:
        cells |= _flat_comparison(f"{each.level}_trivial", each)
    cells["stops"] = ";".join(f"{name}={times}" for name, times in row.stops.items())
    cells["reasons"] = ";".join(f"{name}={times}" for name, times in row.reasons.items())
    return cells


def _flat_comparison(name: str, each: Comparison) -> dict[str, object]:
    cells: dict[str, object] = {
        f"{name}_{field}": getattr(each, field) for field in ("other", "difference", "p", "p_holm")
    }
    cells |= {f"{name}_better": count(each.better), f"{name}_worse": count(each.worse)}
    cells |= {f"{name}_low": each.interval.low, f"{name}_high": each.interval.high}
    return cells | {f"{name}_groups_low": each.clustered.low, f"{name}_groups_high": each.clustered.high}
