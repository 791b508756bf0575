"""Scoring: which scores are worked out, what asks a seat and is paid for once, and what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import synthetic_run as synthetic
from structured_server import answering

from agents.context import Seat
from agents.errors import BudgetError, ConfigError, StageError
from agents.files import read_jsonl, read_model, read_models, write_json, write_jsonl
from agents.models.meter import Budget
from agents.task import Task
from evals.asking import scoring_with
from evals.journal import Journal
from evals.leaderboard import Leaderboard, build_leaderboard
from evals.scores import Asker, Column, Score, Values, scorer
from evals.scoring import Scoring, score_arm, score_episodes
from graphs.runner.ledger import Ledger
from graphs.trajectory import Trajectory

QUOTED = synthetic.uses([{"query": "kettle", "extract": "The kettle says Default: 41"}])
JUDGED = '{"reason": "It says so.", "supported": true, "answers": true}'
DOUBTED = '{"reason": "It does not.", "supported": false, "answers": true}'


def judge(folder: Path, *rows: dict[str, Any]) -> Seat:
    """A scripted judge."""
    write_jsonl(folder / "judge.jsonl", rows)
    return Seat(model=f"scripted:lines@{folder / 'judge.jsonl'}")


def judging(folder: Path, *rows: dict[str, Any], **more: Any) -> Scoring:
    """Scores with a judge that replies with these rows."""
    return scoring_with({"": judge(folder, *rows)}, ("judged_support",), folder=folder / "scores", **more)


def played(count: int, team: str = "student") -> tuple[list[Task], list[Trajectory]]:
    tasks = [synthetic.make_task(i) for i in range(count)]
    return tasks, synthetic.play(tasks, team, lambda i: True)


async def test_a_judge_is_asked_whether_the_quotes_support_the_answer(tmp_path: Path) -> None:
    tasks, episodes = played(4)
    episodes[2] = synthetic.episode(tasks[2], "student", None)
    episodes[3] = synthetic.episode(tasks[3], "student", tasks[3].gold, quotes=())
    doubt = {"when": tasks[1].question, "reply": DOUBTED}
    rows = await score_arm(tasks, episodes, "student", scoring=judging(tmp_path, doubt, {"reply": JUDGED}))
    assert [row.values["judged_support"] for row in rows] == [1.0, 0.0, None, 0.0]
    assert [row.right for row in rows] == [True, True, False, True]
    with Ledger(tmp_path / "scores" / "ledger.sqlite") as ledger:
        account = ledger.accounts()["score:judged_support"]
    assert account.calls == 2 and account.prompt > 0, "no answer and no quote: nobody was asked"


async def test_a_judge_behind_an_endpoint_is_sent_the_schema_and_never_the_gold(tmp_path: Path) -> None:
    task = synthetic.make_task(0, gold="the secret gold", options=())
    t = synthetic.episode(task, "student", "41", quotes=("Default: 41",), tool_uses=QUOTED)
    with answering(JUDGED) as endpoint:
        seats = {"judged_support": endpoint.seat(price={"prompt": 10, "completion": 50})}
        scoring = scoring_with(seats, ("judged_support",), folder=tmp_path / "scores")
        (row,) = await score_arm([task], [t], "student", scoring=scoring)
        (sent,) = endpoint.seen
    assert (row.values["judged_support"], row.right) == (1.0, False)
    assert sent["response_format"]["json_schema"]["name"] == "Judgement"
    assert "secret gold" not in endpoint.sent and "The kettle says Default: 41" in endpoint.sent
    with Ledger(tmp_path / "scores" / "ledger.sqlite") as ledger:
        account = ledger.accounts()["score:judged_support"]
    assert (account.calls, account.prompt, account.completion, account.cached) == (1, 100, 20, 40)
    assert account.usd == pytest.approx((100 * 10 + 20 * 50) / 1e6)


async def test_what_was_asked_is_not_paid_for_again(tmp_path: Path) -> None:
    tasks, episodes = played(6)
    scoring = judging(tmp_path, {"reply": JUDGED})
    await score_arm(tasks[:3], episodes[:3], "student", scoring=scoring)
    first = (tmp_path / "scores" / "asked" / "judged_support.jsonl").read_bytes()
    rows = await score_arm(tasks, episodes, "student", scoring=scoring)
    again = await score_arm(tasks, episodes, "another name", scoring=scoring)
    assert [row.values for row in again] == [row.values for row in rows]
    with Ledger(tmp_path / "scores" / "ledger.sqlite") as ledger:
        assert ledger.accounts()["score:judged_support"].calls == 6
    assert len(first.splitlines()) == 3 and len(read_jsonl(tmp_path / "scores" / "asked" / "judged_support.jsonl")) == 6
    changed = episodes[0].model_copy(update={"quotes": ("another",)})
    await score_episodes([(tasks[0], changed)], "student", scoring)
    with Ledger(tmp_path / "scores" / "ledger.sqlite") as ledger:
        assert ledger.accounts()["score:judged_support"].calls == 7, "another episode is another question"


async def test_a_line_that_was_cut_off_is_asked_again_and_no_other(tmp_path: Path) -> None:
    tasks, episodes = played(3)
    scoring = judging(tmp_path, {"reply": JUDGED})
    await score_arm(tasks, episodes, "student", scoring=scoring)
    path = tmp_path / "scores" / "asked" / "judged_support.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert len(Journal(path).results) == 2
    await score_arm(tasks, episodes, "student", scoring=scoring)
    assert len(read_jsonl(path)) == 3
    with Ledger(tmp_path / "scores" / "ledger.sqlite") as ledger:
        assert ledger.accounts()["score:judged_support"].calls == 4


async def test_a_reply_that_cannot_be_read_is_no_value(tmp_path: Path) -> None:
    tasks, episodes = played(1)
    (row,) = await score_arm(tasks, episodes, "x", scoring=judging(tmp_path, {"reply": "I like it."}))
    assert row.values["judged_support"] is None
    with Ledger(tmp_path / "scores" / "ledger.sqlite") as ledger:
        assert ledger.accounts()["score:judged_support"].calls == 2 and ledger.faults() == {
            "score:judged_support:unread": 1
        }


async def test_the_budget_ends_the_asking_and_what_was_answered_is_kept(tmp_path: Path) -> None:
    tasks, episodes = played(8)
    scoring = judging(tmp_path, {"reply": JUDGED}, budget=Budget(tokens=1), concurrency=1)
    with pytest.raises(BudgetError, match=r"score student: judged_support paused: the budget is used up \(tokens"):
        await score_arm(tasks, episodes, "student", scoring=scoring)
    assert len(read_jsonl(tmp_path / "scores" / "asked" / "judged_support.jsonl")) == 1


async def test_a_leaderboard_asks_nobody_also_in_a_running_loop(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "run", 12)
    arms = [arm.model_copy(update={"choice": "none"}) for arm in synthetic.ARMS if arm.name == "student"]
    scoring = scoring_with({"": judge(tmp_path, {"reply": JUDGED})}, ("judged_support",), folder=run / "scores")
    with pytest.raises(
        StageError, match=r"'judged_support' was not asked of 12 episodes of arm 'student': run the stage"
    ):
        build_leaderboard(run, arms, forms=("free",), scoring=scoring)
    tasks = [task for task in read_models(run / "exam.jsonl", Task, "exam") if task.split == "test"]
    episodes = read_models(run / "scores" / "student.trajectories.jsonl", Trajectory, "evaluate")
    await score_arm(tasks, episodes, "student", scoring=scoring)
    (tmp_path / "judge.jsonl").write_text(json.dumps({"reply": JUDGED}) + "\n", encoding="utf-8")
    board = build_leaderboard(run, arms, forms=("free",), scoring=scoring)
    assert board.row("student").means["judged_support"] == 1.0


def test_rows_of_an_older_version_are_refused(tmp_path: Path) -> None:
    older = {"task_id": "t", "arm": "a", "level": "engineer", "kind": "lookup", "group": "g", "unseen_module": False}
    write_jsonl(tmp_path / "a.jsonl", [{**older, "correct": 1.0, "answered": 1.0, "searches": 2.0, "gold": "1"}])
    with pytest.raises(StageError, match=r"a.jsonl, row 1 is no Score .*run the stage 'evaluate' again"):
        read_models(tmp_path / "a.jsonl", Score, "evaluate")


def test_a_leaderboard_of_an_older_version_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    run = synthetic.write_run(tmp_path / "run", 6)
    (run / "run.toml").write_text('name = "run"\n', encoding="utf-8")
    board = build_leaderboard(run, [arm for arm in synthetic.ARMS if arm.name == "student"], forms=("free",))
    older = {**board.model_dump(mode="json", exclude={"columns"}), "version": 2, "legend": {"searches": "Searches."}}
    write_json(run / "leaderboard.json", older)
    with pytest.raises(StageError, match=r"leaderboard.json is no Leaderboard .*`retort leaderboard .*` makes it anew"):
        read_model(run / "leaderboard.json", Leaderboard, "leaderboard")


@scorer(half=Column(title="half", legend="Half."))
async def half(task: Task, trajectory: Trajectory, asker: Asker) -> Values:
    return {"half": 0.5}


@scorer(half=Column(title="half", legend="Half."))
async def other(task: Task, trajectory: Trajectory, asker: Asker) -> Values:
    return {"whole": 1.0}


@scorer(broken=Column(title="broken", legend="Broken."))
async def broken(task: Task, trajectory: Trajectory, asker: Asker) -> Values:
    raise KeyError("gone")


@scorer(quiet=Column(title="quiet", legend="Quiet."))
async def quiet(task: Task, trajectory: Trajectory, asker: Asker) -> Values:
    await asker.ask([], Score)
    return {"quiet": 0.0}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["searhc"], "no score is named 'searhc'.*did you mean 'search'"),
        (["test_scoring:played"], "score 'test_scoring:played' has no columns"),
        (["test_scoring:half", "test_scoring:other"], "has the column 'half' of another score"),
        (["judged_support"], r"score 'judged_support' asks a seat: give \[evaluate.seats\] judged_support = "),
    ],
)
def test_a_score_that_cannot_be_used_is_named(names: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Scoring.of(names)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("other", "score 'other' returned whole for the columns half"),
        ("broken", r"score 'broken' failed on the episode 'x-test000' \(KeyError: 'gone'\): mend it, or leave it out"),
        ("quiet", r"score 'quiet' failed .*asks a seat and does not say so: declare it with @scorer\(asks=True"),
    ],
)
async def test_a_score_that_fails_is_named(name: str, said: str) -> None:
    tasks, episodes = played(1, "x")
    with pytest.raises(StageError, match=said):
        await score_arm(tasks, episodes, "x", scoring=Scoring.of([f"test_scoring:{name}"]))
