"""A budget in USD needs prices: what cannot be counted is said before the first call, and before the first stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import little
import pytest
from openai_server import Server, serving

from agents.context import Board, Context, Price, Seat, Team
from agents.errors import ConfigError
from agents.models.meter import Budget
from agents.models.prices import called, check_prices
from agents.models.scripted import AnswerKey
from graphs.episode import Table
from graphs.runner.collect import collect, now
from graphs.runner.ledger import Ledger
from retort.cli import main

PAID = Seat(model="openai:m@https://host.invalid/v1", price=Price(prompt=1, completion=1))
BARE = Seat(model="openai:n@https://host.invalid/v1")
USD = Budget(usd=5)


def context(team: dict[str, Any], **changes: Any) -> Context:
    """A context with a team."""
    return Context.model_validate({"team": Team(name="t", **team), "library": "x", "verify": "revise", **changes})


@pytest.mark.parametrize(
    ("team", "changes", "role"),
    [
        ({"reason": BARE}, {}, "reason"),
        ({"reason": PAID, "search": BARE}, {}, "search"),
        ({"reason": PAID, "judge": BARE}, {}, "judge"),
        ({"reason": PAID, "extract": BARE}, {"board": Board(extract="seat")}, "extract"),
        ({"reason": Seat(model="vllm:m@http://127.0.0.1:1/v1")}, {}, "reason"),
        ({"reason": Seat(model="openai:m")}, {}, "reason"),
    ],
)
def test_the_seat_without_a_price_is_named_with_what_to_add(
    team: dict[str, Any], changes: dict[str, Any], role: str
) -> None:
    with pytest.raises(ConfigError, match=rf"teams\.t\.{role} \(.*\) has no price; add price = {{ prompt = USD"):
        check_prices(USD, context(team, **changes))


@pytest.mark.parametrize(
    ("team", "changes"),
    [
        ({"reason": PAID, "search": PAID}, {}),
        ({"reason": Seat(model="scripted:answer-key")}, {}),
        ({"reason": Seat(model="hf:tiny-base")}, {}),
        ({"reason": Seat(model="vllm:some-folder")}, {}),
        ({"reason": PAID, "extract": BARE}, {"board": Board(extract="lexical")}),
        ({"reason": PAID, "judge": BARE}, {"verify": "score"}),
        ({"reason": PAID, "search": BARE}, {"mode": "cot"}),
        ({"reason": PAID.model_copy(update={"price": Price()})}, {}),
    ],
)
def test_what_costs_nothing_or_is_not_called_needs_none(team: dict[str, Any], changes: dict[str, Any]) -> None:
    check_prices(USD, context(team, **changes))
    check_prices(Budget(tokens=1, hours=1), context({"reason": BARE}))


def test_the_reason_seat_reads_passages_where_no_extract_seat_is_seated() -> None:
    assert called(context({"reason": PAID}, board=Board(extract="seat")))["extract"] == PAID


def test_nothing_is_called(kettle: Path, tmp_path: Path) -> None:
    tasks = little.lookups(little.library(), 3)
    with serving(AnswerKey(tasks=tuple(tasks))) as server, Ledger(tmp_path / "l.sqlite") as ledger:
        table = Table.from_context(little.context(kettle, Seat(model=f"openai:m@{server.url}")))
        with pytest.raises(ConfigError, match="has no price"):
            now(collect(tasks, table, ledger, budget=USD))
        assert server.seen == []


def written(folder: Path, server: Server, teams: str) -> Path:
    """A run over the kettle with a budget in USD."""
    little.write_microdomain(folder)
    path = folder / "run.toml"
    head = 'name = "k"\n[corpus]\nmanuals = "manual"\nfacts = "facts.jsonl"\n[exam]\ntrain = 20\ntest = 20\n'
    path.write_text(f"{head}[budget]\nusd = 5\n{teams.format(url=server.url)}", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("teams", "named"),
    [
        ('[teams.teacher]\nreason = "openai:m@{url}"\n', "teams.teacher.reason"),
        (
            '[student]\nstages = []\n[teams.teacher]\nreason = "scripted:answer-key"\n[teams.student]\n'
            'reason = "openai:m@{url}"\n',
            "teams.student.reason",
        ),
    ],
)
def test_a_run_says_it_before_its_first_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], teams: str, named: str
) -> None:
    """An arm that cannot be paid for is not found out after a night of training."""
    with serving(AnswerKey(tasks=())) as server:
        path = written(tmp_path, server, teams)
        assert main(["run", str(path), "--run", str(tmp_path / "run")]) == 2
        assert server.seen == []
    assert named in capsys.readouterr().err
    assert not (tmp_path / "run" / "library").exists()
    assert main(["index", str(path), "--run", str(tmp_path / "run")]) == 0, "what spends nothing is not held up"
