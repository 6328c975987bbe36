"""The start of a step in a process that is forked from a warm one, which has ZenML loaded already.

The warm process (`warm_parent`) is the machine's, and has a session of its own. The process that asks it is the one
that the agent started and signals; so it passes signals on, and the warm process kills the step if this one is killed.
"""

import fcntl
import hashlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning_native.agent_protocol import REMOTE_HOME
from lightning_native.child_process import module_arguments
from lightning_native.zenml.variables import ENV_SCRATCH, ENV_STEP_URL

# Variables that differ from step to step, and that nothing reads while it is imported.
_OF_ONE_STEP = (ENV_SCRATCH, ENV_STEP_URL, "ZENML_CONFIG_PATH")
_PARENT = "lightning_native.zenml.step_process.warm_parent"
# It takes requests before it imports anything.
_START_SECONDS = 60.0
_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
# The agent reads the step's peak of memory there, because it knows only the memory of its own children.
PEAK_MEMORY = "peak-memory"


class ColdError(Exception):
    """A warm process cannot be had, or refuses; a fresh process runs the step."""


class WarmChild:
    """A process that a warm one has forked for this one."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self.pid = pid

    def signal(self, number: int) -> None:
        """Send a signal to the process and all of its session."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self) -> int:
        """Wait for the end, and return its exit code; negative for a signal."""
        # Python runs the handler of a signal that comes just before a call only after the call.
        wake, wakened = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
        waited: list[int | socket.socket] = [self._connection, wake]
        while self._connection not in select.select(waited, [], [])[0]:
            os.read(wake, 4096)
        try:
            ended = receive(self._connection)[0]
        except (OSError, ValueError):
            # The warm process was killed, so that nobody knows how the step ends.
            self.signal(signal.SIGKILL)
            sys.stderr.write("lightning-native: the process from which this step was forked has died\n")
            return -signal.SIGKILL
        with suppress(OSError):
            Path(os.environ[ENV_SCRATCH], PEAK_MEMORY).write_text(str(ended["peak_memory"]))
        return int(ended["code"])


def start_warm(request: Mapping[str, Any]) -> WarmChild:
    """Have a process forked that does what `request` asks of `warm_parent`, with this one's place in the system.

    Raises:
        ColdError: the reason why there is none.
    """
    connection = _connected(_folder())
    try:
        place = {
            "argv": sys.argv,
            "path": sys.path,
            "environment": dict(os.environ),
            "umask": _umask(),
            "limits": [resource.getrlimit(limit)[0] for limit in _LIMITS],
            "niceness": os.getpriority(os.PRIO_PROCESS, 0),
            "affinity": sorted(os.sched_getaffinity(0)),
            **request,
        }
        here = os.open(".", os.O_RDONLY)
        try:
            send(connection, place, [0, 1, 2, here])
        finally:
            os.close(here)
        answer = receive(connection)[0]
    except (OSError, ValueError) as error:
        connection.close()
        raise ColdError(f"the warm process does not answer: {error}") from error
    if "refused" in answer:
        connection.close()
        raise ColdError(str(answer["refused"]))
    return WarmChild(connection, int(answer["pid"]))


def _folder() -> Path:
    """Return the folder of the warm process whose imports would be the same as this one's."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ONE_STEP}
    described = [
        sys.executable,
        sys.version,
        __file__,
        sys.path,
        str(Path.cwd()),
        sys.flags,
        sorted(environment.items()),
    ]
    key = hashlib.sha256(json.dumps(described, default=str).encode()).hexdigest()[:32]
    folder = Path.home() / REMOTE_HOME / "warm" / key
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _connected(folder: Path) -> socket.socket:
    """Return a connection to the warm process of a folder, which is started if there is none."""
    if sys.platform != "linux":
        raise ColdError("warm processes need Linux")
    directory = os.open(folder, os.O_RDONLY)
    try:
        # One of several steps that begin at once starts it.
        fcntl.flock(directory, fcntl.LOCK_EX)
        with suppress(OSError):
            return _connection(directory)
        started = _start(folder)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and not os.waitpid(started, os.WNOHANG)[0]:
            with suppress(OSError):
                return _connection(directory)
            time.sleep(0.005)
        raise ColdError(f"the warm process did not start; {folder}/log may have the reason")
    finally:
        os.close(directory)


def _connection(directory: int) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The names of sockets have 107 bytes at most, which a home may be longer than.
        connection.connect(f"/proc/self/fd/{directory}/socket")
    except OSError:
        connection.close()
        raise
    return connection


def _start(folder: Path) -> int:
    log = str(folder / "log")
    return os.posix_spawn(
        sys.executable,
        [sys.executable, *module_arguments(_PARENT, str(folder))],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        # The caller blocks signals meanwhile.
        setsigmask=[],
    )


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def send(connection: socket.socket, message: Mapping[str, Any], files: "list[int] | None" = None) -> None:
    """Send a message with open files: its length in eight bytes, then JSON."""
    text = json.dumps(message).encode()
    length = len(text).to_bytes(8, "big")
    if files:
        socket.send_fds(connection, [length], files)
    else:
        connection.sendall(length)
    connection.sendall(text)


def receive(connection: socket.socket) -> "tuple[dict[str, Any], list[int]]":
    """Return the next message and the files that came with it.

    Raises:
        OSError: the connection is broken.
        ValueError: it has ended, or this is no message.
    """
    head, files, _flags, _address = socket.recv_fds(connection, 8, 8)
    while 0 < len(head) < 8 and (more := connection.recv(8 - len(head))):
        head += more
    if len(head) < 8:
        raise ValueError("it has ended")
    left, parts = int.from_bytes(head, "big"), []
    while left and (part := connection.recv(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    message: dict[str, Any] = json.loads(b"".join(parts))
    return message, list(files)
