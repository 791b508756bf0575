"""A leaderboard in Python: as text, as a table in a notebook, and as a data frame."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import Any

from agents.errors import need

from . import rows
from .export import csv_text
from .notes import headline, notes
from .tables import accuracy_grid, conduct_grid, format_table


class Leaderboard(rows.Leaderboard):
    """A leaderboard that shows itself: `print` gives the table of the terminal, a notebook one in HTML.

    >>> board = run.evaluate()
    >>> print(str(board).splitlines()[0][:8])
    student:
    >>> "<table>" in board._repr_html_()
    True
    """

    def __str__(self) -> str:
        return format_table(self)

    def to_pandas(self) -> Any:
        """One row an arm with every number, as in leaderboard.csv, as a `pandas.DataFrame`.

        Raises:
            MissingExtra: pandas is not installed (extra `train`).

        >>> frame = run.evaluate().to_pandas()
        >>> float(frame.set_index("arm").loc["teacher", "accuracy"])
        1.0
        """
        pandas = need("pandas", "train")
        return pandas.read_csv(io.StringIO(csv_text(self)))

    def _repr_html_(self) -> str:
        """The tables of the terminal in HTML; every text in them is escaped."""
        parts = [f"<p>{escape(headline(self))}</p>"]
        parts += [html_table(*accuracy_grid(self)), html_table(*conduct_grid(self))]
        parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes(self)) + "</ul>")
        return "\n".join(parts)


def html_table(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A table in HTML, its first column to the left."""

    def row(values: Sequence[str], tag: str) -> str:
        aligned = ("left", *["right"] * (len(values) - 1))
        made = [
            f'<{tag} style="text-align:{side}">{escape(value)}</{tag}>'
            for side, value in zip(aligned, values, strict=True)
        ]
        return f"<tr>{''.join(made)}</tr>"

    body = "\n".join(row(values, "td") for values in cells)
    return f"<table>\n<thead>{row(header, 'th')}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
