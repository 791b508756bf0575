"""The records of a leaderboard: arms, shares with their intervals, comparisons, rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.context import Mode
from agents.providers import known_of, split_spec
from agents.providers.scripted import DEMONSTRATOR_KIND, demonstrates
from agents.task import Form, Level

from .baselines import Baseline
from .places import How, Split
from .scores import Column
from .stats import Interval, wilson

Role = Literal["base", "teacher", "baseline", "trivial"]


class Record(BaseModel):
    """A frozen record that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ArmSpec(Record):
    """Who sits in one row of the leaderboard."""

    name: str
    player: str
    """teacher, base, base+cpt, student or team."""
    mode: Mode = "react"
    """cot, answer: closed book, the same board with search taken away."""
    seat: str = ""
    """Spec of the reasoning agent's seat; the demonstrator is called what it is."""
    choice: How = "graph"
    """How it sits the choice form where that is not the primary one."""

    @property
    def demonstrator(self) -> bool:
        """Whether the player is the script that holds the answer key."""
        return demonstrates(self.seat)

    @property
    def kind(self) -> str:
        """The player in plain words."""
        if self.demonstrator:
            return DEMONSTRATOR_KIND
        known = known_of(self.seat)
        note = known.note(split_spec(self.seat)) if known is not None else ""
        return self.player + (f" ({note})" if note else "") + (", closed book" if self.mode != "react" else "")


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

    role: Role
    """baseline: a trivial one; trivial: the best of all trivial ones, which may be the base arm."""
    other: str
    """The other arm's or baseline's name."""
    level: Level | None = None
    """On the tasks of this level; None = on all."""
    difference: float
    """Accuracy of this arm minus the other's, -1 to 1."""
    interval: Interval
    """95 %, Newcombe's for paired shares."""
    clustered: Interval
    """95 %, tasks that share a group taken as related."""
    better: float
    """Tasks that only this arm got right; against a baseline whose guesses tie, the expected number."""
    worse: float
    """Tasks that only the other got right."""
    p: float
    """Exact McNemar, two-sided; against a baseline whose guesses tie, stats.against_chances."""
    p_holm: float
    """`p` after Holm's correction: over all comparisons of this arm in this form, or over the levels."""


class Best(Record):
    """The best of the trivial players."""

    name: str
    accuracy: float


class Standing(Record):
    """What an arm got in one form."""

    form: Form = "free"
    how: How = "graph"
    n: int
    missing: int
    """Tasks without an episode; they count as wrong."""
    accuracy: Rate
    levels: dict[Level, Rate]
    unseen: Rate | None
    """On tasks whose whole module was held out; None where the exam has none."""
    means: dict[str, float | None]
    """Column of a score -> mean over the episodes to which it applies, and the tasks that count without one."""
    stops: dict[str, int]
    """How episodes ended; `no_option` is an answer that names none of the options."""
    reasons: dict[str, int]
    """Failed check of the verdict -> episodes."""
    against: tuple[Comparison, ...] = ()
    by_level: tuple[Comparison, ...] = ()
    """Against the best trivial player of each level."""

    @property
    def by_the_clock(self) -> int:
        """Episodes that ended at the limit of seconds."""
        return self.stops.get("limit:seconds", 0)

    @property
    def unread(self) -> float:
        """Share of the episodes that ended without an answer that could be read; giving up in words is one."""
        read = self.stops.get("answered", 0) + self.stops.get("gave_up", 0)
        played = self.n - self.missing
        return 1 - read / played if played else 0.0


class Row(Standing):
    """One arm: what it got in the primary form, and in the others."""

    arm: str
    player: str
    kind: str
    """The player in plain words."""
    seat: str
    demonstrator: bool
    mode: Mode
    board: str | None
    """Hash of the board; None where nothing was played."""
    also: dict[Form, Standing] = Field(default_factory=dict)
    """Form beside the primary one -> what the arm got in it; absent where it cannot sit it."""


class Sheet(Record):
    """The tasks of one form, and what the trivial players get on them."""

    form: Form = "free"
    n: int
    """Tasks."""
    groups: int
    """Groups that they fall in."""
    levels: dict[Level, int]
    unseen: int
    baselines: tuple[Baseline, ...]
    best: Best | None
    """The best of the baselines and the base arm."""
    best_by_level: dict[Level, Best] = Field(default_factory=dict)


class Leaderboard(Sheet):
    """All arms of a run on one board; the fields of `Sheet` are those of the primary form."""

    version: Literal[3] = 3
    run: str
    """Name of the run folder."""
    split: Split = "test"
    limit: int | None = None
    """Only so many tasks of the split were asked; None = all."""
    board: str | None
    rows: tuple[Row, ...]
    also: dict[Form, Sheet] = Field(default_factory=dict)
    """The forms beside the primary one."""
    looks: int = 1
    """How many different students the test was evaluated with in this run folder."""
    columns: dict[str, Column] = Field(default_factory=dict)
    """Columns of the scores, in their order."""

    def conduct(self) -> dict[str, Column]:
        """The columns that tables of how the arms play show, those of one group side by side."""
        shown = {name: column for name, column in self.columns.items() if column.shown}
        groups = list(dict.fromkeys(column.group for column in shown.values()))
        return dict(sorted(shown.items(), key=lambda each: groups.index(each[1].group)))

    def row(self, arm: str) -> Row:
        """The row of an arm; KeyError where there is none."""
        for row in self.rows:
            if row.arm == arm:
                return row
        raise KeyError(arm)

    def first(self, player: str, mode: Mode | None = "react") -> Row | None:
        """The first row of a kind of player."""
        return next((r for r in self.rows if r.player == player and mode in (None, r.mode)), None)

    def primary_row(self) -> Row:
        """The row that the headline is about: the student, else the last that is neither teacher nor base."""
        others = [row for row in self.rows if row.player not in ("teacher", "base")]
        return self.first("student") or (others or list(self.rows))[-1]
