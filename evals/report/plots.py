"""The report's plots as inline SVG: the same bytes for the same data, and in the page's own text colour.

Text stays text (readers and searches find it); ink drawn in the sentinel colour becomes `currentColor`, so that one
drawing serves light and dark pages.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from agents.errors import need
from agents.task import LEVELS

from ..rows import Leaderboard, Rate

INK = "#010203"
"""Stands for the page's text colour while matplotlib draws."""
COLOURS = ("#8a8f98", "#e08a00", "#2f7fc8", "#b565b8", "#12a37b", "#d9542b", "#6f6bd8", "#a3852b")
MARKERS = "sD^voPX*"
_RC = {
    "svg.hashsalt": "retort",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name, by its place."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def _figure(width: float, height: float) -> Any:
    figure = need("matplotlib.figure", "report").Figure(figsize=(width, height), layout="constrained")
    need("matplotlib.backends.backend_svg", "report").FigureCanvasSVG(figure)
    return figure


def _svg(figure: Any, name: str, alt: str) -> str:
    """The figure as an <svg> element; ids get the plot's name in front, since a page holds several."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser has other fonts
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text).replace("url(#", f"url(#{name}-")
    text = text.replace(INK, "currentColor")
    safe = alt.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{safe}" class="plot" ', 1)


def plain(text: str) -> str:
    """A name without the control characters that XML forbids."""
    return "".join(c if c.isprintable() else "?" for c in text)


def accuracy_plot(board: Leaderboard) -> str:
    """Accuracy of every arm by level with Wilson intervals; a dashed stroke at the best trivial player's of each."""
    groups: list[tuple[str, int]] = [("all", board.n)]
    groups += [(level, board.levels[level]) for level in LEVELS if board.levels.get(level)]
    groups += [("unseen modules", board.unseen)] if board.unseen else []
    tint = colours([row.arm for row in board.rows])
    with need("matplotlib", "report").rc_context(_RC):
        figure = _figure(9.4, 4.2)
        axes = figure.add_subplot()
        step = 0.8 / max(1, len(board.rows))
        for i, row in enumerate(board.rows):
            rates: list[Rate | None] = [
                row.accuracy,
                *(row.levels.get(level) for level in LEVELS if board.levels.get(level)),
            ]
            rates += [row.unseen] if board.unseen else []
            at = [(x + (i - (len(board.rows) - 1) / 2) * step, rate) for x, rate in enumerate(rates) if rate]
            values = [100 * rate.value for _, rate in at]
            below = [100 * max(0.0, rate.value - rate.low) for _, rate in at]
            above = [100 * max(0.0, rate.high - rate.value) for _, rate in at]
            look = {"color": tint[row.arm], "marker": MARKERS[i % len(MARKERS)], "label": plain(row.arm)}
            axes.errorbar([x for x, _ in at], values, [below, above], linestyle="none", capsize=3, markersize=7, **look)
        best = [board.best, *(board.best_by_level.get(level) for level in LEVELS if board.levels.get(level))]
        for x, each in enumerate(best):
            if each is not None:
                name = plain(f"best trivial: {each.name}") if x == 0 else None
                stroke: dict[str, Any] = {"colors": INK, "linestyles": "dashed", "linewidth": 1.2, "label": name}
                axes.hlines(100 * each.accuracy, x - 0.45, x + 0.45, **stroke)
        axes.set_xticks(range(len(groups)), [f"{name}\n{n} task{'s' * (n != 1)}" for name, n in groups])
        axes.set_xlim(-0.55, len(groups) - 0.45)
        axes.set_ylim(-3, 103)
        axes.set_ylabel("right, %")
        axes.grid(axis="y", color=INK, alpha=0.15)
        axes.tick_params(axis="x", length=0)
        figure.legend(loc="outside upper left", ncols=4, frameon=False)
        alt = "Accuracy by level: " + "; ".join(f"{r.arm} {100 * r.accuracy.value:.1f} % overall" for r in board.rows)
        return _svg(figure, "accuracy", alt)


def loss_plot(found: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Loss by step of every student, one panel each; points, and their running mean over a twentieth of the run."""
    with need("matplotlib", "report").rc_context(_RC):
        figure = _figure(9.4, 3.0)
        panels = figure.subplots(1, max(1, len(found)), squeeze=False)[0]
        for axes, (name, points), colour in zip(panels, found.items(), COLOURS[2:] * 9, strict=False):
            steps, losses = [step for step, _ in points], [loss for _, loss in points]
            axes.plot(steps, losses, color=colour, alpha=0.35, linewidth=1)
            axes.plot(steps, smooth(losses), color=colour, linewidth=2)
            axes.set_title(plain(f"{name}: {losses[0]:.3g} to {losses[-1]:.3g}"), fontsize=11, loc="left")
            axes.set_xlabel("step")
            axes.set_ylim(bottom=0)
            axes.grid(axis="y", color=INK, alpha=0.15)
        panels[0].set_ylabel("loss")
        ends = "; ".join(f"{name} from {points[0][1]:.3g} to {points[-1][1]:.3g}" for name, points in found.items())
        return _svg(figure, "loss", f"Training loss by step: {ends}")


def smooth(values: Sequence[float]) -> list[float]:
    """Mean of each value with those before it, over a twentieth of the run."""
    width = max(1, len(values) // 20)
    return [sum(part) / len(part) for part in (values[max(0, i - width + 1) : i + 1] for i in range(len(values)))]
