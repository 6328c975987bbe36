"""Where this package keeps its own files."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def home() -> Path:
    """Return the folder for journals, runs and the local cloud, made with mode 0700 if missing.

    `LIGHTNING_NATIVE_HOME` names it; by default it is `lightning-native` in the user's data folder.
    """
    named = os.environ.get("LIGHTNING_NATIVE_HOME")
    if named:
        folder = Path(named).expanduser().absolute()
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "lightning-native"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str, pause: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Hold a lock that one process, and one thread of it, has at a time; `pause` waits while another has it."""
    folder = home() / "locks"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / name).open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pause(0.05)
        yield
