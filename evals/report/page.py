"""Renders report.html: what the run says, then every part of it that can be checked.

The page's Content-Security-Policy allows no request at all and no script but the page's own, by its hash; model text
reaches the page only as escaped JSON and is shown through textContent.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from agents.errors import need
from agents.files import write_text
from agents.task import LEVELS

from ..export import column_text
from ..notes import cell, count, notes, number, p_value, percent
from ..played import read_arm, read_exam
from ..rows import Comparison, Leaderboard, Row, Standing
from ..tables import baseline_rows
from . import collected, episodes, material, plots


@cache
def _asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def headline(board: Leaderboard) -> str:
    """What came out, in a sentence or two of plain words."""
    primary, base = board.primary_row(), board.first("base", None)
    low, high = percent(primary.accuracy.low, 0), percent(primary.accuracy.high, 0)
    name = primary.arm[:1].upper() + primary.arm[1:]
    text = f"{name} answers {percent(primary.accuracy.value)} % of {board.n} held-out questions right"
    text += f" (95 % interval {low} to {high} %)"
    for form, each in primary.also.items():
        text += f", {percent(each.accuracy.value)} % of {each.n} in the {form} form"
    if base is not None and base.arm != primary.arm:
        text += f"; its untrained base answers {percent(base.accuracy.value)} %"
    best = board.best
    if best is not None and best.name != (base.arm if base else None):
        text += f", the best trivial baseline ({best.name}) {percent(best.accuracy)} %"
    rival = next((each for each in primary.against if each.role == "trivial"), None)
    return f"{text}. {sized(rival)}" if rival else f"{text}."


def sized(rival: Comparison) -> str:
    """How far the primary stands from the best trivial player, and whether chance explains it."""
    away = "above" if rival.difference >= 0 else "below"
    clear = "more than chance explains" if rival.p_holm < 0.05 else "which chance may explain"
    points = f"{abs(100 * rival.difference):.1f} points {away} {rival.other}"
    return f"That is {points}, {clear} (paired exact test, Holm-corrected {p_value(rival.p_holm)})."


def failures(board: Leaderboard) -> dict[str, Any]:
    """Columns (stops, then failed checks) and their counts an arm."""
    stops = list(dict.fromkeys(name for row in board.rows for name in row.stops if name != "answered"))
    reasons = list(dict.fromkeys(name for row in board.rows for name in row.reasons))
    rows = [(row, [row.stops.get(s, 0) for s in stops], [row.reasons.get(r, 0) for r in reasons]) for row in board.rows]
    return {"stops": stops, "reasons": reasons, "rows": rows}


def compared(row: Row) -> list[tuple[Standing, Comparison]]:
    """Every comparison of an arm, form by form: all tasks first, then level by level."""
    found = [row, *row.also.values()]
    return [(each, c) for each in found for c in (*each.against, *each.by_level)]


def conduct(board: Leaderboard) -> dict[str, Any]:
    """The table on how the arms play: groups with their number of columns, the columns, and the cells of each row."""
    columns = board.conduct()
    groups = Counter(column.group for column in columns.values())
    cells = [
        (row, [cell(column, row.means.get(name), report=True) for name, column in columns.items()])
        for row in board.rows
    ]
    return {"groups": groups, "columns": list(columns.values()), "rows": cells}


def render(run: Path, board: Leaderboard, *, limit: int = episodes.LIMIT) -> str:
    """The page as text.

    Raises:
        StageError: the exam or an arm's trajectories are not there.
        MissingExtra: jinja2 or matplotlib is not installed.
    """
    jinja2 = need("jinja2", "report")
    markup = need("markupsafe", "report").Markup
    held_out, train = read_exam(run)
    held_out = held_out[: board.limit]
    seats = [
        episodes.Seated(row.arm, row.kind, board.form, {t.task_id: t for t in read_arm(run, row.arm)})
        for row in board.rows
    ]
    seats += [
        episodes.Seated(row.arm, row.kind, form, {t.task_id: t for t in read_arm(run, row.arm, form=form)})
        for row in board.rows
        for form, each in row.also.items()
        if each.how == "graph"
    ]
    with collected.collected(run, train) as collection:
        data, note = episodes.viewer(board, held_out, seats, limit, collection)
    curves = material.curves(run)
    script = _asset("viewer.js")
    proofs = material.proofs(run)
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: episodes.visible(value) if type(value) is str else value,
    )
    environment.filters |= {"percent": percent, "number": number, "p": p_value, "count": count}
    page = environment.from_string(_asset("page.html.jinja")).render(
        board=board,
        primary=board.primary_row(),
        base=board.first("base", None),
        teacher=board.first("teacher"),
        headline=headline(board),
        levels=[level for level in LEVELS if board.levels.get(level)],
        tint=plots.colours([row.arm for row in board.rows]),
        conduct=conduct(board),
        column_text=column_text,
        compared=compared,
        baselines=baseline_rows(board),
        remarks=notes(board),
        accuracy=markup(plots.accuracy_plot(board)),
        losses=markup(plots.loss_plot(curves)) if curves else None,
        trainings=material.trainings(run),
        proofs=proofs,
        failed=sum(not each.passed for each in proofs),
        composition=material.composition([*train, *held_out]),
        collection=collection is not None,
        collected=material.optional(run, "collect.json", "collect"),
        dataset=material.optional(run, "dataset.json", "dataset"),
        stages=material.optional(run, "stages.json", "index"),
        failures=failures(board),
        note=note,
        data=markup(data),
        style=markup(_asset("style.css")),
        script=markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return str(page)


def write_report(run: Path, board: Leaderboard, *, limit: int = episodes.LIMIT) -> Path:
    """Write report.html and return its path; `limit` is the size in bytes that its trajectories may take."""
    path = run / "report.html"
    write_text(path, render(run, board, limit=limit))
    return path
