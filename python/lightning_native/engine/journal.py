"""What was intended and what happened: runs, their steps, and the leases on what costs money. SQLite, one file.

A lease is written before the thing it names is created, and closed after the thing is confirmed gone, so that a
crash at any point leaves a record to clean up by. No secret is ever written here.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning_native.home import home

RunState = Literal["running", "completed", "failed", "stopped"]
StepState = Literal["pending", "preparing", "running", "succeeded", "failed", "skipped", "stopped"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, name TEXT NOT NULL, cloud TEXT NOT NULL, state TEXT NOT NULL,
    started REAL NOT NULL, ended REAL, controller INTEGER, message TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started);
CREATE TABLE IF NOT EXISTS steps (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, position INTEGER NOT NULL, name TEXT NOT NULL,
    state TEXT NOT NULL, studio TEXT, machine TEXT, started REAL, ended REAL, exit_code INTEGER,
    message TEXT NOT NULL DEFAULT '', PRIMARY KEY (run_id, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, kind TEXT NOT NULL, name TEXT NOT NULL,
    on_release TEXT NOT NULL, created REAL NOT NULL, released REAL, PRIMARY KEY (run_id, kind, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_leases ON leases (run_id) WHERE released IS NULL;
"""


@dataclass(frozen=True)
class RunRecord:
    """A run. Times are seconds since the epoch; `controller` is the process that drives or drove it."""

    run_id: str
    name: str
    cloud: str
    state: RunState
    started: float
    ended: float | None
    controller: int | None
    message: str


@dataclass(frozen=True)
class StepRecord:
    """A step of a run: where it ran, from when to when (seconds since the epoch), and how it ended."""

    name: str
    state: StepState
    studio: str | None
    machine: str | None
    started: float | None
    ended: float | None
    exit_code: int | None
    message: str


@dataclass(frozen=True)
class Lease:
    """Something of ours at Lightning. `on_release` says what giving it up means."""

    run_id: str
    kind: Literal["studio"]
    name: str
    on_release: Literal["delete", "stop"]
    created: float
    released: float | None


class Journal:
    """The journal in `LIGHTNING_NATIVE_HOME`; safe to use from many threads and processes at once."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "journal.db"
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin_run(self, run_id: str, name: str, cloud: str, controller: int, steps: list[str]) -> None:
        """Record a run and its steps, all pending. A run that is recorded already is left as it is."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO runs (run_id, name, cloud, state, started, controller) "
                "VALUES (?, ?, ?, 'running', ?, ?)",
                (run_id, name, cloud, time.time(), controller),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO steps (run_id, position, name, state) VALUES (?, ?, ?, 'pending')",
                [(run_id, position, step) for position, step in enumerate(steps)],
            )

    def end_run(self, run_id: str, state: RunState, message: str = "") -> None:
        """Record how a run ended; the first end stays."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE runs SET state = ?, ended = ?, message = ? WHERE run_id = ? AND state = 'running'",
                (state, time.time(), message, run_id),
            )

    def step_preparing(self, run_id: str, step: str, studio: str, machine: str | None) -> None:
        """Record that a step waits for its studio."""
        self._execute(
            "UPDATE steps SET state = 'preparing', studio = ?, machine = ? WHERE run_id = ? AND name = ?",
            (studio, machine, run_id, step),
        )

    def step_running(self, run_id: str, step: str) -> None:
        """Record that a step's command was started."""
        self._execute(
            "UPDATE steps SET state = 'running', started = ? WHERE run_id = ? AND name = ? AND state = 'preparing'",
            (time.time(), run_id, step),
        )

    def step_ended(
        self, run_id: str, step: str, state: StepState, exit_code: int | None = None, message: str = ""
    ) -> None:
        """Record a step's terminal state; the first one stays."""
        self._execute(
            "UPDATE steps SET state = ?, ended = CASE WHEN started IS NULL THEN NULL ELSE ? END, exit_code = ?, "
            "message = ? WHERE run_id = ? AND name = ? AND state IN ('pending', 'preparing', 'running')",
            (state, time.time(), exit_code, message, run_id, step),
        )

    def lease(self, run_id: str, kind: str, name: str, on_release: str) -> None:
        """Record the intent to create or start something, before the call that does it."""
        self._execute(
            "INSERT OR IGNORE INTO leases (run_id, kind, name, on_release, created) VALUES (?, ?, ?, ?, ?)",
            (run_id, kind, name, on_release, time.time()),
        )

    def released(self, run_id: str, kind: str, name: str) -> None:
        """Record that a leased thing is confirmed gone."""
        self._execute(
            "UPDATE leases SET released = ? WHERE run_id = ? AND kind = ? AND name = ? AND released IS NULL",
            (time.time(), run_id, kind, name),
        )

    def run(self, run_id: str) -> RunRecord | None:
        """Return one run."""
        rows = self._query("SELECT * FROM runs WHERE run_id = ?", (run_id,))
        return RunRecord(**rows[0]) if rows else None

    def runs(self, limit: int = 100) -> list[RunRecord]:
        """Return the newest runs, newest first."""
        return [RunRecord(**row) for row in self._query("SELECT * FROM runs ORDER BY started DESC LIMIT ?", (limit,))]

    def steps(self, run_id: str) -> list[StepRecord]:
        """Return a run's steps in the order of its plan."""
        columns = ", ".join(StepRecord.__dataclass_fields__)
        return [
            StepRecord(**row)
            for row in self._query(f"SELECT {columns} FROM steps WHERE run_id = ? ORDER BY position", (run_id,))  # noqa: S608  our own field names
        ]

    def leases(self, run_id: str) -> list[Lease]:
        """Return every lease of a run, oldest first."""
        rows = self._query("SELECT * FROM leases WHERE run_id = ? ORDER BY created", (run_id,))
        return [Lease(**row) for row in rows]

    def open_leases(self) -> list[Lease]:
        """Return the leases of all runs that were not released, oldest first."""
        return [Lease(**row) for row in self._query("SELECT * FROM leases WHERE released IS NULL ORDER BY created")]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _execute(self, sql: str, parameters: tuple[object, ...]) -> None:
        with self._transaction() as connection:
            connection.execute(sql, parameters)

    def _query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[dict[str, Any]]:
        with self._lock:
            cursor = self._connection.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
