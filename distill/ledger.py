"""The ledger: every episode once, in SQLite with a write-ahead log.

An episode is committed when it ends, so killing the process at any point costs at most the episodes in flight. Provider
failures are no attempts and stand in no row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from agents.errors import LedgerError
from graphs.trajectory import VERSION, Trajectory

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trajectories (
    key TEXT PRIMARY KEY, task_id TEXT NOT NULL, team TEXT NOT NULL, mode TEXT NOT NULL, sample INTEGER NOT NULL,
    stop TEXT NOT NULL, accepted INTEGER NOT NULL, json TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_task ON trajectories (task_id);
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

    def add(self, trajectory: Trajectory) -> bool:
        """Record an episode; False where its key was there already (the first record stays)."""
        t = trajectory
        row = (t.key, t.task_id, t.team, t.mode, t.sample, t.stop, int(t.verdict.accepted), t.to_json())
        done = self._db.execute("INSERT OR IGNORE INTO trajectories VALUES (?,?,?,?,?,?,?,?)", row)
        self._db.commit()
        return done.rowcount == 1

    def trajectories(self) -> Iterator[Trajectory]:
        """All episodes, by task, team, mode and sample, whatever the order in which they ended."""
        query = "SELECT json FROM trajectories ORDER BY task_id, team, mode, sample, key"
        for (text,) in self._db.execute(query):
            yield Trajectory.from_json(text)

    def get(self, key: str) -> Trajectory | None:
        """The episode recorded under `key`, or under the one key that starts with it; None where there is none."""
        rows = self._db.execute("SELECT json FROM trajectories WHERE substr(key, 1, ?) = ?", (len(key), key)).fetchall()
        return Trajectory.from_json(rows[0][0]) if len(rows) == 1 else None
