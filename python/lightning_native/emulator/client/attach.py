"""One local cloud that several processes share: found when it runs, started when not, ended by its last user."""

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lightning_native.child_process import python_module
from lightning_native.emulator.client.local_cloud import not_started, strict_arguments
from lightning_native.emulator.host.keep_alive import is_kept
from lightning_native.emulator.state.profile import profile_arguments
from lightning_native.emulator.state.root import LIFELINE, LOG_FILE, START_LOCK, lock_root, open_private, open_root
from lightning_native.emulator.state.server_file import read_environ, read_server, warn_of_kept
from lightning_native.errors import EmulatorError
from lightning_native.home import home

_START_SECONDS = 60.0
_END_SECONDS = 30.0
_POLL_SECONDS = 0.01


_STRICT, _PYTHON = "LIGHTNING_NATIVE_STRICT", "LIGHTNING_NATIVE_PYTHON"
_NO_INDEX, _PREINSTALLED = "LIGHTNING_NATIVE_NO_INDEX", "LIGHTNING_NATIVE_PREINSTALLED"
_PROFILE = "LIGHTNING_NATIVE_PROFILE"


def is_strict() -> bool:
    """Whether the variables ask for a local cloud whose machines know nothing about this computer."""
    return _is_set(_STRICT)


def default_root() -> Path:
    """Return where the shared local cloud keeps its studios: below `LIGHTNING_NATIVE_HOME`."""
    return home() / ("strict-cloud" if is_strict() else "cloud")


@contextmanager
def attach(root: Path) -> Iterator[dict[str, str]]:
    """Use the local cloud of a root, and yield the environment variables with which the SDK reaches it.

    A cloud that was started here ends with its last user, also when that one is killed, or with the last controller on
    its own machines; one that runs on its own stays.

    Raises:
        EmulatorError: the root is no root of a local cloud, and nothing was written into it; or the server cannot be
            started, and the message ends with what it logged.
    """
    root = open_root(root)
    with open_private(root / "users.lock") as users:
        # The last user holds it alone until the server is gone, so that no other user attaches to an ending server.
        fcntl.flock(users, fcntl.LOCK_SH)
        with open_private(root / START_LOCK) as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            environ = read_environ(root)
            if environ is not None:
                _check_strict(root)
            lifeline = _start(root) if environ is None else _join(root)
        try:
            yield {**(environ or read_environ(root) or {}), "LIGHTNING_NATIVE_CLOUD_ROOT": str(root)}
        finally:
            last = _is_last(users)
            if lifeline is not None:
                lifeline.release()
                if last:
                    lifeline.wait_for_end(root)


class _Lifeline:
    """The writing end of a pipe; the server ends when no process holds one any more."""

    def __init__(self, descriptor: int, server: "subprocess.Popen[bytes] | None" = None) -> None:
        self._descriptor = descriptor
        self._server = server

    def release(self) -> None:
        os.close(self._descriptor)

    def wait_for_end(self, root: Path) -> None:
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline:
            if (lock := lock_root(root)) is not None:
                lock.close()
                break
            if is_kept(root):
                return
            time.sleep(_POLL_SECONDS)
        if self._server is not None:
            with suppress(subprocess.TimeoutExpired):
                self._server.wait(_END_SECONDS)


def _start(root: Path) -> _Lifeline:
    fifo = root / LIFELINE
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo, 0o600)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY)
    log = root / LOG_FILE
    argv = python_module("lightning_native", "emulator", "--root", str(root), "--stop-with-stdin", *_arguments())
    with open_private(log, empty=True) as stream:
        server = subprocess.Popen(
            argv, stdin=reader, stdout=subprocess.DEVNULL, stderr=stream, start_new_session=True, env=_own_variables()
        )
    os.close(reader)
    deadline = time.monotonic() + _START_SECONDS
    while read_environ(root) is None:
        if server.poll() is not None or time.monotonic() > deadline:
            os.close(writer)
            server.kill()
            server.wait()
            raise not_started(log.read_text(errors="replace"))
        time.sleep(_POLL_SECONDS)
    warn_of_kept(root)
    return _Lifeline(writer, server)


def _join(root: Path) -> _Lifeline | None:
    """Hold the lifeline of a running server; None when it runs on its own."""
    with suppress(OSError):
        return _Lifeline(os.open(root / LIFELINE, os.O_WRONLY | os.O_NONBLOCK))
    return None


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() not in ("", "0", "false", "no")


def _arguments() -> list[str]:
    profile = os.environ.get(_PROFILE, "")
    return [*(profile_arguments(profile, {}) if profile else []), *_strict_arguments()]


def _strict_arguments() -> list[str]:
    if not is_strict():
        return []
    preinstalled = os.environ.get(_PREINSTALLED)
    return strict_arguments(
        strict=True,
        python=os.environ.get(_PYTHON) or None,
        index=not _is_set(_NO_INDEX),
        preinstalled=None if preinstalled is None else preinstalled.split(),
    )


def _check_strict(root: Path) -> None:
    if is_strict() and not (read_server(root) or {}).get("strict"):
        raise EmulatorError(f"the local cloud in {root} runs already and is not strict; stop it, or unset {_STRICT}")


def _own_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LIGHTNING_")}


def _is_last(users: IO[bytes]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
