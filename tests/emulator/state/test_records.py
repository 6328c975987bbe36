"""Records that are damaged, lost or of another version: one error with its remedy, and no file is ever removed."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_native.emulator import LocalCloud, read_environ
from lightning_native.errors import EmulatorError
from lightning_native.lightning.local import attach

WORK = """
from lightning_sdk import Job, Studio, Teamspace
studio = Studio("kept")
studio.start()
studio.run("echo precious > file")
job = Job.run("job", machine="CPU", studio=studio, command="echo artifact > made")
job.wait(interval=0.05)
"""


def last_but_hint(errors: str) -> str:
    """Return the last line of errors that is no hint."""
    return [line for line in errors.splitlines() if not line.startswith("hint: ")][-1]


def run(cloud: LocalCloud, script: str) -> str:
    argv = [sys.executable, "-W", "ignore", "-c", script]
    result = subprocess.run(argv, check=False, capture_output=True, text=True, env={**os.environ, **cloud.environ})
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def by_local_cloud(root: Path) -> None:
    with LocalCloud(root):
        pass


def by_attach(root: Path) -> None:
    with attach(root):
        pass


def by_command_line(root: Path) -> None:
    argv = [sys.executable, "-m", "lightning_native", "emulator", "--root", str(root), "--stop-with-stdin"]
    result = subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        assert result.returncode == 1, result.stderr
        assert last_but_hint(result.stderr).startswith("error: ")
        assert "Traceback" not in result.stderr
        raise EmulatorError(result.stderr.replace("\nhint: ", "; "))


ways = pytest.mark.parametrize("serve", [by_local_cloud, by_attach, by_command_line])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root that was served once."""
    with LocalCloud(tmp_path / "root") as cloud:
        assert cloud.url
    return tmp_path / "root"


def change(root: Path, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(root / "state.sqlite")) as connection, connection:
        connection.execute(statement, values)


def test_without_its_records_no_file_is_lost_and_what_is_kept_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "root"
    with LocalCloud(root) as cloud:
        run(cloud, WORK)
        (studio,) = (root / "studios").iterdir()
        (job,) = (root / "jobs").iterdir()
        (teamspace,) = (drive for drive in (root / "drives").iterdir() if (drive / "jobs").exists())
    (root / "state.sqlite").unlink()
    with LocalCloud(root) as cloud:
        kept = root / "lost+found"
        assert (kept / "studios" / studio.name / "home" / "file").read_text() == "precious\n"
        assert (kept / "jobs" / job.name / "output").exists()
        assert (kept / "drives" / teamspace.name / "jobs" / "job" / "made").read_text() == "artifact\n"
        assert list((root / "studios").iterdir()) == []
        # The root is usable again, beside the kept files.
        run(cloud, WORK)
    assert f"kept in {kept}: " in caplog.text
    assert f"studios/{studio.name}" in caplog.text
    caplog.clear()
    with LocalCloud(root):
        assert "lost+found" not in caplog.text
    assert (kept / "studios" / studio.name / "home" / "file").read_text() == "precious\n"


def test_the_command_line_and_attach_name_what_they_keep(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "studios" / "lost").mkdir()
    (root / "studios" / "lost" / "file").write_text("mine")
    with attach(root):
        assert f"1 folders had no record and are kept in {root}/lost+found: studios/lost;" in caplog.text
    (root / "studios" / "lost").mkdir()
    (root / "studios" / "lost" / "file").write_text("mine, too")
    argv = [sys.executable, "-m", "lightning_native", "emulator", "--root", str(root), "--stop-with-stdin"]
    result = subprocess.run(argv, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert "studios/lost-2; delete there what is not needed" in result.stderr
    assert (root / "lost+found" / "studios" / "lost" / "file").read_text() == "mine"
    assert (root / "lost+found" / "studios" / "lost-2" / "file").read_text() == "mine, too"


@pytest.mark.parametrize(
    "place", ["jobs/mine/a.py", "trash/mine/a.py", "trash/a.py", "uploads/partial/a.py", "commands/a.py", "snapshots/a"]
)
def test_files_that_nobody_recorded_are_kept_aside_wherever_they_are(root: Path, place: str) -> None:
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text("mine")
    by_local_cloud(root)
    assert [path.read_text() for path in (root / "lost+found").rglob(Path(place).name)] == ["mine"]
    assert not (root / place).exists()


def test_a_link_without_a_record_is_kept_and_never_followed(tmp_path: Path, root: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "a.py").write_text("mine")
    (root / "studios" / "link").symlink_to(tmp_path / "theirs")
    (root / "trash" / ("0" * 32)).symlink_to(tmp_path / "theirs")
    by_local_cloud(root)
    assert (root / "lost+found" / "studios" / "link").is_symlink()
    assert (tmp_path / "theirs" / "a.py").read_text() == "mine"


def test_what_a_kill_left_half_made_goes(root: Path) -> None:
    change(root, "INSERT INTO records VALUES ('folder_in_work', 'half', ?)", json.dumps({"id": "half"}))
    for kind in ("studios", "jobs", "commands"):
        (root / kind / "half").mkdir()
        (root / kind / "half" / "file").write_text("of a copy")
    by_local_cloud(root)
    assert not any((root / kind / "half").exists() for kind in ("studios", "jobs", "commands"))
    assert not (root / "lost+found").exists()


def test_a_studio_whose_files_are_gone_can_be_used_and_deleted(tmp_path: Path) -> None:
    import shutil

    with LocalCloud(tmp_path / "root") as cloud:
        run(cloud, WORK)
    for kind in ("studios", "jobs", "commands"):
        for folder in (tmp_path / "root" / kind).iterdir():
            shutil.rmtree(folder)
    with LocalCloud(tmp_path / "root") as cloud:
        script = """
from lightning_sdk import Job, Studio
studio = Studio("kept")
studio.start()
print(studio.run("echo works"), str(Job("job").logs) == "")
Job("job").delete()
studio.delete()
"""
        assert run(cloud, script) == "works True\n"


@ways
@pytest.mark.parametrize("damage", ["garbage", "torn", "no table", "other table", "no JSON", "no object", "other id"])
def test_damaged_records_are_one_error_with_the_way_out(root: Path, serve: Callable[[Path], None], damage: str) -> None:
    database = root / "state.sqlite"
    (root / "studios" / "kept").mkdir()
    (root / "studios" / "kept" / "file").write_text("precious")
    if damage == "garbage":
        database.write_bytes(b"not a database" * 1000)
    elif damage == "torn":
        content = database.read_bytes()
        database.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    elif damage == "no table":
        change(root, "DROP TABLE records")
        change(root, "CREATE VIEW records AS SELECT 1 AS kind")
    elif damage == "other table":
        change(root, "ALTER TABLE records RENAME COLUMN document TO content")
    elif damage == "no JSON":
        change(root, "UPDATE records SET document = '{' WHERE kind = 'user'")
    elif damage == "no object":
        change(root, "UPDATE records SET document = '[1]' WHERE kind = 'user'")
    else:
        change(root, "UPDATE records SET id = 'x' WHERE kind = 'user'")
    with pytest.raises(EmulatorError) as raised:
        serve(root)
    message = str(raised.value)
    assert f"{database} is damaged or of another version" in message
    assert f"move it to {database}.damaged and start again" in message
    assert str(root / "lost+found") in message
    assert (root / "studios" / "kept" / "file").read_text() == "precious"
    # The remedy that the message names works.
    database.rename(f"{database}.damaged")
    serve(root)
    assert (root / "lost+found" / "studios" / "kept" / "file").read_text() == "precious"


@ways
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET document = json_set(document, '$.colour', 'red') WHERE kind = 'user'",
        "UPDATE records SET document = json_remove(document, '$.username') WHERE kind = 'user'",
        "UPDATE records SET document = json_set(document, '$.value', 'soon') WHERE id = 'clock'",
        "UPDATE records SET document = json_set(document, '$.value', 'first') WHERE id = 'port'",
        "UPDATE records SET document = json_set(document, '$.value', 99999999) WHERE id = 'port'",
    ],
)
def test_records_of_another_version_are_one_error(root: Path, serve: Callable[[Path], None], statement: str) -> None:
    change(root, statement)
    with pytest.raises(EmulatorError, match=r"state\.sqlite is damaged or of another version: .*Use the version"):
        serve(root)


def test_the_values_of_a_studio_are_looked_at_in_the_same_way(tmp_path: Path) -> None:
    with LocalCloud(tmp_path / "root") as cloud:
        run(cloud, WORK)
    change(
        tmp_path / "root", "UPDATE records SET document = json_set(document, '$.instance', 'new') WHERE kind = 'studio'"
    )
    with pytest.raises(EmulatorError, match="is damaged or of another version: TypeError"):
        by_local_cloud(tmp_path / "root")


def test_a_lost_write_ahead_log_loses_no_files(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "root")
    cloud.start()
    run(cloud, WORK)
    cloud.kill()
    for name in ("state.sqlite-wal", "state.sqlite-shm"):
        (tmp_path / "root" / name).unlink()
    by_local_cloud(tmp_path / "root")
    contents = [path.read_text() for path in (tmp_path / "root").rglob("home/file")]
    assert "precious\n" in contents


@ways
@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 43, b"with a blank in the middle of the key"])
def test_a_key_that_is_none_lets_nobody_in_and_says_so(
    root: Path, serve: Callable[[Path], None], content: bytes
) -> None:
    (root / "api_key").write_bytes(content)
    with pytest.raises(EmulatorError, match=r"api_key has no key of a local cloud; delete .*api_key and start again"):
        serve(root)
    (root / "api_key").unlink()
    serve(root)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"pid": 1}',
        '{"pid": "1", "url": "", "environ": {}}',
        "[" * 100_000,
        '{"pid": 1e300, "url": "x", "environ": {}}',
        '{"pid": -1, "url": "x", "environ": {"A": 1}}',
    ],
)
def test_a_damaged_announcement_is_as_good_as_none(root: Path, content: str) -> None:
    (root / "server.json").write_text(content)
    assert read_environ(root) is None
    argv = [sys.executable, "-m", "lightning_native", "emulator", "fault", "list", "--root", str(root)]
    result = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert (result.returncode, result.stderr[:28]) == (1, "error: no local cloud runs i")
    by_local_cloud(root)


def test_another_process_with_the_id_of_a_killed_server_does_not_get_the_key(root: Path) -> None:
    cloud = LocalCloud(root)
    cloud.start()
    assert read_environ(root) == cloud.environ
    cloud.kill()
    assert read_environ(root) is None
    server = json.loads((root / "server.json").read_text())
    (root / "server.json").write_text(json.dumps({**server, "pid": os.getpid()}))
    assert read_environ(root) is None


def in_a_small_file_system(root: Path, options: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script where the root is a file system of its own, or skip where the kernel refuses one."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = f'mount -t tmpfs -o {options} none "$0"'
    if subprocess.run(["unshare", *user, "--mount", "sh", "-c", mount, root], check=False).returncode:
        pytest.skip("no mount namespace")
    argv = ["unshare", *user, "--mount", "sh", "-c", f"{mount} && {script}", str(root)]
    return subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)


SERVE = f'"{sys.executable}" -m lightning_native emulator --root "$0/root" --stop-with-stdin'


def test_a_disk_that_can_only_be_read_is_one_error(tmp_path: Path) -> None:
    result = in_a_small_file_system(tmp_path, "size=10m,mode=700", f'{SERVE} && mount -o remount,ro "$0" && {SERVE}')
    assert result.returncode == 1
    assert last_but_hint(result.stderr).startswith("error: ")
    assert "cannot be written to\nhint: choose" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_full_disk_is_one_error(tmp_path: Path) -> None:
    fill = 'mkdir "$0/root"; dd if=/dev/zero of="$0/full" bs=4k 2>"$0/../dd"'
    result = in_a_small_file_system(tmp_path, "size=100k,mode=700", f"{fill}; {SERVE}")
    assert result.returncode == 1
    assert last_but_hint(result.stderr).startswith("error: ")
    assert "Traceback" not in result.stderr


def test_a_disk_that_is_full_later_is_told_and_ends_nothing(tmp_path: Path) -> None:
    script = f'{SERVE} && dd if=/dev/zero of="$0/full" bs=4k 2>/dev/null; {SERVE}'
    result = in_a_small_file_system(tmp_path, "size=300k,mode=700", script)
    assert result.returncode == 1
    assert last_but_hint(result.stderr).startswith("error: ")
    assert "Traceback" not in result.stderr
