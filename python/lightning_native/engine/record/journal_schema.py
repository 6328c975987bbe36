"""The schema of the journal, its version, and the migrations from each earlier one."""

import sqlite3
from collections.abc import Callable

from lightning_native.engine.record.costs import SCHEMA as COSTS_SCHEMA

_FIRST = f"""
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY, name TEXT NOT NULL, cloud TEXT NOT NULL, state TEXT NOT NULL,
    started REAL NOT NULL, ended REAL, controller INTEGER, message TEXT NOT NULL DEFAULT '',
    token INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started);
CREATE INDEX IF NOT EXISTS runs_by_name ON runs (name, started);
CREATE TABLE IF NOT EXISTS steps (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, position INTEGER NOT NULL, name TEXT NOT NULL,
    state TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 1, place TEXT, machine TEXT, started REAL, ended REAL,
    exit_code INTEGER, cost REAL, message TEXT NOT NULL DEFAULT '', PRIMARY KEY (run_id, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, kind TEXT NOT NULL, name TEXT NOT NULL,
    on_release TEXT NOT NULL, created REAL NOT NULL, released REAL, PRIMARY KEY (run_id, kind, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_leases ON leases (created) WHERE released IS NULL;
CREATE TABLE IF NOT EXISTS uses (
    run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, studio TEXT NOT NULL, PRIMARY KEY (run_id, studio)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    event_id INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, at REAL NOT NULL,
    step TEXT, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_run ON events (run_id);
CREATE TABLE IF NOT EXISTS environments (
    cloud TEXT NOT NULL, fingerprint TEXT NOT NULL, studio TEXT NOT NULL, ready INTEGER NOT NULL,
    created REAL NOT NULL, used REAL NOT NULL, PRIMARY KEY (cloud, fingerprint)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS interpreters (
    cloud TEXT NOT NULL, studio TEXT NOT NULL, executable TEXT NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (cloud, studio)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploaded_files (
    cloud TEXT NOT NULL, studio TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL, used REAL NOT NULL,
    PRIMARY KEY (cloud, studio, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
{COSTS_SCHEMA}
"""


def _number(connection: sqlite3.Connection) -> None:
    """Create the first numbered schema, in a new file or from any of the seven that had no number."""
    if columns := _columns(connection, "steps"):
        if "studio" in columns:
            connection.execute("ALTER TABLE steps RENAME COLUMN studio TO place")
        for column, kind in (("attempt", "INTEGER NOT NULL DEFAULT 1"), ("cost", "REAL")):
            if column not in columns:
                connection.execute(f"ALTER TABLE steps ADD COLUMN {column} {kind}")
        if "token" not in _columns(connection, "runs"):
            connection.execute("ALTER TABLE runs ADD COLUMN token INTEGER NOT NULL DEFAULT 0")
        # One schema had the index on another column, one had the uploads without their paths.
        connection.execute("DROP INDEX IF EXISTS open_leases")
        connection.execute("DROP TABLE IF EXISTS uploads")
    _create(connection, _FIRST)


def _add_parts_of_costs(connection: sqlite3.Connection) -> None:
    """Create the tables of costs that a journal of the first number may not have."""
    _create(connection, COSTS_SCHEMA)


def _create(connection: sqlite3.Connection, tables: str) -> None:
    for statement in tables.split(";\n"):
        connection.execute(statement)


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}


# The n-th migration leads to version n; a change of the schema is a further one.
_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_number, _add_parts_of_costs)
VERSION = len(_MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a journal's schema; 0 for a new file, or one that had no number."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a journal of an earlier version to this one, all or nothing; other processes may do so at once."""
    if version_of(connection) >= VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in range(version_of(connection), VERSION):
            _MIGRATIONS[version](connection)
            connection.execute(f"PRAGMA user_version = {version + 1}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
