"""Every model call stands on the record by its role: request, reply, sampling and cost, and nothing twice."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import little
import pytest
import synthetic_run as synthetic
from langchain_core.messages import AIMessage, HumanMessage

from agents import redaction
from agents.context import Board, Seat, Team
from agents.models.record import call_record, model_name
from agents.prompts import prompt
from distill.keep import sort_ledger, write_sorted
from evals.report.episodes import Texts, beside
from graphs.checkpoints import supersteps
from graphs.episode import Table, play
from graphs.runner.ledger import Ledger
from graphs.trajectory import VERSION, Trajectory, account_of, calls_of
from retort.show import episode_text

PREFIX = "I must find the default of `heater_limit`."
YES = {"reason": "It stands there.", "supported": True, "answers": True}
TASK = little.tasks(little.library())[0]
ROLES = ["first_thought", "reason", "rewrite", "extract", "extract", "extract", "reason", "judge"]


@pytest.fixture
async def played(kettle: Path, tmp_path: Path) -> Trajectory:
    """An episode in which every role calls a model."""
    turns: list[dict[str, object]] = [
        {"turn": 0, "reply": PREFIX, "call": {"arguments": {"query": "heater_limit default"}}},
        {"turn": 1, "reply": "It says so.\nQuote: Default: 3\nAnswer: 3"},
    ]
    team = Team(
        name="teacher",
        reason=little.seat(tmp_path, turns),
        search=little.seat(tmp_path, [{"reply": "heater limit"}]),
        extract=little.seat(tmp_path, [{"reply": "Default: 3"}]),
        judge=little.seat(tmp_path, [{"reply": json.dumps(YES)}]),
        first_thought=True,
    )
    board = Board(extract="seat")
    return await play(TASK, Table.from_context(little.context(kettle, team=team, board=board, verify="revise")))


async def test_every_call_is_recorded_by_role(played: Trajectory) -> None:
    assert played.verdict.accepted
    assert [call.role for call in played.calls] == ROLES
    for role, account in played.usage.roles.items():
        mine = [call for call in played.calls if account_of(call.role) == role]
        assert (len(mine), sum(call.prompt for call in mine)) == (account.calls, account.prompt)
    thought, first, rewrite, extract, *_, last, judge = played.calls
    assert thought.messages[0] == {"role": "system", "content": prompt("first_thought")}
    assert thought.reply is not None and thought.reply["content"] == PREFIX
    assert [row["content"] for row in rewrite.messages] == [prompt("rewrite"), "heater_limit default"]
    assert rewrite.reply == {"role": "assistant", "content": "heater limit"}
    assert extract.messages[1]["content"].startswith("Query: heater_limit default\nPassage: ")
    assert judge.reply is not None and json.loads(judge.reply["content"]) == YES
    assert judge.sampling == {"temperature": 0.0, "max_tokens": 256} and judge.model == "scripted:lines"
    assert (first.turn, last.turn, first.reply, last.reply) == (2, 4, None, None)
    assert PREFIX in first.messages[0]["content"], "the first turn is not asked for with the recorded system message"
    assert last.messages == (), "the history is not written down twice"
    assert Trajectory.from_json(played.to_json()) == played


async def test_calls_of_a_role_come_with_their_whole_request(played: Trajectory) -> None:
    first, last = calls_of([played], "reason")
    assert last.messages == played.messages[:4] and last.reply == played.messages[4]
    assert last.tools == played.tools and (last.key, last.task_id, last.team) == (played.key, TASK.id, "teacher")
    assert first.reply == played.messages[2] and PREFIX in first.messages[0]["content"]
    (rewrite,) = calls_of([played], "rewrite")
    assert rewrite.reply["content"] == "heater limit" and rewrite.tools == ()
    assert len(list(calls_of([played, played], "extract"))) == 6


async def test_a_terse_team_writes_down_its_turns_by_number(kettle: Path) -> None:
    """A turn's own call takes less than 180 bytes of the ledger, its sampling included."""
    t = await play(TASK, Table.from_context(little.context(kettle)))
    assert [(call.role, call.turn, call.messages, call.reply) for call in t.calls] == [
        ("reason", 2, (), None),
        ("reason", 4, (), None),
    ]
    bare = t.model_copy(update={"calls": ()})
    assert len(t.to_json()) < len(bare.to_json()) + 2 * 180


async def test_kept_episodes_carry_their_calls_without_wall_times(played: Trajectory, tmp_path: Path) -> None:
    write_sorted(sort_ledger({TASK.id: TASK}, [played]), tmp_path)
    (row,) = map(json.loads, (tmp_path / "kept.jsonl").read_text(encoding="utf-8").splitlines())
    assert [call["role"] for call in row["calls"]] == ROLES
    assert not any("seconds" in call for call in row["calls"])
    assert next(calls_of([Trajectory.model_validate(row)], "judge")).reply["content"] == json.dumps(YES)


async def test_show_lists_the_calls_beside_the_turns(played: Trajectory) -> None:
    lines = episode_text(played).splitlines()
    assert "calls   first_thought 1, reason 2, rewrite 1, extract 3, judge 1" in lines
    (rewrite,) = (line for line in lines if line.startswith("  rewrite "))
    assert "'heater_limit default' -> 'heater limit'" in rewrite


async def test_the_report_folds_the_calls_away_below_the_turns(played: Trajectory) -> None:
    texts = Texts()
    rows = beside(played, texts)
    assert [row["role"] for row in rows] == [role for role in ROLES if role != "reason"]
    rewrite = next(row for row in rows if row["role"] == "rewrite")
    assert texts.rows[rewrite["came"]] == "heater limit"
    assert texts.rows[rewrite["asked"]].endswith("user: heater_limit default")
    assert beside(played.model_copy(update={"calls": ()}), texts) == []


async def test_a_replayed_thread_has_each_calls_own_cost(played: Trajectory) -> None:
    rows = [row for step in supersteps(played, TASK) for row in step["values"].get("spent", [])]
    assert sorted(row["call"]["role"] for row in rows) == sorted(ROLES)
    assert sum(row["prompt"] for row in rows) == played.usage.prompt
    assert {row["role"] for row in rows} == set(played.usage.roles)


def test_a_record_holds_no_key_no_url_and_no_folder() -> None:
    secret = "kx-0123456789abcdef0123"
    redaction.know(secret)
    asked = [HumanMessage(f"my key is {secret}")]
    row = call_record(Seat(model="openai:m@https://host/v1"), "judge", asked, AIMessage(f"so {secret}"))
    assert secret not in json.dumps(row) and "host" not in json.dumps(row)
    assert model_name(Seat(model="hf:/somewhere/students/sft")) == "hf:sft"
    assert model_name(Seat(model="hf:org/model")) == "hf:org/model"


def version_1() -> dict[str, Any]:
    """A record as version 1 wrote it: `searches`, no calls, and a critique after a turn that is marked as trained."""
    task = synthetic.make_task(0, "train")
    row = synthetic.episode(task, "teacher", task.gold).model_dump(mode="json")
    row |= {"version": 1, "searches": row.pop("tool_uses"), "revisions": 1}
    del row["calls"]
    final = row["messages"][-1]
    critique = {"role": "user", "content": "no", "node": "verify", "train": False}
    row["messages"] = [*row["messages"], critique, {**final}]
    return row


def test_a_record_of_version_1_is_read_with_no_calls() -> None:
    t = Trajectory.model_validate(version_1())
    assert (t.version, t.calls, len(t.tool_uses)) == (VERSION, (), 1)
    assert list(calls_of([t], "reason")) == []
    assert [row.get("train") for row in t.messages] == [False, True, None, False, False, True]
    with pytest.raises(ValueError, match="version"):
        Trajectory.model_validate({**version_1(), "version": 3})


def test_a_ledger_of_version_1_is_read_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path):
        pass
    row = version_1()
    db = sqlite3.connect(path)
    db.execute("UPDATE meta SET value = '1'")
    values = (row["key"], row["task_id"], row["team"], row["mode"], 0, row["stop"], 1, json.dumps(row))
    db.execute("INSERT INTO trajectories VALUES (?,?,?,?,?,?,?,?)", values)
    db.commit()
    task = synthetic.make_task(1, "train")
    with Ledger(path) as ledger:
        assert [t.calls for t in ledger.trajectories()] == [()]
        assert db.execute("SELECT value FROM meta").fetchone() == ("1",), "reading changes nothing"
        ledger.add(synthetic.episode(task, "teacher", task.gold))
        assert len(list(ledger.trajectories())) == 2 and ledger.set_aside_broken() == 0
    assert db.execute("SELECT value FROM meta").fetchone() == (str(VERSION),)
    db.close()
