"""A root: the folder of one local cloud, known by a marker; only here, the cloud empties folders and changes modes.

The server, `LocalCloud` and `attach` call `open_root` before they write anything.
"""

import fcntl
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

from lightning_native.errors import EmulatorError

MARKER = ".lightning-native-cloud"
KEY_FILE = "api_key"
DATABASE_FILE = "state.sqlite"
LOG_FILE = "server.log"
SERVER_FILE = "server.json"
LIFELINE = "lifeline"
START_LOCK = "start.lock"
LOST_AND_FOUND = "lost+found"
_MARKER_TEXT = "A local Lightning cloud of lightning-native keeps its files here.\n"
_FOLDERS = (
    "studios",
    "jobs",
    "commands",
    "snapshots",
    "drives",
    "uploads",
    "templates",
    "machines",
    "trash",
    LOST_AND_FOUND,
)
_LOCKS = ("lock", "users.lock", START_LOCK)
_FILES = (MARKER, KEY_FILE, DATABASE_FILE, LOG_FILE, SERVER_FILE, LIFELINE, *_LOCKS)
# It may be a link, because a large cache may lie on another disk.
_CACHE = "cache"
# The keys of `read_or_create_key`.
_KEY = re.compile(r"[A-Za-z0-9_-]{43}\n?")
_HINT = "choose a folder that is new or empty: another --root, or another LIGHTNING_NATIVE_HOME for the shared one"


def root_folder(text: str | os.PathLike[str]) -> Path:
    """Return the folder that a root's name stands for.

    Raises:
        EmulatorError: the name is empty, which would be the working folder, or is no path.

    """
    name = os.fspath(text)
    if not name.strip():
        raise EmulatorError("the root of a local cloud has an empty name; give a folder, such as ./cloud")
    if "\0" in name:
        raise EmulatorError(f"the root {name!r} has a NUL in its name; give a folder, such as ./cloud")
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise EmulatorError(f"the root {name}: {error}; give a folder, such as ./cloud") from error


def open_root(folder: Path) -> Path:
    """Return a root as an absolute path without links; a new one, or an empty folder, gets our marker first.

    Raises:
        EmulatorError: the folder is not ours, or cannot be used; nothing was written into it.

    """
    try:
        root = folder.resolve()
        if not root.exists():
            root.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                root.mkdir(mode=0o700)
                root.chmod(0o700)
        _check(root)
        if not (root / MARKER).exists():
            _mark(root)
    except (OSError, RuntimeError) as error:
        # The latter means a circle of links.
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise EmulatorError(f"cannot use {folder} as the root: {reason}; choose another --root") from error
    return root


def _check(root: Path) -> None:
    if not root.is_dir():
        raise EmulatorError(f"the root {root} is a file; {_HINT}")
    if (owner := root.stat().st_uid) != os.geteuid():
        raise EmulatorError(f"the root {root} belongs to another user, whose id is {owner}; {_HINT}")
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise EmulatorError(f"the root {root} cannot be written to; {_HINT}")
    # The marker is written first: a process that sees another file of a new root sees the marker afterwards.
    names = os.listdir(root)  # noqa: PTH208 - names are what is asked for
    if names and not (root / MARKER).is_file() and not _is_of_an_earlier_version(root, names):
        raise EmulatorError(
            f"{root} is no root of a local cloud: it is not empty and has no {MARKER}. "
            f"Nothing in it was touched; {_HINT}"
        )
    for name in (*_FOLDERS, *_FILES):
        _check_entry(root / name)


def _check_entry(path: Path) -> None:
    """Raise for an entry through which the cloud would empty or write something outside of the root."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if path.name in _FOLDERS and not stat.S_ISDIR(mode):
        kind = "folder"
    elif path.name in _FILES and not (stat.S_ISREG(mode) or (path.name == LIFELINE and stat.S_ISFIFO(mode))):
        kind = "file"
    else:
        return
    raise EmulatorError(f"{path} is no {kind} that a local cloud made; move it away, or choose another --root")


def _is_of_an_earlier_version(root: Path, names: list[str]) -> bool:
    """Whether a folder without a marker is a root: earlier versions had none."""
    known = {*_FILES, *_FOLDERS, _CACHE, f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm"}
    if {"users.lock", START_LOCK} <= set(names) <= known and KEY_FILE not in names:
        # A root whose server never started.
        return not any(root.joinpath(name).exists() for name in _FOLDERS)
    try:
        key = root / KEY_FILE
        return (
            stat.S_ISREG((root / DATABASE_FILE).lstat().st_mode)
            and stat.S_ISREG(key.lstat().st_mode)
            and _KEY.fullmatch(key.read_text()) is not None
        )
    except (OSError, UnicodeDecodeError):
        return False


def _mark(root: Path) -> None:
    with suppress(FileExistsError):
        descriptor = os.open(root / MARKER, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)
            file.write(_MARKER_TEXT)


def make_private(root: Path) -> None:
    """Keep other users out of all files and folders right below a root, also those of earlier versions."""
    for name in (*_FOLDERS, _CACHE):
        folder = root / name
        if name != LOST_AND_FOUND:
            folder.mkdir(mode=0o700, exist_ok=True)
        if folder.exists() and not folder.is_symlink():
            folder.chmod(0o700)
    for name in (*_FILES, f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm"):
        with suppress(FileNotFoundError):
            (root / name).chmod(0o600)


def open_private(path: Path, *, empty: bool = False) -> IO[bytes]:
    """Open a file of a root to append to it, or emptied; only its owner can read it, whatever the umask.

    Raises:
        EmulatorError: it cannot be opened.

    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_TRUNC if empty else 0)
    try:
        descriptor = os.open(path, flags, 0o600)
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise EmulatorError(f"cannot write {path}: {error.strerror}; choose another --root") from error
    return os.fdopen(descriptor, "ab")


def lock_root(root: Path) -> IO[bytes] | None:
    """Return the lock that the server of a root holds, taken; None when a server holds it."""
    lock = open_private(root / "lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
