"""The journal of any earlier version is read and goes on; one that cannot be used is an error with the way out."""

import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from lightning_native.cli import main
from lightning_native.cli.doctor import diagnosis
from lightning_native.engine.record import journal_schema
from lightning_native.engine.record.journal import Journal
from lightning_native.errors import JournalError

# The schemas as they were, each named after the commit that made it. None of these had a number.
EARLIER = sorted((Path(__file__).parent / "journals").glob("*.sql"))
# The commands that read the journal.
COMMANDS = (
    ("runs",),
    ("runs", "show", "r"),
    ("runs", "logs", "r"),
    ("runs", "resume", "r"),
    ("runs", "stop", "r"),
    ("runs", "costs"),
    ("runs", "prune", "--older-than", "1d", "--yes"),
    ("gc", "--yes"),
    ("environments", "list"),
    ("budget", "show"),
    ("run", "workflow.yaml"),
)


def columns(path: Path) -> dict[str, set[tuple[object, ...]]]:
    """Return the columns and indexes of every table."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {
            table: {row[1:] for row in connection.execute(f"SELECT * FROM pragma_table_info('{table}')")}  # noqa: S608
            for table in tables
        }
        indexes = set(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"))
    return {**found, "indexes": {(name, " ".join(sql.split())) for name, sql in indexes}}


def earlier(path: Path, schema: Path) -> None:
    """Create a journal as an earlier version has left it, with a run that its controller has left."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(schema.read_text())
        place = "studio" if schema.name.startswith("1-") else "place"
        connection.executescript(
            f"""
            INSERT INTO runs (run_id, name, cloud, state, started) VALUES ('r', 'old', 'cloud', 'running', 1.0);
            INSERT INTO steps (run_id, position, name, state, {place}, machine, started)
              VALUES ('r', 0, 'a', 'running', 'studio-a', 'L4', 2.0);
            INSERT INTO leases VALUES ('r', 'studio', 'studio-a', 'delete', 1.5, NULL);
            """  # noqa: S608  a fixed name
        )


@pytest.mark.parametrize("schema", EARLIER, ids=lambda path: path.stem)
def test_a_journal_of_each_earlier_version_is_read_and_goes_on(schema: Path, tmp_path: Path) -> None:
    path, new = tmp_path / "journal.db", tmp_path / "new.db"
    Journal(new).close()
    earlier(path, schema)

    def open_journal(_: int) -> None:
        Journal(path).close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(open_journal, range(4)))
    with Journal(path) as journal:
        (step,) = journal.steps("r")
        assert (step.state, step.place, step.machine, step.attempt) == ("running", "studio-a", "L4", 1)
        assert [lease.name for lease in journal.open_leases()] == ["studio-a"]
        run = journal.drive("r", "old", "cloud", 1, ["a"])
        run.step_ended("a", "succeeded", 0)
        run.released("studio", "studio-a")
        run.event("went on", "a")
        run.end("completed")
        record = journal.run("r")
        assert record is not None
        assert record.state == "completed"
        assert journal.open_leases() == []
    with closing(sqlite3.connect(path)) as connection:
        assert journal_schema.version_of(connection) == journal_schema.VERSION
    then, now = columns(path), columns(new)
    assert then.keys() == now.keys()
    for table, rows in now.items():
        # The order of columns, and the primary key's constraints, are those of the earlier version.
        assert {row[:2] for row in then[table]} == {row[:2] for row in rows}, table


def test_a_migration_that_fails_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.db"
    earlier(path, EARLIER[0])
    before = columns(path)

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (done)")
        raise sqlite3.OperationalError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(journal_schema, "_MIGRATIONS", (*journal_schema._MIGRATIONS, fail))
        patch.setattr(journal_schema, "VERSION", journal_schema.VERSION + 1)
        with pytest.raises(JournalError, match="disk is full"):
            Journal(path)
    assert columns(path) == before
    Journal(path).close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path))
    # Credentials, so that commands get as far as the journal; nothing listens there.
    for name in ("USER_ID", "API_KEY", "USERNAME", "TEAMSPACE"):
        monkeypatch.setenv(f"LIGHTNING_{name}", "x")
    monkeypatch.setenv("LIGHTNING_CLOUD_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workflow.yaml").write_text("steps: {a: {command: 'true'}}\n")
    with Journal() as journal:
        journal.drive("r", "name", "cloud", 1, ["a"])
        for number in range(200):
            journal.begin(f"run-{number}", "name" * 50)
    return tmp_path


@pytest.mark.parametrize("problem", ["no database", "damaged inside", "newer", "locked"])
def test_each_command_has_one_line_about_a_journal_that_cannot_be_used(
    home: Path, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home / "journal.db"
    holder = sqlite3.connect(path, isolation_level=None)
    if problem == "locked":
        monkeypatch.setattr("lightning_native.engine.record.journal._PATIENCE_SECONDS", 0.01)
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("PRAGMA journal_mode = DELETE")
        holder.execute("BEGIN EXCLUSIVE")
    elif problem == "newer":
        holder.execute("PRAGMA user_version = 999")
    holder.close() if problem != "locked" else None
    if problem == "no database":
        path.write_bytes(b"what is this? " * 1000)
    if problem == "damaged inside":
        size = path.stat().st_size
        with path.open("r+b") as stream:
            stream.seek(4096)
            stream.write(b"\xff" * (size - 4096))
    words = {
        "no database": "is damaged (file is not a database). Move it away with: mkdir ",
        "damaged inside": "is damaged (database disk image is malformed). Move it away with: mkdir ",
        "newer": "has version 999, of a newer lightning-native",
        "locked": "is locked by another process; find it with: fuser ",
    }[problem]
    for command in COMMANDS:
        assert main(command) == 1, command
        errors = capsys.readouterr().err
        assert errors.startswith(f"error: the journal {path} {words}"), (command, errors)
        assert errors.count("\n") == 1
    # One of doctor's checks, because the others ask for the network.
    found = diagnosis._safely("journal", diagnosis._journal)
    assert not found.ok
    assert words.partition("(")[0] in found.remedy
    holder.close()


def test_the_way_out_of_a_damaged_journal_is_one(home: Path) -> None:
    (home / "journal.db").write_bytes(b"what is this? " * 1000)
    with pytest.raises(JournalError) as raised:
        Journal()
    command = str(raised.value).split(" with: ")[1].split(";")[0]
    subprocess.run(command, shell=True, check=True, timeout=60)  # noqa: S602  as a user pastes it
    assert (home / "damaged-journal" / "journal.db").exists()
    with Journal() as journal:
        assert journal.runs() == []
