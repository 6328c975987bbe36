"""The journal of intentions and events: runs, steps, attempts, leases. One SQLite file.

A lease is written before the thing it names is created, and released after the thing is confirmed gone. So a crash at
any point leaves a record by which the thing is found and removed. No secret is ever written to the journal.
"""

import os
import secrets
import sqlite3
import stat
import statistics
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from lightning_native.engine.record.journal_errors import check_version, explained
from lightning_native.engine.record.journal_schema import migrate
from lightning_native.engine.record.records import (
    Environment,
    Event,
    Lease,
    RunRecord,
    StepRecord,
)
from lightning_native.engine.record.run_journal import RunJournal, Write, stale
from lightning_native.errors import JournalError, StaleControllerError
from lightning_native.home import home, private

# The longest that a record of a step is queued, so that several are written in one transaction.
_SOON_SECONDS = 0.05
# The longest wait for a lock that another process has on the file.
_PATIENCE_SECONDS = 30.0


class Journal:
    """The journal in `LIGHTNING_NATIVE_HOME`; safe to use from many threads and processes at once.

    Any use of it raises JournalError if the file is damaged, locked for long, or of a newer version.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "journal.db"
        self._lock = threading.Lock()
        # A lock of its own: queueing a write must not wait for a write in progress.
        self._buffer_lock = threading.Lock()
        self._buffer: list[Write] = []
        self._flushing: threading.Timer | None = None
        self._replaced: set[tuple[str, int]] = set()
        self._is_closed = False
        with explained(self.path):
            _make_private(self.path)
            self._connection = sqlite3.connect(
                self.path, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
            )
            check_version(self._connection, self.path)
            self._write_ahead()
            self._connection.execute("PRAGMA synchronous = NORMAL")
            migrate(self._connection)

    def _write_ahead(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                # SQLite does not wait by itself while another connection changes the mode of the same new file.
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def close(self) -> None:
        """Close the file, after the queued writes; threads that outlive it write nothing any more."""
        with self._buffer_lock:
            self._is_closed = True
        self.flush()
        with self._lock:
            self._connection.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, run_id: str, name: str, steps: Sequence[str] = ()) -> bool:
        """Record that a run is about to begin; return whether it was not recorded before."""
        with self.transaction() as connection:
            inserted = connection.execute(
                "INSERT OR IGNORE INTO runs (run_id, name, cloud, state, started) VALUES (?, ?, '', 'running', ?)",
                (run_id, name, time.time()),
            )
            _insert_steps(connection, run_id, steps)
            return inserted.rowcount > 0

    def forget(self, run_id: str) -> None:
        """Remove the record of a run that never got a controller."""
        with self.transaction() as connection:
            deleted = connection.execute("DELETE FROM runs WHERE run_id = ? AND controller IS NULL", (run_id,))
            if deleted.rowcount:
                connection.execute("DELETE FROM steps WHERE run_id = ?", (run_id,))

    def drive(self, run_id: str, name: str, cloud: str, controller: int, steps: list[str]) -> RunJournal:
        """Record a run and its steps unless they are recorded, and return the only journal that may write about it."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO runs (run_id, name, cloud, state, started) VALUES (?, ?, ?, 'running', ?)",
                (run_id, name, cloud, time.time()),
            )
            connection.execute(
                "UPDATE runs SET started = ?, cloud = ? WHERE run_id = ? AND controller IS NULL",
                (time.time(), cloud, run_id),
            )
            connection.execute(
                "UPDATE runs SET token = token + 1, controller = ? WHERE run_id = ?", (controller, run_id)
            )
            (token,) = connection.execute("SELECT token FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            _insert_steps(connection, run_id, steps)
        return RunJournal(self, run_id, token)

    def run(self, run_id: str) -> RunRecord | None:
        """Return one run."""
        rows = self.query(f"SELECT {_columns(RunRecord)} FROM runs WHERE run_id = ?", (run_id,))
        return RunRecord(**rows[0]) if rows else None

    def runs(self, limit: int = 100) -> list[RunRecord]:
        """Return the newest runs, newest first."""
        sql = f"SELECT {_columns(RunRecord)} FROM runs ORDER BY started DESC LIMIT ?"
        return [RunRecord(**row) for row in self.query(sql, (limit,))]

    def running(self) -> list[RunRecord]:
        """Return the runs whose end is not recorded, oldest first."""
        sql = f"SELECT {_columns(RunRecord)} FROM runs WHERE state = 'running' ORDER BY started"
        return [RunRecord(**row) for row in self.query(sql)]

    def runs_like(self, prefix: str) -> list[RunRecord]:
        """Return the runs whose id begins with a text."""
        sql = f"SELECT {_columns(RunRecord)} FROM runs WHERE substr(run_id, 1, ?) = ? ORDER BY started DESC"
        return [RunRecord(**row) for row in self.query(sql, (len(prefix), prefix))]

    def runs_called(self, name: str) -> list[RunRecord]:
        """Return the newest run of a name, if there is one."""
        sql = f"SELECT {_columns(RunRecord)} FROM runs WHERE name = ? ORDER BY started DESC LIMIT 1"
        return [RunRecord(**row) for row in self.query(sql, (name,))]

    def steps(self, run_id: str) -> list[StepRecord]:
        """Return a run's steps in the order of its plan."""
        sql = f"SELECT {_columns(StepRecord)} FROM steps WHERE run_id = ? ORDER BY position"
        return [StepRecord(**row) for row in self.query(sql, (run_id,))]

    def step_durations(self, run_name: str) -> dict[str, float]:
        """Return the median seconds of each step that succeeded in the newest runs of a name."""
        sql = (
            "SELECT steps.name AS step, steps.ended - steps.started AS seconds FROM steps JOIN "
            "(SELECT run_id FROM runs WHERE name = ? ORDER BY started DESC LIMIT 20) USING (run_id) "
            "WHERE steps.state = 'succeeded' AND steps.started IS NOT NULL"
        )
        seconds: dict[str, list[float]] = {}
        for row in self.query(sql, (run_name,)):
            seconds.setdefault(row["step"], []).append(row["seconds"])
        return {step: statistics.median(values) for step, values in seconds.items()}

    def leases(self, run_id: str) -> list[Lease]:
        """Return every lease of a run, oldest first."""
        rows = self.query("SELECT * FROM leases WHERE run_id = ? ORDER BY created", (run_id,))
        return [Lease(**row) for row in rows]

    def open_leases(self) -> list[Lease]:
        """Return the leases of all runs that were not released, oldest first."""
        return [Lease(**row) for row in self.query("SELECT * FROM leases WHERE released IS NULL ORDER BY created")]

    def users(self, cloud: str, studio: str) -> list[str]:
        """Return the ids of the runs on a cloud that use a studio, or whose controller died while they used it."""
        sql = "SELECT run_id FROM uses JOIN runs USING (run_id) WHERE cloud = ? AND studio = ? ORDER BY started"
        return [row["run_id"] for row in self.query(sql, (cloud, studio))]

    def events(self, run_id: str) -> list[Event]:
        """Return the events of a run, oldest first."""
        rows = self.query("SELECT at, step, text FROM events WHERE run_id = ? ORDER BY event_id", (run_id,))
        return [Event(**row) for row in rows]

    def home_id(self) -> str:
        """Return the eight hexadecimal digits that distinguish this journal's resources at Lightning from another's."""
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO facts VALUES ('home', ?)", (secrets.token_hex(4),))
            (value,) = connection.execute("SELECT value FROM facts WHERE name = 'home'").fetchone()
        return str(value)

    def environments(self, cloud: str) -> list[Environment]:
        """Return the template studios on a cloud, the most recently used first."""
        sql = (
            "SELECT environments.*, executable, version FROM environments LEFT JOIN interpreters USING (cloud, studio) "
            "WHERE cloud = ? ORDER BY used DESC"
        )
        rows = self.query(sql, (cloud,))
        return [Environment(**{**row, "ready": bool(row["ready"])}) for row in rows]

    def environment_used(self, cloud: str, fingerprint: str, studio: str, *, ready: bool) -> None:
        """Record that a template studio is being prepared, or is ready and used."""
        now = time.time()
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO environments VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET ready = excluded.ready, used = excluded.used",
                (cloud, fingerprint, studio, ready, now, now),
            )

    def interpreter_found(self, cloud: str, studio: str, executable: str, version: str) -> None:
        """Record the Python of a template studio."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO interpreters VALUES (?, ?, ?, ?)", (cloud, studio, executable, version)
            )

    def machine_python(self, cloud: str) -> str | None:
        """Return the version of Python, such as `3.12`, of a cloud's latest new studio; None if none is recorded."""
        rows = self.query("SELECT value FROM facts WHERE name = ?", (f"python {cloud}",))
        return str(rows[0]["value"]) if rows else None

    def machine_python_found(self, cloud: str, python: str) -> None:
        """Record the version of Python of a cloud's new studio."""
        if self.machine_python(cloud) != python:
            with self.transaction() as connection:
                connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (f"python {cloud}", python))

    def forget_studio(self, cloud: str, studio: str) -> None:
        """Remove the records of a template studio, of its Python and of its uploads."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM interpreters WHERE cloud = ? AND studio = ?", (cloud, studio))
            connection.execute("DELETE FROM environments WHERE cloud = ? AND studio = ?", (cloud, studio))
            connection.execute("DELETE FROM uploaded_files WHERE cloud = ? AND studio = ?", (cloud, studio))

    def is_uploaded(self, cloud: str, studio: str, path: str, sha256: str) -> bool:
        """Return whether a file was uploaded to a path in a studio before."""
        sql = "SELECT 1 FROM uploaded_files WHERE cloud = ? AND studio = ? AND path = ? AND sha256 = ?"
        return bool(self.query(sql, (cloud, studio, path, sha256)))

    def uploaded(self, cloud: str, studio: str, path: str, sha256: str) -> None:
        """Record that a file was uploaded to a path in a studio, or is used there again."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO uploaded_files VALUES (?, ?, ?, ?, ?)",
                (cloud, studio, path, sha256, time.time()),
            )

    def unused_uploads(self, cloud: str, studio: str, *, unused_seconds: float, keep: int) -> list[str]:
        """Return the paths of a studio's uploads not used for `unused_seconds`, except the `keep` last used ones."""
        rows = self.query(
            "SELECT path, used FROM uploaded_files WHERE cloud = ? AND studio = ? ORDER BY used DESC", (cloud, studio)
        )
        return [row["path"] for row in rows[keep:] if row["used"] <= time.time() - unused_seconds]

    def upload_removed(self, cloud: str, studio: str, path: str) -> None:
        """Record that an upload was removed."""
        with self.transaction() as connection:
            connection.execute(
                "DELETE FROM uploaded_files WHERE cloud = ? AND studio = ? AND path = ?", (cloud, studio, path)
            )

    def write_soon(self, write: Write) -> None:
        """Queue a write for the next transaction, which begins within 50 ms; a query here sees the write at once.

        Raises:
            StaleControllerError: an earlier write of this controller was refused, or it has closed the journal.
        """
        with self._buffer_lock:
            if self._is_closed:
                raise StaleControllerError(f"the controller of run {write.run_id} has ended, and closed its journal")
            if self.is_replaced(write.run_id, write.token):
                raise stale(write.run_id)
            self._buffer.append(write)
            if self._flushing is None:
                self._flushing = threading.Timer(_SOON_SECONDS, self._flush_unless_closed)
                self._flushing.daemon = True
                self._flushing.start()

    def flush(self) -> None:
        """Write the queued writes."""
        if self._buffer:
            with self.transaction():
                # A transaction begins with the queued writes.
                pass

    def _flush_unless_closed(self) -> None:
        try:
            self.flush()
        except JournalError:
            # `close` has written them meanwhile.
            if not self._is_closed:
                raise

    def is_replaced(self, run_id: str, token: int) -> bool:
        """Return whether a write of this controller was refused because another one drives the run."""
        return (run_id, token) in self._replaced

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all or nothing, after the queued writes."""
        with explained(self.path), self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                with self._buffer_lock:
                    buffered = list(self._buffer)
                    flushing, self._flushing = self._flushing, None
                if flushing is not None:
                    flushing.cancel()
                self._write_all(buffered)
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite itself has ended the transaction after some errors, such as a full disk.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            with self._buffer_lock:
                del self._buffer[: len(buffered)]

    def _write_all(self, writes: Iterable[Write]) -> None:
        tokens: dict[str, int] = {}
        for write in writes:
            if write.run_id not in tokens:
                tokens[write.run_id] = self.token(write.run_id)
            # The remaining records of a replaced controller are not true any more.
            if tokens[write.run_id] == write.token:
                self._connection.execute(write.sql, write.parameters)
            else:
                self._replaced.add((write.run_id, write.token))

    def token(self, run_id: str) -> int:
        """Return the token of a run's present controller, -1 for an unknown run; only within a transaction."""
        row = self._connection.execute("SELECT token FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return int(row[0]) if row else -1

    def query(self, sql: str, parameters: tuple[object, ...] = ()) -> list[dict[str, Any]]:
        """Read rows as mappings."""
        self.flush()
        with explained(self.path), self._lock:
            cursor = self._connection.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _insert_steps(connection: sqlite3.Connection, run_id: str, steps: Sequence[str]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO steps (run_id, position, name, state) VALUES (?, ?, ?, 'pending')",
        [(run_id, position, step) for position, step in enumerate(steps)],
    )


def _make_private(path: Path) -> None:
    """Create the journal's file if it is missing, and restrict it and SQLite's files beside it to their owner."""
    # An existing file is not opened, because closing it would release the locks that SQLite has in this process.
    with suppress(FileExistsError):
        os.close(private(str(path), os.O_RDWR | os.O_CREAT | os.O_EXCL))
    # SQLite creates the files beside it with its mode.
    for file in (path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))):
        with suppress(FileNotFoundError):
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(0o600)


def _columns(record: type[RunRecord] | type[StepRecord]) -> str:
    return ", ".join(field.name for field in fields(record))
