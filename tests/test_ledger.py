"""The ledger's tables one by one: episodes, failures, pauses, accounts and wall time, over several openings."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import synthetic_run as synthetic

from agents.errors import LedgerError, ProviderError
from agents.models.meter import Meter
from agents.spent import Spent
from agents.task import Task
from graphs.runner.ledger import Ledger
from graphs.trajectory import Trajectory


def episode(number: int = 0, **changes: Any) -> Trajectory:
    """An accepted episode of task `number`."""
    task = synthetic.make_task(number, "train")
    return synthetic.episode(task, "teacher", task.gold).model_copy(update=changes)


def spent(role: str, prompt: int, completion: int, cached: int, usd: float, seconds: float) -> Spent:
    """What one call cost."""
    return {
        "role": role,
        "prompt": prompt,
        "completion": completion,
        "cached": cached,
        "usd": usd,
        "seconds": seconds,
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger may be: its folder is not there yet."""
    return tmp_path / "deep" / "er" / "ledger.sqlite"


def test_a_new_ledger_is_empty_and_its_folder_is_made(path: Path) -> None:
    with Ledger(path) as ledger:
        assert ledger.path == path and path.exists()
        assert (len(ledger), ledger.keys(), ledger.accepted(), ledger.labels(), ledger.failures()) == (
            0, set(), {}, {}, {},
        )  # fmt: skip
        assert (ledger.accounts(), ledger.faults(), ledger.seconds()) == ({}, {}, 0.0)
        assert list(ledger.trajectories()) == []
        assert (ledger.get(""), ledger.unfinished("k")) == (None, None)


def test_what_is_recorded_can_be_asked_for_in_parts(path: Path) -> None:
    good = episode(0, key="aa1", label="accepted")
    bad = synthetic.episode(synthetic.make_task(1, "train"), "teacher", None, key="bb1", label="limit:steps")
    with Ledger(path) as ledger:
        assert ledger.add(good) is True
        assert ledger.add(bad) is True
        assert len(ledger) == 2
    with Ledger(path) as ledger:
        assert ledger.keys() == {"aa1", "bb1"}
        assert ledger.accepted() == {"aa1": True, "bb1": False}
        assert ledger.labels() == {"aa1": "accepted", "bb1": "limit:steps"}


def test_the_first_record_of_a_key_stays(path: Path) -> None:
    with Ledger(path) as ledger:
        assert ledger.add(episode(0, key="k", stop="answered"))
        assert ledger.add(episode(0, key="k", stop="loop")) is False
        assert [t.stop for t in ledger.trajectories()] == ["answered"]


def test_an_episode_is_found_by_the_beginning_of_its_key_where_only_one_begins_so(path: Path) -> None:
    one, two = episode(0, key="abc1"), episode(1, key="abd2")
    with Ledger(path) as ledger:
        ledger.add(one)
        ledger.add(two)
        assert ledger.get("abc") == ledger.get("abc1") == one
        assert ledger.get("abd") == two
        assert ledger.get("ab") is None and ledger.get("abc12") is None and ledger.get("bc") is None


def test_episodes_come_by_task_team_mode_and_sample_not_as_they_ended(path: Path) -> None:
    wanted = [
        episode(0, key="9", team="a", mode="cot"),
        episode(0, key="8", team="a", mode="react", sample=0),
        episode(0, key="7", team="a", mode="react", sample=1),
        episode(0, key="6", team="b", mode="react"),
        episode(1, key="1", team="a"),
        episode(1, key="2", team="a"),
    ]
    with Ledger(path) as ledger:
        for each in reversed(wanted):
            ledger.add(each)
        assert list(ledger.trajectories()) == wanted


def test_a_failure_stands_until_the_episode_is_played_and_is_no_episode(path: Path) -> None:
    task = synthetic.make_task(0, "train")
    with Ledger(path) as ledger:
        ledger.failed("k", task, "teacher", ProviderError("rate", "too many"))
        ledger.failed("other", task, "teacher", ProviderError("auth", "no"))
        ledger.failed("k", task, "teacher", ProviderError("server", "it fell over"))
        assert ledger.failures() == {"k": "provider:server", "other": "provider:auth"}
        assert (len(ledger), ledger.keys(), ledger.accepted()) == (0, set(), {})
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT task_id, team, said FROM failures WHERE key = 'k'").fetchall()
    db.close()
    assert rows == [(task.id, "teacher", "it fell over")]
    with Ledger(path) as ledger:
        ledger.add(episode(0, key="k"))
        assert ledger.failures() == {"other": "provider:auth"}


def test_what_a_pause_left_is_kept_until_the_episode_ends(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.pause("k", '{"steps": 1}')
        ledger.pause("other", "{}")
        ledger.pause("k", '{"steps": 2}')
    with Ledger(path) as ledger:
        assert ledger.unfinished("k") == '{"steps": 2}'
        assert len(ledger) == 0
        ledger.add(episode(0, key="k"))
        assert (ledger.unfinished("k"), ledger.unfinished("other")) == (None, "{}")


def test_costs_faults_and_wall_time_add_up_over_roles_and_starts(path: Path) -> None:
    meter = Meter()
    meter.paid(spent("reason", 100, 10, 40, 0.5, 1.0))
    meter.paid(spent("judge", 7, 3, 1, 0.25, 0.5))
    meter.fault("rate")
    with Ledger(path) as ledger:
        ledger.add(episode(0), meter)
        assert ledger.accounts()["reason"].prompt == 100 and ledger.faults() == {"rate": 1}
        meter.paid(spent("reason", 200, 20, 60, 0.125, 2.0))
        for kind in ("server", "server", "rate", "cut"):
            meter.fault(kind)
        ledger.settle(meter, 4.0)
        ledger.settle(meter, 1.5)  # nothing new was counted
    with Ledger(path) as ledger:
        reason, judge = ledger.accounts()["reason"], ledger.accounts()["judge"]
        assert list(ledger.accounts()) == ["judge", "reason"]
        assert (reason.calls, reason.prompt, reason.completion, reason.cached, reason.usd, reason.seconds) == (
            2, 300, 30, 100, 0.625, 3.0,
        )  # fmt: skip
        assert (judge.calls, judge.prompt, judge.completion, judge.cached, judge.usd, judge.seconds) == (
            1, 7, 3, 1, 0.25, 0.5,
        )  # fmt: skip
        assert list(ledger.faults().items()) == [("rate", 2), ("server", 2), ("cut", 1)]
        assert ledger.seconds() == 5.5


def test_an_episode_recorded_without_a_meter_costs_nothing(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.add(episode(0))
        ledger.settle(Meter())
        assert (ledger.accounts(), ledger.faults(), ledger.seconds()) == ({}, {}, 0.0)


def test_two_openings_of_one_file_see_each_others_episodes(path: Path) -> None:
    with Ledger(path) as one, Ledger(path) as two:
        one.add(episode(0, key="a"))
        two.add(episode(1, key="b"))
        one.failed("c", synthetic.make_task(2), "teacher", ProviderError("cut", "x"))
        two.pause("d", "{}")
        assert one.keys() == two.keys() == {"a", "b"}
        assert two.failures() == {"c": "provider:cut"} and one.unfinished("d") == "{}"


def test_a_closed_ledger_cannot_be_used(path: Path) -> None:
    with Ledger(path) as ledger:
        pass
    with pytest.raises(sqlite3.ProgrammingError):
        len(ledger)


def test_a_file_that_is_no_ledger_and_one_of_another_version_say_what_to_do(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("not a database, but somebody's notes " * 50)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite cannot be read as a ledger \(.*\): move it away and run"):
        Ledger(path)
    path.unlink()
    Ledger(path).__exit__(None, None, None)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '99'")
    db.close()
    with pytest.raises(LedgerError, match=r"ledger\.sqlite is of version '99', this Retort writes \d+: move it away"):
        Ledger(path)


def test_a_ledger_keeps_its_version_when_it_is_opened_again(path: Path) -> None:
    for _ in range(2):
        with Ledger(path):
            pass
    with sqlite3.connect(path) as db:
        (mode,) = db.execute("PRAGMA journal_mode").fetchone()
        rows = db.execute("SELECT name FROM meta").fetchall()
    db.close()
    assert mode == "wal"  # a kill costs the episodes in flight, and readers do not wait
    assert rows == [("version",)]


def test_the_task_of_a_failure_may_be_any_task(path: Path) -> None:
    task: Task = synthetic.make_task(3)
    with Ledger(path) as ledger:
        ledger.failed("k", task, "x", ProviderError("refused", "'quoted' \"twice\""))
        assert ledger.failures() == {"k": "provider:refused"}
