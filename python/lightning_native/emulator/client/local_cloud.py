"""A local cloud for the length of a `with` block, in a process of its own."""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lightning_native.child_process import python_module
from lightning_native.emulator.client.fault_client import Faults
from lightning_native.emulator.state.profile import profile_arguments
from lightning_native.emulator.state.root import (
    LOG_FILE,
    lock_root,
    open_private,
    open_root,
    root_folder,
)
from lightning_native.emulator.state.server_file import read_environ, read_server, warn_of_kept
from lightning_native.errors import EmulatorError

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.01
_LOG_LINES = 20

logger = logging.getLogger("lightning_native.emulator")


def not_started(logged: str) -> EmulatorError:
    """Return the error about a server that did not start, with the end of what it logged as the reason."""
    lines = logged.strip().splitlines()[-_LOG_LINES:]
    reason = "\n".join(lines).removeprefix("error: ").replace("\nhint: ", "; ")
    return EmulatorError(f"the local cloud did not start: {reason or 'no reason was logged'}")


class LocalCloud:
    """A Lightning cloud on this machine that the unmodified `lightning-sdk` talks to.

    Set `environ` before the SDK is imported: it reads the address once.

    Args:
        root: the folder that keeps studios, files and the API key: a new or empty one, or one of an earlier local
            cloud; a temporary one, deleted at the end, when None.
        port: the port on 127.0.0.1; 0 for the one of last time, or any free one.
        boot_seconds: simulated seconds from the request for a studio's machine until it runs.
        job_start_seconds: simulated seconds from the submission of a job until its command runs.
        machine_seconds: durations for single machines instead of these two, by slug such as `lit-l4-1`.
        clock_rate: simulated seconds that pass in one real second.
        strip_home_prefix: whether an upload to `/teamspace/studios/this_studio/X` goes to `X`, as older SDKs sent it.
        namespaces: whether code finds its files at `/teamspace/studios/this_studio`, where the kernel allows it.
        strict: whether machines have the platform's user, folders, packages and network, and nothing of this computer.
        python: the version of Python that strict machines have, such as 3.12; the platform's when None.
        index: whether strict machines reach the package index, or nothing but this computer.
        preinstalled: the requirements of what strict machines have; what the platform has when None.
        profile: how much of the platform's behaviour over time it models: `quick` (by default), `platform` or
            `free-plan`.
        parts: values of single parts of the profile, such as `{"snapshot_seconds": 300}`; see
            `lightning_native.emulator.state.profile.Profile`.
        as_reported: a conformance report (JSON) whose measured values become parts; the profile is then `platform`
            unless another one is named.

    Attributes:
        root: the folder.
        url: the address, while it runs.
        environ: the environment variables with which the SDK reaches it, while it runs.

    Example:
        >>> with LocalCloud() as cloud:  # doctest: +SKIP
        ...     subprocess.run([sys.executable, "train.py"], env={**os.environ, **cloud.environ})

    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        port: int = 0,
        boot_seconds: float = 0.0,
        job_start_seconds: float = 0.0,
        machine_seconds: Mapping[str, float] | None = None,
        clock_rate: float = 1.0,
        strip_home_prefix: bool = False,
        namespaces: bool = True,
        strict: bool = False,
        python: str | None = None,
        index: bool = True,
        preinstalled: Sequence[str] | None = None,
        profile: str | None = None,
        parts: Mapping[str, float] | None = None,
        as_reported: str | os.PathLike[str] | None = None,
    ) -> None:
        named = profile or ("quick" if as_reported is None else "platform")
        profiled = profile_arguments(named, dict(parts or {}))
        if as_reported is not None:
            profiled.append(f"--as-reported={Path(as_reported).absolute()}")
        self._temporary = Path(tempfile.mkdtemp(prefix="lightning-native-cloud-")) if root is None else None
        self.root = self._temporary or root_folder(root or "").absolute()
        self._arguments = [
            f"--port={port}",
            f"--boot-seconds={boot_seconds}",
            f"--job-start-seconds={job_start_seconds}",
            f"--clock-rate={clock_rate}",
            *([] if namespaces else ["--no-namespace"]),
            *(["--strip-home-prefix"] if strip_home_prefix else []),
            *strict_arguments(strict=strict, python=python, index=index, preinstalled=preinstalled),
            *profiled,
            *(f"--machine-seconds={slug}={seconds}" for slug, seconds in (machine_seconds or {}).items()),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.environ: dict[str, str] = {}

    def start(self) -> None:
        """Start the server and wait until it is ready.

        Raises:
            EmulatorError: the root is no root of a local cloud, and nothing was written into it; or the server could
                not start, and the message ends with what it logged.

        """
        try:
            open_root(self.root)
            log_path = self.root / LOG_FILE
            log = open_private(log_path)
        except EmulatorError:
            self.stop()
            raise
        with log:
            offset = log_path.stat().st_size
            command = python_module("lightning_native", "emulator", "--root", str(self.root))
            self._process = subprocess.Popen(
                [*command, "--stop-with-stdin", *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                # Ctrl-C in a terminal is for the caller, which then stops us.
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while (server := self._read_server_file()) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                logged = log_path.read_bytes()[offset:].decode(errors="replace")
                self.stop()
                raise not_started(logged)
            time.sleep(_POLL_SECONDS)
        self.url = server["url"]
        self.environ = read_environ(self.root) or {}
        warn_of_kept(self.root)

    @property
    def pid(self) -> int:
        """The process id of the server, while it runs."""
        if self._process is None:
            raise EmulatorError("the local cloud does not run")
        return self._process.pid

    @property
    def faults(self) -> Faults:
        """The faults of this cloud, while it runs."""
        return Faults(self.url, self.environ["LIGHTNING_API_KEY"])

    def _read_server_file(self) -> dict[str, Any] | None:
        server = read_server(self.root)
        return server if server and self._process and server["pid"] == self._process.pid else None

    def stop(self) -> None:
        """Stop the server with all processes of its studios; does nothing when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None  # noqa: S101 - a pipe was asked for
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._temporary is not None:
            # Not `root`: the caller may have chosen that folder.
            shutil.rmtree(self._temporary, ignore_errors=True)

    def kill(self) -> None:
        """Kill the server as a crash would: nothing is cleaned up, processes of studios go on; `start` again later."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdin is not None  # noqa: S101 - a pipe was asked for
            process.stdin.close()

    def __enter__(self) -> "LocalCloud":
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()


def strict_arguments(*, strict: bool, python: str | None, index: bool, preinstalled: Sequence[str] | None) -> list[str]:
    """Return the options of the command that ask for strict machines."""
    return [
        *(["--strict"] if strict else []),
        *([f"--python={python}"] if python is not None else []),
        *([] if index else ["--no-index"]),
        *([f"--preinstalled={' '.join(preinstalled)}"] if preinstalled is not None else []),
    ]


def stop_server(root: Path) -> None:
    """Stop the server of a root, with all processes of its studios, and wait until it has; without one, do nothing.

    Raises:
        EmulatorError: it does not end.

    """
    server = read_server(root)
    if server is None or read_environ(root) is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(server["pid"], signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while (lock := lock_root(root)) is None:
        if time.monotonic() > deadline:
            raise EmulatorError(f"process {server['pid']}, the local cloud of {root}, does not end; end it by hand")
        time.sleep(_POLL_SECONDS)
    lock.close()
