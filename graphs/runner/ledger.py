"""The ledger: every episode once, in SQLite with a write-ahead log.

An episode is committed when it ends, so killing the process at any point costs at most the episodes in flight, and a
power cut those of the last quarter of a second. Provider
failures are no attempts: they stand in a table of their own until the episode is played. Beside the episodes the ledger
keeps what pauses left unfinished, and the accounts: what calls cost by role, endpoint faults by class, and wall time.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError

from agents.errors import LedgerError, ProviderError
from agents.files import made_anew
from agents.models.meter import Meter, RunAccount
from agents.storage import storage_error
from agents.task import Task

from ..trajectory import READABLE, VERSION, Trajectory

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
CREATE TABLE IF NOT EXISTS failed_calls (
    role TEXT PRIMARY KEY, failed INTEGER NOT NULL, estimated INTEGER NOT NULL, estimated_prompt INTEGER NOT NULL,
    estimated_completion INTEGER NOT NULL, estimated_usd REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS faults (kind TEXT PRIMARY KEY, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS set_aside (key TEXT NOT NULL, json TEXT);
CREATE TABLE IF NOT EXISTS clock (one INTEGER PRIMARY KEY CHECK (one = 1), seconds REAL NOT NULL);
"""

SYNC_SECONDS = 0.25
"""A commit is made to outlive a power cut (`synchronous=FULL`) at most so often; others are synced with the next.

Measured on a virtual disk, records of 6 kB: 265 commits a second with FULL (3.9 ms each), 3,300 to 4,400 with NORMAL
(0.06 ms); an episode takes some 9 ms of CPU at a fast endpoint. FULL at every commit would take a third of a process
there; four a second take 1.6 % of it, and with a teacher of one episode a second each commit is one of these.
"""
ANSWERED = ("calls", "prompt", "completion", "cached", "usd", "seconds")
"""Columns of the table `accounts`."""
FAILED = ("failed", "estimated", "estimated_prompt", "estimated_completion", "estimated_usd")
"""Columns of the table `failed_calls`."""


class Ledger:
    """A ledger file, open. Use as a context manager; one thread at a time.

    A write that fails leaves the file as it was, and the ledger usable: what was to be written can be written later.

    Args:
        patience: seconds that another program's lock is waited for.

    Raises:
        LedgerError: the file is no ledger, or one of a version that is not read (`graphs.trajectory.READABLE`).
        StorageError: it cannot be written: disk full, read-only, locked. Every method that writes may raise it.
    """

    def __init__(self, path: Path, patience: float = 30.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._synced = float("-inf")
        self._db = self._connected(patience)

    def _connected(self, patience: float) -> sqlite3.Connection:
        """The database, with its tables."""
        path, db = self.path, None
        try:
            # One thread at a time, but not always the one that opened it: where that one runs an event loop, another
            # plays for it (loop.py).
            db = sqlite3.connect(path, timeout=patience, check_same_thread=False)
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(_SCHEMA)
            db.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (str(VERSION),))
            db.commit()
            (version,) = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
        except sqlite3.DatabaseError as error:
            if db is not None:
                db.close()
            unwritable = storage_error(error, path)
            if unwritable is not None:
                raise unwritable from error
            raise LedgerError(f"{path} cannot be read as a ledger ({error}): move it away and run again") from None
        if version not in map(str, READABLE):
            db.close()
            raise LedgerError(f"{path} is of version {version!r}, this Retort writes {VERSION}: move it away")
        self._older = version != str(VERSION)
        return db

    @contextmanager
    def _writing(self, meter: Meter | None = None) -> Iterator[None]:
        """One transaction, whole or not at all, with what `meter` has counted since it was last asked."""
        counted = meter.unsettled() if meter is not None else ({}, {})
        now = time.monotonic()
        lasting = now - self._synced >= SYNC_SECONDS
        try:
            self._db.execute(f"PRAGMA synchronous={'FULL' if lasting else 'NORMAL'}")
            yield
            self._settle(*counted)
            self._db.commit()
            if lasting:
                self._synced = now
        except BaseException as error:
            with suppress(sqlite3.Error):
                self._db.rollback()
            if meter is not None:
                meter.put_back(*counted)
            unwritable = storage_error(error, self.path)
            if unwritable is not None:
                raise unwritable from error
            raise

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

    def tasks(self) -> dict[str, str]:
        """Key of each recorded episode -> its task, by task, team, mode and sample."""
        query = "SELECT key, task_id FROM trajectories ORDER BY task_id, team, mode, sample, key"
        return dict(self._db.execute(query))

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
        with self._writing(meter):
            if self._older:  # rows of earlier versions stay as they are: each says which it is
                self._db.execute("UPDATE meta SET value = ? WHERE name = 'version'", (str(VERSION),))
            done = self._db.execute("INSERT OR IGNORE INTO trajectories VALUES (?,?,?,?,?,?,?,?)", row)
            self._db.execute("DELETE FROM failures WHERE key = ?", (t.key,))
            self._db.execute("DELETE FROM unfinished WHERE key = ?", (t.key,))
        self._older = False
        return done.rowcount == 1

    def failed(self, key: str, task: Task, team: str, error: ProviderError) -> None:
        """Write down that the endpoint failed for good in an episode, which is still to be played."""
        row = (key, task.id, team, f"provider:{error.kind}", str(error))
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO failures VALUES (?,?,?,?,?)", row)

    def failures(self) -> dict[str, str]:
        """Key of each episode that its endpoint did not let end -> its label, `provider:KIND`."""
        return dict(self._db.execute("SELECT key, label FROM failures"))

    def pause(self, key: str, state: str) -> None:
        """Keep an unfinished episode."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO unfinished VALUES (?,?)", (key, state))

    def unfinished(self, key: str) -> str | None:
        """What a pause kept of an episode."""
        row = self._db.execute("SELECT state FROM unfinished WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def settle(self, meter: Meter, seconds: float = 0.0) -> None:
        """Write down what `meter` has counted since it was last asked, and wall time."""
        clock = "INSERT INTO clock VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET seconds = seconds + excluded.seconds"
        with self._writing(meter):
            self._db.execute(clock, (seconds,))

    def _settle(self, accounts: Mapping[str, RunAccount], faults: Mapping[str, int]) -> None:
        for role, account in accounts.items():
            for table, names in (("accounts", ANSWERED), ("failed_calls", FAILED)):
                self._add_to(table, role, {name: getattr(account, name) for name in names})
        for kind, times in faults.items():
            self._db.execute(
                "INSERT INTO faults VALUES (?,?) ON CONFLICT (kind) DO UPDATE SET times = times + excluded.times",
                (kind, times),
            )

    def _add_to(self, table: str, role: str, values: Mapping[str, float]) -> None:
        """Add numbers to the row of a role."""
        if not any(values.values()):
            return
        grown = ", ".join(f"{name} = {name} + excluded.{name}" for name in values)
        marks = ", ".join("?" for _ in values)
        # Names of tables and columns are ours, never input.
        self._db.execute(
            f"INSERT INTO {table} (role, {', '.join(values)}) VALUES (?, {marks}) "  # noqa: S608
            f"ON CONFLICT (role) DO UPDATE SET {grown}",
            (role, *values.values()),
        )

    def accounts(self) -> dict[str, RunAccount]:
        """Role -> what its calls have cost over all starts of the run."""
        found: dict[str, dict[str, float]] = {}
        for table, names in (("accounts", ANSWERED), ("failed_calls", FAILED)):
            for role, *rest in self._db.execute(f"SELECT role, {', '.join(names)} FROM {table}"):  # noqa: S608
                found.setdefault(role, {}).update(zip(names, rest, strict=True))
        return {role: RunAccount.model_validate(found[role]) for role in sorted(found)}

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
        return self._read(key, row[0])

    def _read(self, key: str, text: Any) -> Trajectory:
        """A row as an episode; raises LedgerError where it is none."""
        try:
            return Trajectory.from_json(text)
        except ValidationError as error:
            stage = "collect" if self.path.parent.name not in ("scores", "dev") else "evaluate"
            step = made_anew(self.path, stage).replace(f"`retort {stage}", f"`retort {stage} --force", 1)
            raise LedgerError(
                f"{self.path}: the episode {key!r} cannot be read ({error.errors()[0]['msg']}): "
                f"{step.replace('makes it anew', 'sets it aside and plays it again')}"
            ) from None

    def set_aside_broken(self) -> int:
        """Move episodes that cannot be read into a table of their own, so that they are played again; returns how many.

        Raises:
            StorageError: the ledger cannot be written.
        """
        broken = []
        for key, text in self._db.execute("SELECT key, json FROM trajectories"):
            try:
                Trajectory.from_json(text)
            except ValidationError:
                broken.append((key, text))
        if broken:
            with self._writing():
                self._db.executemany("INSERT INTO set_aside VALUES (?,?)", broken)
                self._db.executemany("DELETE FROM trajectories WHERE key = ?", [(key,) for key, _ in broken])
        return len(broken)

    def get(self, key: str) -> Trajectory | None:
        """The episode recorded under `key`, or under the one key that starts with it; None where there is none."""
        query = "SELECT key, json FROM trajectories WHERE substr(key, 1, ?) = ?"
        rows = self._db.execute(query, (len(key), key)).fetchall()
        return self._read(*rows[0]) if len(rows) == 1 else None
