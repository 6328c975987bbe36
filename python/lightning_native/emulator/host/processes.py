"""Real processes: started in a session of their own, found again by a marker, ended with all their children.

The marker is an environment variable with a random value for each studio or job. Detached processes inherit it,
so it also finds processes that left their session and parent, also after the server was killed and started again.
"""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_native.emulator.host.namespaces import Namespace
from lightning_native.errors import EmulatorError

MARKER = "LIGHTNING_NATIVE_EMULATOR_MARKER"
_GRACE_SECONDS = 2.0
# Between two searches for processes of a marker, which read the variables of every process: while some are ending …
_LOOK_SECONDS = 0.1
# … and while they are killed.
_SHORTEST_LOOK_SECONDS = 0.01
_LOADING_SECONDS = 0.0005
# They would use up a computer on which people, this server and the controllers of runs work, too.
_NICENESS = 10
# Code in studios and jobs has the umask that the server was started with; the server's own keeps other users out.
_UMASK = os.umask(0o077)
os.umask(_UMASK)
# The umask in strict machines.
_THEIR_UMASK = 0o022


def require_linux() -> None:
    """Raise `EmulatorError` where processes cannot be found again."""
    if not Path("/proc/self/environ").exists():
        raise EmulatorError(
            f"the local cloud needs Linux (or WSL 2, or a Linux container): {sys.platform} has no /proc"
        )


@dataclass(frozen=True)
class Process:
    """A process that runs or ran, our own child or one that an earlier server started.

    Attributes:
        pid: its process id.
        identity: its start time, which distinguishes it from a later process with the same id.

    """

    pid: int
    identity: str
    _child: subprocess.Popen[bytes] | None = None

    def go(self) -> None:
        """Let a process begin that was started to wait."""
        if self._child is not None and self._child.stdin is not None:
            with contextlib.suppress(OSError), self._child.stdin:
                self._child.stdin.write(b"go\n")

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return bool(self.identity) and start_time(self.pid) == self.identity

    async def wait(self) -> None:
        """Wait until it has ended."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            loop = asyncio.get_running_loop()
            ended = asyncio.Event()
            loop.add_reader(descriptor, ended.set)
            try:
                if self.is_running():
                    await ended.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        if self._child is not None:
            self._child.wait()


def start(
    argv: Sequence[str],
    *,
    directory: Path,
    variables: Mapping[str, str],
    output: Path,
    folder: Path | None = None,
    namespace: Namespace | None = None,
    waits: bool = False,
) -> Process:
    """Start a process whose output, both streams, goes to a file.

    With a folder, its last two arguments are the names of files: the `command` there, and the `exit_code` to write.
    The output is a file and not a pipe, so that the command ends with the process, whatever the process leaves running.
    A process that `waits` has a pipe as its input: it receives a line on `go`, and its end when this server ends.
    """
    with contextlib.ExitStack() as opened, output.open("ab") as stream:
        passed: list[int] = []
        if folder and namespace and namespace.hides_files:
            passed = _open_for(namespace.owner, folder, stream.fileno())
            opened.callback(_close_all, passed)
            argv = [*argv, *(f"/dev/fd/{number}" for number in passed)]
        elif folder:
            argv = [*argv, str(folder / "command"), str(folder / "exit_code")]
        child = subprocess.Popen(
            # A niceness that is set from outside would miss children that the process had started by then.
            ["nice", "-n", str(_NICENESS), *(namespace.wrap(argv) if namespace else argv)],
            pass_fds=[*(namespace.descriptors if namespace else ()), *passed],
            stdin=subprocess.PIPE if waits else subprocess.DEVNULL,
            bufsize=0,
            stdout=stream,
            stderr=stream,
            cwd=directory,
            env=variables,
            start_new_session=True,
            umask=_THEIR_UMASK if namespace and namespace.hides_files else _UMASK,
        )
    with contextlib.suppress(OSError):
        # With autogroups, the niceness of a process counts within its session only.
        Path(f"/proc/{child.pid}/autogroup").write_text(str(_NICENESS))
    return Process(child.pid, start_time(child.pid) or "", child)


def _open_for(owner: int | None, folder: Path, output: int) -> list[int]:
    """Open a command and its exit code for a machine that cannot see their folder."""
    command = os.open(folder / "command", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    opened = [command, os.open(folder / "exit_code", flags, 0o600)]
    if owner is not None:
        # Programs reopen `/dev/stdout` and `/dev/fd/N` as their own user.
        for descriptor in (*opened, output):
            os.fchown(descriptor, owner, owner)
    return opened


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def start_time(pid: int) -> str | None:
    """Return the start time of a process in ticks since boot; None for a zombie or no process.

    Together with the process id it is unique.
    """
    try:
        fields = _status(pid)
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _status(pid: int | str) -> list[str]:
    """Return the fields of a process in `/proc/PID/stat` from its state on, which is the third."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def _mount_namespace(pid: str) -> int:
    # Not through Path, which takes longer than the system call: this runs for all processes whenever a job ends.
    return os.stat(f"/proc/{pid}/ns/mnt").st_ino  # noqa: PTH116 - see above


def _variables_of(pid: str) -> bytes:
    """Return the variables of a process; during an exec, those of the new program."""
    variables = _read_variables(pid)
    while not variables and _has_program(pid):
        loading = _is_loading(pid)
        # Again, because the program may have been loaded meanwhile.
        variables = _read_variables(pid)
        if not loading:
            break
        time.sleep(_LOADING_SECONDS)
    return variables


def _read_variables(pid: str) -> bytes:
    with open(f"/proc/{pid}/environ", "rb", buffering=0) as environ:  # noqa: PTH123 - Path is slower
        return environ.read()


def _has_program(pid: str) -> bool:
    """Whether a process is not one of the kernel's own, which have no variables either."""
    try:
        os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - Path is slower
    except OSError:
        return False
    return True


def _is_loading(pid: str) -> bool:
    """Whether a program has its memory already, but not yet its variables."""
    fields = _status(pid)
    memory, end_of_variables = fields[20], fields[48]
    return memory != "0" and end_of_variables == "0"


def find(marker: str, namespace: int | None = None) -> list[int]:
    """Return the ids of all processes that carry a marker or are in the namespace of one that does.

    A process can wipe its variables, but it does not leave its namespace.
    """
    wanted = f"{MARKER}={marker}".encode()
    own = _mount_namespace("self")
    marked, namespaces, others = [], {namespace} - {None}, []
    for name in os.listdir("/proc"):  # noqa: PTH208 - see above
        if name.isdigit():
            # Processes end during the search, and those of other users cannot be read.
            with contextlib.suppress(OSError):
                inside = _mount_namespace(name)
                if wanted in _variables_of(name).split(b"\0"):
                    marked.append(int(name))
                    namespaces.add(inside)
                elif inside != own:
                    others.append((int(name), inside))
    return marked + [pid for pid, inside in others if inside in namespaces - {own}]


def any_has(variable: str, value: str) -> bool:
    """Whether a process has a variable with this value."""
    wanted = f"{variable}={value}".encode()
    for name in os.listdir("/proc"):  # noqa: PTH208 - see above
        if name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in _variables_of(name).split(b"\0"):
                    return True
    return False


def end(marker: str, namespace: int | None = None, *, keeper: int = 0, grace: float = _GRACE_SECONDS) -> None:
    """End all processes that carry a marker: ask them, wait at most `grace` seconds, then kill the rest.

    Args:
        marker: the marker.
        namespace: the number of a mount namespace that is held open; its processes end, too.
        keeper: the process in it that continues.
        grace: seconds.

    """
    deadline = time.monotonic() + grace
    asked: set[int] = set()
    while running := [pid for pid in find(marker, namespace) if pid != keeper]:
        late = time.monotonic() > deadline
        for pid in running:
            if late or pid not in asked:
                asked.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        _wait_for_all(running, min(_LOOK_SECONDS, max(deadline - time.monotonic(), _SHORTEST_LOOK_SECONDS)))


def _wait_for_all(pids: Sequence[int], seconds: float) -> None:
    """Wait until processes have ended, at most so many seconds."""
    deadline = time.monotonic() + seconds
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            try:
                end = select.poll()
                end.register(descriptor, select.POLLIN)
                end.poll(max(0.0, deadline - time.monotonic()) * 1000)
            finally:
                os.close(descriptor)
