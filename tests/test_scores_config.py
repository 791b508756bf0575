"""Scores in a config: own ones are asked about, and make the evaluation stale when they change."""

from __future__ import annotations

import json
from pathlib import Path

import kettle_run
import pytest

from agents.errors import ConfigError
from agents.files import read_json, write_jsonl
from graphs.runner.ledger import Ledger
from retort.cli import main
from retort.config import load_config
from retort.evaluation import check_scores
from retort.pipeline import Run
from retort.stages import looked_at
from retort.trust import named

CONFIG = """
name = "kettle"
[corpus]
manuals = "manual"
facts = "facts.jsonl"
[exam]
train = 40
test = 20
dev = 8
[teams.teacher]
reason = "scripted:answer-key"
[teams.student]
reason = "scripted:answer-key"
[student]
stages = []
[collect]
tasks = 6
[evaluate]
tasks = 4
forms = ["free"]
scores = ["search", "mine.py:brevity", "judged_support"]
[evaluate.seats]
judged_support = "scripted:lines@judge.jsonl"
"""
OWN = """
from evals.scores import Column, scorer


@scorer(words=Column(title="words", unit="words", better="lower", legend="Words of the answer."))
async def brevity(task, trajectory, asker):
    return {"words": float(len((trajectory.answer or "").split()))}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose run trains nothing, with an own score and a judge."""
    root = kettle_run.folder_of(tmp_path_factory.mktemp("scores"), CONFIG)
    (root / "mine.py").write_text(OWN, encoding="utf-8")
    write_jsonl(root / "judge.jsonl", [{"reply": '{"reason": "So.", "supported": true, "answers": true}'}])
    return root


def test_own_scores_and_seats_of_scores_are_resolved_and_asked_about(root: Path) -> None:
    config = load_config(root / "run.toml")
    assert config.evaluate.scores == ("search", f"{root / 'mine.py'}:brevity", "judged_support")
    assert config.evaluate.seats["judged_support"].model == f"scripted:lines@{root / 'judge.jsonl'}"
    assert [each.description for each in named(config)] == [
        f"the score {root / 'mine.py'}:brevity: the code of its file runs here"
    ]
    wrong = (
        (root / "run.toml").read_text(encoding="utf-8").replace('judged_support = "scr', 'judged_support.modle = "scr')
    )
    (root / "wrong.toml").write_text(wrong, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"'evaluate.seats.judged_support.modle'; did you mean 'model'"):
        load_config(root / "wrong.toml")


def test_a_run_is_scored_and_a_changed_score_makes_it_stale(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = root / "run"
    command = ["run", str(root / "run.toml"), "--run", str(run)]
    assert main(command) == 2 and "--trust" in capsys.readouterr().err
    assert main([*command, "--trust"]) == 0
    table = capsys.readouterr().out
    assert "words" in table and "support" in table and "queries" in table and " sec" not in table
    board = read_json(run / "leaderboard.json", "leaderboard")
    assert board["rows"][0]["means"]["judged_support"] == 1.0
    with Ledger(run / "scores" / "ledger.sqlite") as ledger:
        assert ledger.accounts()["score:judged_support"].calls == 4, (
            "two arms have the same player, and a closed book does not search"
        )
    work = Run(load_config(root / "run.toml"), run)
    assert {name: found.state for name, found in looked_at(work).items() if name in ("evaluate", "leaderboard")} == {
        "evaluate": "fresh",
        "leaderboard": "fresh",
    }
    (root / "mine.py").write_text(OWN.replace(".split()", ""), encoding="utf-8")
    assert looked_at(work)["evaluate"].summary() == "stale (the score brevity changed)"
    capsys.readouterr()
    assert main(["plan", str(root / "run.toml"), "--run", str(run), "--trust", "--json"]) == 0
    rows = {each["name"]: each["calls"] for each in json.loads(capsys.readouterr().out)["played"]}
    assert rows["score judged_support"] == 12, "at the most one call an episode of each arm"
    (root / "mine.py").write_text(OWN, encoding="utf-8")
    episodes = json.loads((run / "stages.json").read_text())["evaluate"]["made"]
    assert "scores/asked/judged_support.jsonl" in episodes


def test_the_calls_of_a_score_must_have_a_price_where_the_budget_counts_usd(root: Path) -> None:
    priced = CONFIG.replace("[evaluate.seats]", "[budget]\nusd = 1\n[evaluate.seats]")
    priced = priced.replace("scripted:lines@judge.jsonl", "openai:m@http://127.0.0.1:9/v1")
    (root / "priced.toml").write_text(priced, encoding="utf-8")
    work = Run(load_config(root / "priced.toml"), root / "other")
    with pytest.raises(ConfigError, match=r"the seat of the score judged_support .* has no price"):
        check_scores(work)
