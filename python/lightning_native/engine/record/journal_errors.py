"""The errors of a journal that cannot be used, in words that name the way out."""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_native.engine.record.journal_schema import VERSION, version_of
from lightning_native.errors import JournalError

_DAMAGED = ("not a database", "malformed", "no such table", "no such column")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors within the block into ours.

    Raises:
        JournalError: the journal is damaged, locked by another process, or cannot be read or written.
    """
    try:
        yield
    except sqlite3.Error as error:
        if any(words in str(error) for words in _DAMAGED):
            raise damaged(path, str(error)) from error
        raise JournalError(f"the journal {path} {_problem(path, str(error))}") from error


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a journal that a newer version of this package has written.

    Raises:
        JournalError: it is one.
    """
    found = version_of(connection)
    if found > VERSION:
        connection.close()
        raise JournalError(
            f"the journal {path} has version {found}, of a newer lightning-native; this one reads up to {VERSION}. "
            "Use the newer one (pip install --upgrade lightning-native), or set LIGHTNING_NATIVE_HOME to another folder"
        )


def damaged(path: Path, problem: str) -> JournalError:
    """Return the error of a damaged journal."""
    away = shlex.quote(str(path.with_name("damaged-journal")))
    name = shlex.quote(str(path))
    return JournalError(
        f"the journal {path} is damaged ({problem}). Move it away with: mkdir {away} && mv {name}* {away}/; the next "
        "command begins a new one, which knows nothing of earlier runs: see what they have left at Lightning, and "
        "delete it there"
    )


def _problem(path: Path, error: str) -> str:
    if "locked" in error or "busy" in error:
        return f"is locked by another process; find it with: fuser {shlex.quote(str(path))}; end it, and try again"
    return f"cannot be used ({error}); check the free space of its disk, and that its folder may be written"
