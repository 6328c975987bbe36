"""Where this package keeps its own files."""

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_native.errors import LightningNativeError


def home() -> Path:
    """Return the folder for journals, runs and the local cloud, made with mode 0700 if missing.

    `LIGHTNING_NATIVE_HOME` names it; by default it is `lightning-native` in the user's data folder.

    Raises:
        LightningNativeError: this user has no home, or may not write where the folder would be.
    """
    named = os.environ.get("LIGHTNING_NATIVE_HOME")
    hint = "set LIGHTNING_NATIVE_HOME to a folder of this user's"
    try:
        data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share")
        folder = Path(named or data / "lightning-native").expanduser().absolute()
    except RuntimeError as error:
        # A container's user, for example, has no entry in /etc/passwd, and maybe no HOME.
        raise LightningNativeError(f"this user's home is not known: {error} {hint[0].upper()}{hint[1:]}") from error
    try:
        # One that was there before may hold what is its user's, who decides who sees that.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LightningNativeError(f"cannot make {folder}: {error.strerror}; {hint}") from error
    return folder


def private_folder(path: Path) -> Path:
    """Have a folder of ours be there, for its owner only, and return it; the folder that it is in is there."""
    path.mkdir(mode=0o700, exist_ok=True)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o700)
    return path


def private(path: str, flags: int) -> int:
    """Open a file of ours, for its owner only whatever the umask is: an `opener` for `open`."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
        os.fchmod(descriptor, 0o600)
    return descriptor


def write_private(path: Path, text: str) -> None:
    """Write a file of ours, for its owner only."""
    with open(path, "w", encoding="utf-8", opener=private) as stream:
        stream.write(text)


@contextmanager
def locked(name: str, pause: Callable[[float], object] = time.sleep, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock that one thread of one process has at a time, or many share; `pause` waits for those who have it."""
    path = private_folder(home() / "locks") / name
    with open(path, "w", opener=private) as lock:
        while True:
            try:
                fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pause(0.05)
        yield
