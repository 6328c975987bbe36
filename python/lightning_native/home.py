"""The folder in which this package keeps its own files, and the private files in it."""

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_native.errors import LightningNativeError


def home() -> Path:
    """Return the folder for journal, runs and the local cloud, created with mode 0700 if missing.

    `LIGHTNING_NATIVE_HOME` names it; by default it is `lightning-native` in the user's data folder.

    Raises:
        LightningNativeError: this user has no home, or may not create the folder.
    """
    named = os.environ.get("LIGHTNING_NATIVE_HOME")
    hint = "set LIGHTNING_NATIVE_HOME to a folder of this user's"
    try:
        data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share")
        folder = Path(named or data / "lightning-native").expanduser().absolute()
    except RuntimeError as error:
        # A container's user, for example, may have neither an entry in /etc/passwd nor a HOME.
        raise LightningNativeError(f"this user's home is not known: {error} {hint[0].upper()}{hint[1:]}") from error
    try:
        # An existing folder keeps its mode, because it may hold the user's own files.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LightningNativeError(f"cannot make {folder}: {error.strerror}; {hint}") from error
    return folder


def private_folder(path: Path) -> Path:
    """Return a folder of ours, created with mode 0700 if missing; its parent exists."""
    path.mkdir(mode=0o700, exist_ok=True)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o700)
    return path


def private(path: str, flags: int) -> int:
    """Open a file of ours with mode 0600 whatever the umask: an `opener` for `open`."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
        os.fchmod(descriptor, 0o600)
    return descriptor


def write_private(path: Path, text: str) -> None:
    """Write a file of ours with mode 0600."""
    with open(path, "w", encoding="utf-8", opener=private) as stream:
        stream.write(text)


@contextmanager
def locked(name: str, pause: Callable[[float], object] = time.sleep, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock across threads and processes, exclusive or `shared`; `pause` waits while it is held elsewhere."""
    path = private_folder(home() / "locks") / name
    with open(path, "w", opener=private) as lock:
        while True:
            try:
                fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pause(0.05)
        yield
