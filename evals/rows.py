"""The records of a leaderboard: arms, shares with their intervals, comparisons, rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.context import Mode
from agents.task import Level

from .baselines import Baseline
from .stats import Interval, wilson

DEMONSTRATOR = "scripted demonstrator, no LLM"


class Record(BaseModel):
    """A frozen record that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ArmSpec(Record):
    """Who sits in one row of the leaderboard."""

    name: str
    player: str
    """teacher, base, base+cpt, student or team."""
    mode: Mode = "react"
    """cot: closed book, the same board with search taken away."""
    seat: str = ""
    """Spec of the reasoning agent's seat; `scripted:answer-key...` is called what it is."""

    @property
    def demonstrator(self) -> bool:
        """Whether the player is the script that holds the answer key."""
        return self.seat.startswith("scripted:answer-key")

    @property
    def kind(self) -> str:
        """The player in plain words."""
        if self.demonstrator:
            return DEMONSTRATOR
        script = " (a script, no LLM)" if self.seat.startswith("scripted:") else ""
        return self.player + script + (", closed book" if self.mode == "cot" else "")


class Rate(Record):
    """A share of right answers with its 95 % Wilson interval."""

    right: int
    n: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, outcomes: Iterable[bool]) -> Rate:
        """Count outcomes."""
        rows = list(outcomes)
        right = sum(rows)
        interval = wilson(right, len(rows))
        value = right / len(rows) if rows else 0.0
        return cls(right=right, n=len(rows), value=value, low=interval.low, high=interval.high)


class Comparison(Record):
    """An arm against another player on the same tasks."""

    role: Literal["base", "teacher", "trivial"]
    other: str
    """The other arm's or baseline's name."""
    difference: float
    """Accuracy of this arm minus the other's, -1 to 1."""
    interval: Interval
    """95 %, Newcombe's for paired shares."""
    clustered: Interval
    """95 %, whole groups of tasks resampled."""
    better: int
    """Tasks that only this arm got right."""
    worse: int
    """Tasks that only the other got right."""
    p: float
    """Exact McNemar, two-sided."""
    p_holm: float
    """`p` after Holm's correction over this arm's comparisons."""
    p_binomial: float | None = None
    """Exact binomial against the baseline's expected accuracy, where its ties had to be drawn; None elsewhere."""


class Row(Record):
    """One arm."""

    arm: str
    player: str
    kind: str
    """The player in plain words."""
    seat: str
    demonstrator: bool
    mode: Mode
    board: str | None
    """Hash of the board; None where nothing was played."""
    n: int
    missing: int
    """Tasks without an episode; they count as wrong."""
    accuracy: Rate
    levels: dict[Level, Rate]
    unseen: Rate | None
    """On tasks whose whole module was held out; None where the exam has none."""
    answered: float
    searched: float
    parse_failures: float
    """1 - the mean of well_formed over played episodes."""
    means: dict[str, float | None]
    """Score -> mean over the episodes to which it applies."""
    stops: dict[str, int]
    reasons: dict[str, int]
    """Failed check of the verdict -> episodes."""
    against: tuple[Comparison, ...] = ()


class Leaderboard(Record):
    """All arms of a run on one board."""

    version: Literal[1] = 1
    run: str
    """Name of the run folder."""
    board: str | None
    n: int
    """Held-out tasks."""
    groups: int
    """Groups that they fall in."""
    levels: dict[Level, int]
    unseen: int
    rows: tuple[Row, ...]
    baselines: tuple[Baseline, ...]
    best_trivial: str
    """Name of the best of the baselines and the base arm."""
    best_trivial_accuracy: float
    legend: dict[str, str] = Field(default_factory=dict)

    def row(self, arm: str) -> Row:
        """The row of an arm; KeyError where there is none."""
        for row in self.rows:
            if row.arm == arm:
                return row
        raise KeyError(arm)

    def first(self, player: str, mode: Mode | None = "react") -> Row | None:
        """The first row of a kind of player."""
        return next((r for r in self.rows if r.player == player and mode in (None, r.mode)), None)

    def hero(self) -> Row:
        """The row that the headline is about: the student, else the last that is neither teacher nor base."""
        others = [row for row in self.rows if row.player not in ("teacher", "base")]
        return self.first("student") or (others or list(self.rows))[-1]
