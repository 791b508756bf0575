"""The ledger: every episode once, in SQLite with a write-ahead log.

An episode is committed when it ends, so killing the process at any point costs at most the episodes in flight. Provider
failures are no attempts: they stand in a table of their own until the episode is played. Beside the episodes the ledger
keeps what pauses left unfinished, and the accounts: what calls cost by role, endpoint faults by class, and wall time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from agents.errors import LedgerError, ProviderError
from agents.seats.meter import Account, Meter
from agents.task import Task
from graphs.trajectory import VERSION, Trajectory

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trajectories (
    key TEXT PRIMARY KEY, task_id TEXT NOT NULL, team TEXT NOT NULL, mode TEXT NOT NULL, sample INTEGER NOT NULL,
    stop TEXT NOT NULL, accepted INTEGER NOT NULL, json TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_task ON trajectories (task_id);
CREATE TABLE IF NOT EXISTS failures (
    key TEXT PRIMARY KEY, task_id TEXT NOT NULL, team TEXT NOT NULL, label TEXT NOT NULL, said TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS unfinished (key TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (
    role TEXT PRIMARY KEY, calls INTEGER NOT NULL, prompt INTEGER NOT NULL, completion INTEGER NOT NULL,
    cached INTEGER NOT NULL, usd REAL NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS faults (kind TEXT PRIMARY KEY, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS clock (one INTEGER PRIMARY KEY CHECK (one = 1), seconds REAL NOT NULL);
"""


class Ledger:
    """A ledger file, open. Use as a context manager; one thread at a time.

    Raises:
        LedgerError: the file is no ledger, or one of another version.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        try:
            self._db = sqlite3.connect(path, timeout=30.0)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (str(VERSION),))
            self._db.commit()
            (version,) = self._db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
        except sqlite3.DatabaseError as error:
            raise LedgerError(f"{path} cannot be read as a ledger ({error}): move it away and run again") from None
        if version != str(VERSION):
            self._db.close()
            raise LedgerError(f"{path} is of version {version!r}, this Retort writes {VERSION}: move it away")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def __len__(self) -> int:
        (count,) = self._db.execute("SELECT COUNT(*) FROM trajectories").fetchone()
        return int(count)

    def keys(self) -> set[str]:
        """Keys of all recorded episodes."""
        return {key for (key,) in self._db.execute("SELECT key FROM trajectories")}

    def accepted(self) -> dict[str, bool]:
        """Key of each recorded episode -> whether its verdict accepted it."""
        return {key: bool(yes) for key, yes in self._db.execute("SELECT key, accepted FROM trajectories")}

    def labels(self) -> dict[str, str]:
        """Key of each recorded episode -> its label."""
        return dict(self._db.execute("SELECT key, json_extract(json, '$.label') FROM trajectories"))

    def add(self, trajectory: Trajectory, meter: Meter | None = None) -> bool:
        """Record an episode; False where its key was there already (the first record stays).

        What `meter` has counted since it was last asked is written down with it.
        """
        t = trajectory
        row = (t.key, t.task_id, t.team, t.mode, t.sample, t.stop, int(t.verdict.accepted), t.to_json())
        done = self._db.execute("INSERT OR IGNORE INTO trajectories VALUES (?,?,?,?,?,?,?,?)", row)
        self._db.execute("DELETE FROM failures WHERE key = ?", (t.key,))
        self._db.execute("DELETE FROM unfinished WHERE key = ?", (t.key,))
        self._settle(meter)
        self._db.commit()
        return done.rowcount == 1

    def failed(self, key: str, task: Task, team: str, error: ProviderError) -> None:
        """Write down that the endpoint failed for good in an episode, which is still to be played."""
        row = (key, task.id, team, f"provider:{error.kind}", str(error))
        self._db.execute("INSERT OR REPLACE INTO failures VALUES (?,?,?,?,?)", row)
        self._db.commit()

    def failures(self) -> dict[str, str]:
        """Key of each episode that its endpoint did not let end -> its label, `provider:KIND`."""
        return dict(self._db.execute("SELECT key, label FROM failures"))

    def pause(self, key: str, state: str) -> None:
        """Keep an unfinished episode."""
        self._db.execute("INSERT OR REPLACE INTO unfinished VALUES (?,?)", (key, state))
        self._db.commit()

    def unfinished(self, key: str) -> str | None:
        """What a pause kept of an episode."""
        row = self._db.execute("SELECT state FROM unfinished WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def settle(self, meter: Meter, seconds: float = 0.0) -> None:
        """Write down what `meter` has counted since it was last asked, and wall time."""
        self._settle(meter)
        clock = "INSERT INTO clock VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET seconds = seconds + excluded.seconds"
        self._db.execute(clock, (seconds,))
        self._db.commit()

    def _settle(self, meter: Meter | None) -> None:
        accounts, faults = meter.unsettled() if meter is not None else ({}, {})
        for role, a in accounts.items():
            self._db.execute(
                "INSERT INTO accounts VALUES (?,?,?,?,?,?,?) ON CONFLICT (role) DO UPDATE SET calls = calls + "
                "excluded.calls, prompt = prompt + excluded.prompt, completion = completion + excluded.completion, "
                "cached = cached + excluded.cached, usd = usd + excluded.usd, seconds = seconds + excluded.seconds",
                (role, a.calls, a.prompt, a.completion, a.cached, a.usd, a.seconds),
            )
        for kind, times in faults.items():
            self._db.execute(
                "INSERT INTO faults VALUES (?,?) ON CONFLICT (kind) DO UPDATE SET times = times + excluded.times",
                (kind, times),
            )

    def accounts(self) -> dict[str, Account]:
        """Role -> what its calls have cost over all starts of the run."""
        rows = self._db.execute("SELECT * FROM accounts ORDER BY role")
        names = ("calls", "prompt", "completion", "cached", "usd", "seconds")
        return {role: Account.model_validate(dict(zip(names, rest, strict=True))) for role, *rest in rows}

    def faults(self) -> dict[str, int]:
        """Class of endpoint fault -> times, over all starts of the run."""
        return dict(self._db.execute("SELECT kind, times FROM faults ORDER BY times DESC, kind"))

    def seconds(self) -> float:
        """Wall time over all starts of the run."""
        row = self._db.execute("SELECT seconds FROM clock").fetchone()
        return float(row[0]) if row else 0.0

    def trajectories(self) -> Iterator[Trajectory]:
        """All episodes, by task, team, mode and sample, whatever the order in which they ended; read one at a time."""
        return (trajectory for _, trajectory in self.numbered())

    def numbered(self) -> Iterator[tuple[str, Trajectory]]:
        """`trajectories` with their keys."""
        # The keys alone are put in order: with the episodes beside them SQLite would sort their megabytes.
        query = "SELECT key FROM trajectories ORDER BY task_id, team, mode, sample, key"
        for (key,) in self._db.execute(query).fetchall():
            yield key, self.episode(key)

    def episode(self, key: str) -> Trajectory:
        """The episode of exactly that key; raises LedgerError where there is none."""
        row = self._db.execute("SELECT json FROM trajectories WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise LedgerError(f"{self.path} holds no episode {key!r} any more: run the same command again")
        return Trajectory.from_json(row[0])

    def get(self, key: str) -> Trajectory | None:
        """The episode recorded under `key`, or under the one key that starts with it; None where there is none."""
        rows = self._db.execute("SELECT json FROM trajectories WHERE substr(key, 1, ?) = ?", (len(key), key)).fetchall()
        return Trajectory.from_json(rows[0][0]) if len(rows) == 1 else None
