"""Real processes: started in a session of their own, found again by a marker, ended with all they left behind.

The marker is an environment variable with a random value for each studio or job. Detached processes inherit it,
so it also finds what left its session and its parent, and it still does after the server was killed and started again.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning_native.errors import EmulatorError

MARKER = "LIGHTNING_NATIVE_EMULATOR_MARKER"
_GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.01


def require_linux() -> None:
    """Raise `EmulatorError` where processes cannot be found again."""
    if not Path("/proc/self/environ").exists():
        raise EmulatorError(
            f"the local cloud needs Linux (or WSL 2, or a Linux container): {sys.platform} has no /proc"
        )


async def start(
    argv: Sequence[str], *, directory: Path, environment: Mapping[str, str], output: Path
) -> asyncio.subprocess.Process:
    """Start a process whose output, both streams, goes to a file.

    A file, not a pipe: the end of the process is then the end of the command, whatever it leaves running.
    """
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=directory,
            env=dict(environment),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def start_time(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; None if it is not there or only a zombie.

    With the process id it names one process for good.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def find(marker: str) -> list[int]:
    """Return the ids of all processes that carry a marker."""
    wanted = f"{MARKER}={marker}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # Processes end while we look, and those of other users cannot be read.
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def end(marker: str, grace: float = _GRACE_SECONDS) -> None:
    """End all processes that carry a marker: ask them, wait at most `grace` seconds, then kill what is left."""
    deadline = time.monotonic() + grace
    asked: set[int] = set()
    while running := find(marker):
        late = time.monotonic() > deadline
        for pid in running:
            if late or pid not in asked:
                asked.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(_POLL_SECONDS)
