"""The processes of one home, found by their commands and variables."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def processes_of(home: Path) -> list[int]:
    """Return the other processes that name a home in their command or their variables."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            text = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if str(home).encode() in text and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


def kill_all(home: Path) -> None:
    """Kill all processes of a home, as a power failure does."""
    for pid in processes_of(home):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
