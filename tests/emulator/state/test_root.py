"""A root is a folder with our marker: any other folder keeps its content and its mode."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from lightning_native.emulator import LocalCloud
from lightning_native.emulator.state.root import MARKER
from lightning_native.errors import EmulatorError
from lightning_native.lightning.local import attach


def by_local_cloud(root: Path) -> None:
    with LocalCloud(root):
        pass


def by_attach(root: Path) -> None:
    with attach(root):
        pass


def emulator(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lightning_native", "emulator", *arguments, "--stop-with-stdin"]
    return subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=folder)


def by_command_line(root: Path) -> None:
    result = emulator("--root", str(root), folder=Path.cwd())
    if result.returncode:
        assert result.returncode == 1, result.stderr
        assert result.stderr.startswith("error: ")
        assert "Traceback" not in result.stderr
        raise EmulatorError(result.stderr.replace("\nhint: ", "; "))


WAYS = [by_local_cloud, by_attach, by_command_line]
ways = pytest.mark.parametrize("serve", WAYS)


def picture(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the modes and contents of everything in a folder, and its own mode."""
    found = {".": (folder.stat().st_mode, b"")}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path.relative_to(folder))] = (status.st_mode, content)
    return found


@ways
@pytest.mark.parametrize("name", ["jobs/a.py", "studios/b/c", "commands/x", "snapshots/x", "trash/x", "server.log"])
def test_a_folder_of_the_users_is_refused_and_left_as_it_is(
    tmp_path: Path, serve: Callable[[Path], None], name: str
) -> None:
    project = tmp_path / "project"
    (project / name).parent.mkdir(parents=True)
    (project / name).write_text("mine\n")
    project.chmod(0o755)
    before = picture(project)
    with pytest.raises(EmulatorError, match=r"not empty and has no \.lightning-native-cloud.*choose a folder"):
        serve(project)
    assert picture(project) == before


@pytest.mark.parametrize("arguments", [["--root", "."], ["--root", ""], ["--root", " "], ["--root=./"]])
def test_the_working_folder_is_refused_by_any_name(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "jobs").mkdir(mode=0o755)
    (tmp_path / "jobs" / "a.py").write_text("x\n")
    tmp_path.chmod(0o755)
    before = picture(tmp_path)
    result = emulator(*arguments, folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert picture(tmp_path) == before


def test_an_empty_name_of_a_root_is_an_error_even_in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EmulatorError, match="empty name; give a folder"):
        LocalCloud("")
    assert emulator("--root", "", folder=tmp_path).returncode == 1
    fault = [sys.executable, "-m", "lightning_native", "emulator", "fault", "list", "--root", ""]
    listing = subprocess.run(fault, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert (listing.returncode, "empty name" in listing.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


@ways
def test_an_empty_folder_serves_and_keeps_its_mode(tmp_path: Path, serve: Callable[[Path], None]) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    root.chmod(0o755)
    serve(root)
    assert stat.S_IMODE(root.stat().st_mode) == 0o755
    assert (root / MARKER).is_file()
    # The content is closed to other users by modes of its own.
    open_to_others = [path.name for path in root.iterdir() if path.lstat().st_mode & 0o077]
    assert open_to_others == []
    serve(root)


@ways
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_new_root_is_private_whatever_the_umask(tmp_path: Path, serve: Callable[[Path], None], umask: int) -> None:
    root = tmp_path / "new"
    before = os.umask(umask)
    try:
        serve(root)
    finally:
        os.umask(before)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert [path.name for path in root.iterdir() if path.lstat().st_mode & 0o077] == []


@ways
def test_a_root_of_an_earlier_version_is_taken_over(tmp_path: Path, serve: Callable[[Path], None]) -> None:
    root = tmp_path / "root"
    serve(root)
    key = (root / "api_key").read_text()
    (root / MARKER).unlink()
    serve(root)
    assert (root / MARKER).is_file()
    assert (root / "api_key").read_text() == key


@ways
def test_a_root_whose_first_server_never_came_up_is_taken_over(tmp_path: Path, serve: Callable[[Path], None]) -> None:
    for name in ("users.lock", "start.lock", "server.log"):
        (tmp_path / name).touch()
    serve(tmp_path)
    assert (tmp_path / MARKER).is_file()


@ways
@pytest.mark.parametrize("kind", ["file", "fifo", "below a file", "circle", "long"])
def test_what_is_no_folder_is_refused(tmp_path: Path, serve: Callable[[Path], None], kind: str) -> None:
    root = tmp_path / "root"
    if kind == "file":
        root.write_text("mine")
    elif kind == "fifo":
        os.mkfifo(root)
    elif kind == "below a file":
        root.write_text("mine")
        root = root / "below"
    elif kind == "circle":
        root.symlink_to(root)
    else:
        root = tmp_path / ("x" * 300)
    before = picture(tmp_path)
    with pytest.raises(EmulatorError, match=r"root.*choose (a|another)"):
        serve(root)
    assert picture(tmp_path) == before


@ways
def test_a_link_to_a_folder_of_the_users_is_refused(tmp_path: Path, serve: Callable[[Path], None]) -> None:
    (tmp_path / "project" / "jobs").mkdir(parents=True)
    (tmp_path / "project" / "jobs" / "a.py").write_text("mine")
    (tmp_path / "root").symlink_to(tmp_path / "project")
    before = picture(tmp_path / "project")
    with pytest.raises(EmulatorError, match="is no root of a local cloud"):
        serve(tmp_path / "root")
    assert picture(tmp_path / "project") == before


@ways
@pytest.mark.parametrize("name", ["jobs", "trash", "server.log", "state.sqlite", "api_key", "users.lock"])
def test_a_link_inside_a_root_is_not_followed(tmp_path: Path, serve: Callable[[Path], None], name: str) -> None:
    root, theirs = tmp_path / "root", tmp_path / "theirs"
    serve(root)
    theirs.mkdir()
    (theirs / "a.py").write_text("mine")
    inside = root / name
    if inside.is_dir():
        inside.rename(tmp_path / "away")
        inside.symlink_to(theirs)
    else:
        inside.unlink(missing_ok=True)
        inside.symlink_to(theirs / "a.py")
    before = picture(theirs)
    with pytest.raises(EmulatorError, match=f"{name} is no .* that a local cloud made"):
        serve(root)
    assert picture(theirs) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
@ways
def test_a_folder_of_another_user_is_refused(tmp_path: Path, serve: Callable[[Path], None]) -> None:
    root = tmp_path / "theirs"
    root.mkdir()
    os.chown(root, 12345, 12345)
    with pytest.raises(EmulatorError, match="belongs to another user, whose id is 12345"):
        serve(root)
    assert list(root.iterdir()) == []


def test_a_temporary_root_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    cloud = LocalCloud()
    temporary = cloud.root
    cloud.root = tmp_path
    with pytest.raises(EmulatorError):
        cloud.start()
    assert not temporary.exists()
    assert (tmp_path / "mine").read_text() == "mine"


def test_code_in_a_studio_has_the_umask_of_the_one_who_started_the_server(tmp_path: Path) -> None:
    script = """
from lightning_sdk import Studio
studio = Studio("umask")
studio.start()
print(studio.run("umask"))
"""
    with LocalCloud(tmp_path / "root") as cloud:
        environ = {**os.environ, **cloud.environ}
        argv = [sys.executable, "-W", "ignore", "-c", script]
        result = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ)
    own = subprocess.run(["bash", "-c", "umask"], check=True, capture_output=True, text=True).stdout
    assert result.stdout == own, result.stderr


def test_faults_never_send_the_key_of_the_account_to_its_address(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "LIGHTNING_CLOUD_URL": f"https://{uuid4().hex}.invalid",
        "LIGHTNING_API_KEY": "of-the-account",
        "LIGHTNING_NATIVE_HOME": str(tmp_path),
    }
    argv = [sys.executable, "-m", "lightning_native", "emulator", "fault", "list"]
    result = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ)
    assert result.returncode == 1
    assert result.stderr.startswith("error: no local cloud runs in ")
