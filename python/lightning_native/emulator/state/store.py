"""The store of records: typed and in memory, written through to SQLite before a call returns."""

import dataclasses
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from lightning_native.emulator.state.root import LOST_AND_FOUND
from lightning_native.errors import EmulatorError

_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Record(Protocol):
    """A dataclass of JSON values with an id."""

    id: str


R = TypeVar("R", bound=Record)


class StorageError(EmulatorError):
    """A failed read or write of records that are not damaged."""


# The beginnings of SQLite's messages about a disk or a folder, rather than about the content of the file.
_OF_THE_DISK = ("attempt to write", "database is locked", "database or disk is full", "disk I/O", "unable to open")


def damaged(path: Path, reason: object) -> EmulatorError:
    """Return the error about unusable records, with a way out."""
    return EmulatorError(
        f"{path} is damaged or of another version: {reason}. Use the version that wrote it, or move it to "
        f"{path}.damaged and start again: the files of its studios and jobs are then in {path.parent / LOST_AND_FOUND}"
    )


def new_id() -> str:
    """Return a new id of 26 characters that sorts by time, as the platform's do."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(_ID_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


class Database:
    """The SQLite file below all tables."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._errors():
            self._connection = sqlite3.connect(path, isolation_level=None)
            # A killed server loses nothing in this mode; only a power cut may lose the last writes.
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            # Records have secrets and variables, so deleted and replaced ones are overwritten …
            self._connection.execute("PRAGMA secure_delete=ON")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS records"
                " (kind TEXT, id TEXT, document TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID"
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if str(error).startswith(_OF_THE_DISK):
                hint = "make room or let this user write there, or choose another --root"
                raise StorageError(f"cannot use {self.path}: {error}; {hint}") from error
            raise damaged(self.path, error) from error

    def load(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the documents of one kind with their ids, in the order of the ids."""
        with self._errors():
            rows = self._connection.execute("SELECT id, document FROM records WHERE kind = ? ORDER BY id", (kind,))
            for key, document in rows:
                try:
                    yield key, dict(json.loads(document))
                except (TypeError, ValueError, RecursionError) as error:
                    raise damaged(self.path, f"{kind} {key}: {error}") from error

    def save(self, kind: str, key: str, document: dict[str, Any]) -> None:
        """Write one document."""
        with self._errors():
            self._connection.execute(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (kind, key, json.dumps(document))
            )

    def delete(self, kind: str, key: str) -> None:
        """Delete one document, if it is there."""
        with self._errors():
            self._connection.execute("DELETE FROM records WHERE kind = ? AND id = ?", (kind, key))

    def forget(self) -> None:
        """Remove deleted and replaced records from the disk."""
        with self._errors():
            # … and the write-ahead log, which still has them, is truncated.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._connection.close()


class Table(Generic[R]):
    """The records of one kind by id, oldest first; change a record, then `save` it.

    A table that `forgets` leaves nothing of a deleted record on the disk.
    """

    def __init__(self, database: Database, kind: str, load: Callable[..., R], *, forgets: bool = False) -> None:
        self._database = database
        self._forgets = forgets
        self._kind = kind
        self._records: dict[str, R] = {}
        for key, document in database.load(kind):
            try:
                record = load(**document)
            except TypeError as error:
                # The record has a field more or less than ours.
                raise damaged(database.path, f"{kind} {key}: {error}") from error
            if record.id != key:
                raise damaged(database.path, f"{kind} {key} has another id, {record.id!r}")
            self._records[record.id] = record

    def __iter__(self) -> Iterator[R]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: str) -> R | None:
        """Return a record, or None."""
        return self._records.get(key)

    def save(self, record: R) -> R:
        """Write a new or changed record and return it."""
        # A deleted record returns only under a new id.
        self._database.save(self._kind, record.id, dataclasses.asdict(record))  # type: ignore[call-overload]  # a dataclass, which a protocol cannot say
        self._records[record.id] = record
        return record

    def delete(self, key: str) -> None:
        """Delete a record, if it is there."""
        self._records.pop(key, None)
        self._database.delete(self._kind, key)
        if self._forgets:
            self._database.forget()

    def forget(self) -> None:
        """Remove earlier versions of saved records from the disk."""
        self._database.forget()
