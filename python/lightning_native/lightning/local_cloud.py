"""The local cloud on this machine: found when it runs, started when it does not, ended by its last user's leaving."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lightning_native.errors import EmulatorError
from lightning_native.home import home

_START_SECONDS = 60.0
_END_SECONDS = 10.0


def default_root() -> Path:
    """Return where the local cloud keeps its studios unless told otherwise."""
    return home() / "cloud"


@contextmanager
def attach(root: Path) -> Iterator[dict[str, str]]:
    """Use the local cloud in `root`, and yield the environment that the SDK needs to reach it.

    A cloud that was started here ends when its last user leaves; one that was running before goes on.

    Raises:
        EmulatorError: it cannot be started; the message has the end of its log.

    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (root / "users.lock").open("a") as users:
        # Waits for a server that is just ending: it holds this lock alone.
        fcntl.flock(users, fcntl.LOCK_SH)
        with (root / "start.lock").open("a") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            environ = _running(root) or _start(root)
        try:
            yield {**environ, "LIGHTNING_NATIVE_CLOUD_ROOT": str(root)}
        finally:
            last = _is_last_user(users)
    if last and _ends_when_unused(root):
        _wait_for_end(root)


def _running(root: Path) -> dict[str, str] | None:
    try:
        server = json.loads((root / "server.json").read_text())
        os.kill(server["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    environ: dict[str, str] = server["environ"]
    return environ


def _start(root: Path) -> dict[str, str]:
    argv = [sys.executable, "-m", "lightning_native", "emulator", "--port", "0", "--root", str(root)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}
    log = root / "server.log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [*argv, "--exit-when-unused", str(root / "users.lock")],
            env=inherited,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stream,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        environ = _running(root)
        if environ is not None:
            return environ
        time.sleep(0.02)
    server.kill()
    raise EmulatorError(f"the local cloud did not start in {root}:\n{log.read_text(errors='replace')[-2000:]}")


def _is_last_user(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ends_when_unused(root: Path) -> bool:
    try:
        return bool(json.loads((root / "server.json").read_text()).get("exit_when_unused"))
    except (OSError, ValueError):
        return False


def _wait_for_end(root: Path) -> None:
    """Wait for the server that its last user leaves to be gone, so that nothing of a run is left after it."""
    deadline = time.monotonic() + _END_SECONDS
    while _running(root) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
