"""Plays a benchmark for the arms of a run, and compares them item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from agents.errors import RetortError, StageError
from agents.files import write_json, write_text
from agents.models.meter import Budget, OutOfBudget
from agents.prompts import every_prompt
from graphs.board import code_digest, file_digest, team_identity, tool_files
from graphs.contents import folder_contents
from graphs.trajectory import digest

from ..compare import against
from ..export import markdown_table
from ..jobs import work_through
from ..journal import Journal
from ..notes import against as compared
from ..notes import cell
from ..rows import Comparison, Rate, Record
from ..scores import Column, Values, file_stem
from ..tables import grid, span
from . import Benchmark, Player, content_of

KEPT = "result.json"
"""File of a benchmark's folder with what came out."""


class ArmResult(Record):
    """What one arm got."""

    arm: str
    right: Rate
    """By the first column."""
    means: dict[str, float | None]
    """Column -> mean over the items to which it applies."""
    values: dict[str, dict[str, float | None]]
    """Item -> column -> value."""


class Result(Record):
    """What came out of a benchmark for the arms of a run."""

    version: Literal[1] = 1
    benchmark: str
    title: str
    n: int
    """Items."""
    columns: dict[str, Column]
    arms: tuple[ArmResult, ...]
    comparisons: dict[str, Comparison]
    """Arm -> how it compares with the first one, item by item."""

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and a row an arm: the share of right items with its interval, then the means of the other columns."""
        others = list(self.columns.items())[1:]
        header = [f"{self.benchmark}, %", "right", *(column.head for _, column in others)]
        rows = [
            [each.arm, span(each.right), *(cell(column, each.means.get(name)) for name, column in others)]
            for each in self.arms
        ]
        return header, rows

    def differences(self) -> list[str]:
        """The comparisons, a line each."""
        return [compared(arm, each) for arm, each in self.comparisons.items()]

    def text(self) -> str:
        """For the terminal."""
        head = f"{self.benchmark}: {self.title}; {self.n} items"
        return "\n".join([head, "", *grid(*self.table()), "", *self.differences()]).rstrip()

    def markdown(self) -> str:
        """result.md."""
        legend = [f"- `{column.head}`: {column.legend}" for column in self.columns.values()]
        lines = [f"# {self.benchmark}", "", f"{self.title}; {self.n} items.", "", *markdown_table(*self.table())]
        return "\n".join([*lines, "", *(f"- {line}" for line in self.differences()), "", *legend]) + "\n"


async def sit(
    benchmark: Benchmark,
    name: str,
    source: str,
    folder: Path,
    players: Sequence[Player],
    *,
    concurrency: int,
    budget: Budget | None = None,
) -> Result:
    """Play a benchmark for every player, but for what is in `folder` already, and score it.

    Args:
        name: of the benchmark.
        source: hash of its source file.
        folder: its own; results, the accounts of the calls, and what it prepares lie there.
        players: the first one is what others are compared with.

    Raises:
        StageError: the benchmark cannot be prepared, or its own code failed.
        ProviderError, BudgetError: what was played is kept.
    """
    items = list(benchmark.prepare(folder))
    ids = [item.id for item in items]
    if not items or len(set(ids)) < len(ids):
        raise StageError(f"benchmark {name!r} has {'no items' if not items else 'two items of one id'}: correct it")
    arms = []
    for player in players:
        seen = digest(name, source, played_by(player))
        keys = [digest(seen, content_of(item)) for item in items]
        jobs = {key: job(benchmark, name, item, player) for key, item in zip(keys, items, strict=True)}
        played = await work_through(
            jobs,
            Journal(folder / f"{file_stem(player.arm)}.jsonl"),
            folder / "ledger.sqlite",
            concurrency=concurrency,
            title=f"{name}: {player.arm}",
            budget=budget,
        )
        values = {item.id: scored(benchmark, name, item, played[key]) for key, item in zip(keys, items, strict=True)}
        arms.append(arm_result(player.arm, benchmark.columns, values))
    result = Result(
        benchmark=name,
        title=benchmark.title,
        n=len(items),
        columns=dict(benchmark.columns),
        arms=tuple(arms),
        comparisons=comparisons(arms, next(iter(benchmark.columns)), ids),
    )
    write_json(folder / KEPT, result.model_dump(mode="json"))
    write_text(folder / "result.md", result.markdown())
    return result


def played_by(player: Player) -> list[Any]:
    """Everything beside the item that what is played depends on: players, rules, code, tools and library."""
    context = player.context
    library = Path(context.library)
    return [
        team_identity(context.team),
        context.mode,
        context.board.model_dump(mode="json", exclude={"tools"}),
        {name: file_digest(path) for name, path in tool_files(context.board).items()},
        code_digest(),
        every_prompt(),
        folder_contents(library) if library.is_dir() else None,
    ]


def job(benchmark: Benchmark, name: str, item: Any, player: Player) -> Any:
    """The job that plays an item; errors of the benchmark's own code are told as such."""

    async def play() -> Any:
        try:
            return await benchmark.play(item, player)
        except (RetortError, OutOfBudget):
            raise
        except Exception as error:  # a benchmark may be anybody's code
            raise failed(name, item, error) from error

    return play


def scored(benchmark: Benchmark, name: str, item: Any, played: Mapping[str, Any]) -> dict[str, float | None]:
    """The values of an item, one for each column."""
    try:
        values: Values = benchmark.score(item, played)
        if set(values) != set(benchmark.columns):
            raise KeyError(f"score returned {sorted(values)} for the columns {sorted(benchmark.columns)}")
    except RetortError:
        raise
    except Exception as error:
        raise failed(name, item, error) from error
    return {column: None if value is None else float(value) for column, value in values.items()}


def failed(name: str, item: Any, error: Exception) -> StageError:
    """The error for a benchmark whose own code raised."""
    return StageError(f"benchmark {name!r} failed on its item {item.id!r} ({type(error).__name__}: {error}): mend it")


def arm_result(arm: str, columns: Mapping[str, Column], values: Mapping[str, Values]) -> ArmResult:
    """The rate and the means of an arm."""
    first = next(iter(columns))
    means = {}
    for column in columns:
        known = [value for row in values.values() if (value := row[column]) is not None]
        means[column] = sum(known) / len(known) if known else None
    right = Rate.of(row[first] == 1.0 for row in values.values())
    return ArmResult(arm=arm, right=right, means=means, values={item: dict(row) for item, row in values.items()})


def comparisons(arms: Sequence[ArmResult], column: str, ids: Sequence[str]) -> dict[str, Comparison]:
    """Every arm but the first against the first one, on the same items."""
    outcomes = [[float(arm.values[item][column] == 1.0) for item in ids] for arm in arms]
    groups = [frozenset({item}) for item in ids]
    return {
        arm.arm: against("base", arms[0].arm, mine, outcomes[0], groups)
        for arm, mine in zip(arms[1:], outcomes[1:], strict=True)
    }
