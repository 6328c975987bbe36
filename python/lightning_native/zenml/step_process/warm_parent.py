"""The warm process of a machine: it has ZenML loaded, and forks a process for each step that asks for one.

It has done nothing but import modules: no connection, no thread, no device. It ends when no step has run for a while.
"""

import ctypes
import gc
import importlib
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_native.agent import inherit_niceness
from lightning_native.zenml.step_process import bootstrap
from lightning_native.zenml.step_process.confirmed_end import confirm_with
from lightning_native.zenml.step_process.warm_start import receive, send

# What every step loads, besides the modules of the bootstrap.
_MODULES = (
    "zenml.orchestrators.step_launcher",
    "zenml.orchestrators.step_runner",
    "zenml.artifacts.utils",
    "zenml.materializers",
    "zenml.zen_stores.rest_zen_store",
    "zenml.zen_stores.sql_zen_store",
    "zenml.artifact_stores.local_artifact_store",
)
_IDLE_SECONDS = 30.0
_BLAS_LIMIT = "OPENBLAS_NUM_THREADS"
# Those that OpenBLAS reads, in its order.
_BLAS_NAMES = (_BLAS_LIMIT, "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
# Builds differ in a prefix, and in a suffix for 64-bit integers.
_BLAS_SETTERS = tuple(
    f"{prefix}openblas_set_num_threads{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "")
)


@dataclass
class _Server:
    listener: socket.socket
    unfit: str
    steps: dict[int, socket.socket] = field(default_factory=dict)
    idle_since: float = field(default_factory=time.monotonic)

    def next_request(self) -> "tuple[dict[str, Any], list[int]] | None":
        """Return, in a process of its own, what a step asks for; None in the warm process, at its end."""
        # A signal for each child that ends interrupts the wait.
        wake, wakened = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
        while self.steps or time.monotonic() < self.idle_since + _IDLE_SECONDS:
            waited: list[int | socket.socket] = [wake, self.listener, *self.steps.values()]
            ready, _, _ = select.select(waited, [], [], 1.0)
            with suppress(BlockingIOError):
                os.read(wake, 4096)
            self._reap()
            for child, connection in self.steps.items():
                if connection in ready:
                    _kill(child)
            if self.listener in ready and (request := self._accepted()) is not None:
                os.close(wake)
                os.close(wakened)
                return request
        return None

    def _accepted(self) -> "tuple[dict[str, Any], list[int]] | None":
        connection, _ = self.listener.accept()
        files: list[int] = []
        try:
            if _user_of(connection) != os.getuid():
                raise ValueError("it is another user's")  # noqa: TRY301  like any other message that is not served
            connection.settimeout(10.0)
            request, files = receive(connection)
            if reason := self.unfit or _reason_against_forking():
                send(connection, {"refused": reason})
                raise ValueError(reason)  # noqa: TRY301  as above
            child = os.fork()
            if child == 0:
                # Otherwise the process that asked could not see the end of the warm one.
                connection.close()
                return request, files
            connection.settimeout(None)
            self.steps[child] = connection
            send(connection, {"pid": child})
        except (OSError, ValueError):
            if connection not in self.steps.values():
                connection.close()
        for file in files:
            os.close(file)
        return None

    def _reap(self) -> None:
        while self.steps:
            try:
                child, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not child:
                return
            connection = self.steps.pop(child, None)
            self.idle_since = time.monotonic()
            if connection is not None:
                with suppress(OSError):
                    ended = {"code": os.waitstatus_to_exitcode(status), "peak_memory": usage.ru_maxrss * 1024}
                    send(connection, ended)
                connection.close()


def _kill(child: int) -> None:
    """Kill the step of a process that was killed, whose connection has ended; it sends nothing while its step runs."""
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def _user_of(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def _reason_against_forking() -> str:
    """Return why a fork of this process could differ from a fresh one; empty if it does not."""
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        return f"a module that was imported has started {threads - 1} threads"
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "a module that was imported has initialized CUDA"
    configuration: Any = sys.modules.get("zenml.config.global_config")
    if configuration is not None and configuration.GlobalConfiguration.get_instance() is not None:
        return "ZenML has read its configuration while it was imported"
    return ""


class _Blas:
    """The libraries of linear algebra, which start threads when they are loaded unless they are limited to one."""

    def __init__(self) -> None:
        os.environ[_BLAS_LIMIT] = "1"

    @staticmethod
    def _setters() -> "list[Callable[[int], object] | None]":
        """Return the function that changes the number of threads of each OpenBLAS here; None for one without any."""
        with Path("/proc/self/maps").open() as maps:
            paths = {line.split(maxsplit=5)[5].strip() for line in maps if "openblas" in line}
        libraries = [ctypes.CDLL(path) for path in sorted(paths)]
        return [
            next((getattr(each, name) for name in _BLAS_SETTERS if hasattr(each, name)), None) for each in libraries
        ]

    def problem(self) -> str:
        """Return why the number of threads cannot be changed later; empty if it can."""
        return "the threads of a library of linear algebra cannot be changed" if None in self._setters() else ""

    def set_as_in_a_fresh_process(self) -> None:
        """Give each library the threads that it has by itself, with the variables of now."""
        asked = next((os.environ[name] for name in _BLAS_NAMES if os.environ.get(name, "").isdecimal()), "")
        for set_threads in self._setters():
            if set_threads is not None:
                set_threads(int(asked) or 1 if asked else len(os.sched_getaffinity(0)))


def _load() -> None:
    """Load what every step loads; what cannot be loaded here, with another version of ZenML, each step loads itself."""
    bootstrap.load()
    for module in _MODULES:
        with suppress(ImportError):
            importlib.import_module(module)
    with suppress(Exception):
        # It imports the libraries for which ZenML has materializers.
        importlib.import_module("zenml.integrations.registry").integration_registry.activate_integrations()
    with suppress(Exception):
        importlib.import_module("sqlalchemy.orm").configure_mappers()


class _Traces:
    """The variables and folders of the path that modules add when they are imported, which a fork gets as well."""

    def __init__(self) -> None:
        # The limit of a library is ours, and ends with the fork.
        self._environment, self._path = {**os.environ, _BLAS_LIMIT: "1"}, list(sys.path)
        self._first: list[str] = []
        self._last: list[str] = []

    def take(self) -> None:
        """Compare with the beginning, after all imports."""
        new = {name: value for name, value in os.environ.items() if self._environment.get(name) != value}
        self._environment = new
        added = [path for path in sys.path if path not in self._path]
        if added and sys.path[0] == added[0]:
            self._first = added
        else:
            self._last = added

    def leave(self) -> None:
        """Add them to those of this process; a value of its own stays."""
        for name, value in self._environment.items():
            os.environ.setdefault(name, value)
        sys.path[:] = [*self._first, *sys.path, *self._last]


def _become(request: dict[str, Any], files: list[int]) -> None:
    """Take the place in the system of the process that has asked."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    *streams, here = files
    for target, file in enumerate(streams):
        os.dup2(file, target)
    os.fchdir(here)
    for file in files:
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.umask(request["umask"])
    names = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    for limit, soft in zip(names, request["limits"], strict=True):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (soft, resource.getrlimit(limit)[1]))
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, request["niceness"])
    inherit_niceness(os.getpid())
    with suppress(OSError):
        os.sched_setaffinity(0, request["affinity"])
    sys.argv[:], sys.path[:] = request["argv"], request["path"]
    tempfile.tempdir = None
    random.seed()
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and "numpy.random" in sys.modules:
        numpy.random.seed()


def main() -> None:
    """Serve until no step has run for a while; a forked process returns to run its step."""
    folder = Path(sys.argv[1])
    directory = os.open(folder, os.O_RDONLY)
    path = f"/proc/self/fd/{directory}/socket"
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Before the imports, so that steps wait for them here.
    listener.bind(path)
    listener.listen(128)
    gc.disable()
    traces, blas = _Traces(), _Blas()
    _load()
    traces.take()
    gc.freeze()
    server = _Server(listener, blas.problem())
    asked = server.next_request()
    if asked is None:
        Path(path).unlink(missing_ok=True)
        # Whoever has connected since is told by the end of the connection.
        os._exit(0)
    listener.close()
    os.close(directory)
    for connection in server.steps.values():
        connection.close()
    _become(*asked)
    traces.leave()
    blas.set_as_in_a_fresh_process()
    confirm_with(asked[0]["confirmation"])
    bootstrap.run()


if __name__ == "__main__":
    main()
