"""A strict machine: namespaces of its own, without the users, files, processes and network of this computer.

Its first process, the keeper, lasts as long as the machine, and so do its record and its own files: a server that was
killed and started again finds the machines that still run.
"""

import asyncio
import contextlib
import json
import os
import select
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning_native.emulator.host import processes
from lightning_native.emulator.host.namespaces import Namespace
from lightning_native.emulator.host.package_index import INDEX_FILES
from lightning_native.emulator.strict import enter_machine, file_system
from lightning_native.emulator.strict.file_system import Places
from lightning_native.emulator.strict.network import connect, forward, resolver, stop_forwarding

# If the server is root, code runs as an unused user: systemd lists the ids from 60578 to 61183 as free.
ZEUS = 61_000
# An ordinary user has this id inside.
_INSIDE = 1_000
_RECORD = "machine.json"
# Kinds of namespaces, with the options of `nsenter` for them.
_NAMES = {"user": "user", "mnt": "mount", "pid": "pid", "net": "net", "ipc": "ipc", "uts": "uts"}
_END_SECONDS = 10.0


def owner_of_files() -> int | None:
    """Return the user who owns the files of studios; None for the user of the server."""
    return ZEUS if os.geteuid() == 0 else None


@dataclass(frozen=True)
class _Record:
    """The record by which a machine is found again.

    Attributes:
        keeper: its first process.
        started: the start time of that process.
        network: the name of its network, which others may share; empty for this computer's.
        lifeline: the descriptor of the keeper that keeps the network.

    """

    keeper: int
    started: str
    network: str
    lifeline: int


class Machine(Namespace):
    """A machine that runs as long as its keeper."""

    def __init__(self, folder: Path, record: _Record) -> None:
        self._folder = folder
        self.record = record
        self.is_root = os.geteuid() == 0
        self.owner = owner_of_files()
        self.hides_files = True
        self.keeper = record.keeper
        self.has_network = bool(record.network)
        self.connection: asyncio.subprocess.Process | None = None
        # Root has no user namespace of its own, and an ordinary user cannot enter the network of this computer.
        missing = {"user": self.is_root, "net": not record.network}
        kinds = [kind for kind in _NAMES if not missing.get(kind)]
        flags = os.O_RDONLY | os.O_CLOEXEC
        self._descriptors = {kind: os.open(f"/proc/{record.keeper}/ns/{kind}", flags) for kind in kinds}
        self.descriptors = list(self._descriptors.values())
        self.identity = os.fstat(self._descriptors["mnt"]).st_ino

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs another one inside, as the machine's user, in the root folder."""
        enter = [f"--{_NAMES[kind]}=/proc/self/fd/{number}" for kind, number in self._descriptors.items()]
        user = [f"--setuid={ZEUS}", f"--setgid={ZEUS}"] if self.is_root else ["--preserve-credentials"]
        return ["nsenter", *enter, *user, "--", *argv]

    async def check(self) -> None:
        """Run a command inside.

        Raises:
            OSError: it cannot be run.

        """
        process = await asyncio.create_subprocess_exec(
            *self.wrap(["true"]), pass_fds=self.descriptors, stderr=asyncio.subprocess.PIPE
        )
        _, message = await process.communicate()
        if process.returncode:
            raise OSError(f"no command runs in a machine: {message.decode(errors='replace').strip()}")

    async def forward(self, port: int, host_port: int) -> None:
        """Forward a port of this computer to one of the machine.

        Raises:
            OSError: it cannot be forwarded.

        """
        await asyncio.to_thread(forward, self._folder, port, host_port)

    async def stop_forwarding(self, host_port: int) -> None:
        """Release a port of this computer."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(stop_forwarding, self._folder, host_port)

    def end(self) -> int | None:
        """End the machine with all of its processes; return an open file that stands for the first one."""
        self.close()
        return end(self._folder)

    def shares(self, network: str) -> bool:
        """Whether its network has this name and can be shared."""
        return self.record.network == network and self.is_alive

    @property
    def is_alive(self) -> bool:
        """Whether its keeper still runs."""
        return processes.start_time(self.record.keeper) == self.record.started


async def create(places: Places, *, network: str, index: bool, peer: Machine | None = None) -> Machine:
    """Create a machine.

    Args:
        places: the folders that it sees.
        network: the name of its network; empty for that of this computer.
        index: whether its network reaches the package index.
        peer: a machine that shares its network.

    Raises:
        OSError: the kernel does not let this user have one.

    """
    if shutil.which("nsenter") is None:
        raise OSError("nsenter is missing; it is part of util-linux")
    folder = places.scratch
    owner = owner_of_files()
    await asyncio.to_thread(file_system.prepare, places, owner)
    user = ZEUS if owner is not None else _INSIDE
    hosts = f"127.0.0.1 localhost {file_system.HOSTNAME}\n::1 localhost\n"
    resolv = resolver(index=index, has_network=bool(network))
    reading, lifeline = (-1, _lifeline_of(peer)) if peer else os.pipe()
    passed = [lifeline, *(peer.descriptors if peer else ())]
    plan = {
        "work": str(places.scratch / "work"),
        "user": user,
        "map_user": owner is None and peer is None,
        "join_user": peer.descriptor("user") if peer and owner is None else None,
        "own_network": bool(network) and peer is None,
        "join_network": peer.descriptor("net") if peer else None,
        "lifeline": lifeline,
        "hostname": file_system.HOSTNAME,
        "steps": file_system.steps(places, user, hosts, resolv),
    }
    try:
        keeper = await _start(plan, passed)
        record = _Record(keeper, processes.start_time(keeper) or "", network, lifeline)
        folder.joinpath(_RECORD).write_text(json.dumps(asdict(record)))
        try:
            machine = Machine(folder, record)
            if network and peer is None:
                machine.connection = await connect(keeper, reading, folder, index=index, as_root=owner is not None)
        except BaseException:
            wait_for_end([keeper for keeper in [end(folder)] if keeper is not None])
            raise
    finally:
        for descriptor in {reading, lifeline} - {-1}:
            os.close(descriptor)
    return machine


def files_of_the_index() -> dict[str, str]:
    """Return the files that a machine sees at their path on this computer, because its variables name them."""
    named = [os.environ[name] for name in INDEX_FILES if name in os.environ]
    files = [path for value in named for path in value.split() if path.startswith("/") and Path(path).exists()]
    seen = ("/usr/", "/etc/ssl/", "/etc/ca-certificates/", "/etc/pki/")
    # `/usr/local` does not belong to the operating system.
    return {path: path for path in files if not path.startswith(seen) or path.startswith("/usr/local/")}


def _lifeline_of(peer: Machine) -> int:
    """Return a further writing end of the pipe that a machine's network depends on."""
    return os.open(f"/proc/{peer.record.keeper}/fd/{peer.record.lifeline}", os.O_WRONLY | os.O_CLOEXEC)


async def _start(plan: dict[str, object], passed: list[int]) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(enter_machine.__file__)),
        pass_fds=passed,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # None of our variables may appear in the machine.
        env={},
        start_new_session=True,
    )
    output, message = await process.communicate(json.dumps(plan).encode())
    if process.returncode:
        raise OSError(f"no machine of its own: {message.decode(errors='replace').strip()}")
    return int(output)


def adopt(folder: Path) -> Machine | None:
    """Return the machine that an earlier server created, if it still runs."""
    try:
        machine = Machine(folder, _Record(**json.loads((folder / _RECORD).read_text())))
    except (OSError, ValueError, TypeError):
        return None
    if machine.is_alive:
        return machine
    machine.close()
    return None


def end(folder: Path) -> int | None:
    """End the machine of a folder, if it runs: all of its processes end with the first one.

    Returns:
        an open file that stands for that process, for `wait_for_end`.

    """
    try:
        record = _Record(**json.loads((folder / _RECORD).read_text()))
        descriptor = os.pidfd_open(record.keeper)
    except (OSError, ValueError, TypeError):
        return None
    # Checked after the open: the id may belong to another process, but it cannot change while this is open.
    if processes.start_time(record.keeper) != record.started:
        os.close(descriptor)
        return None
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    return descriptor


def wait_for_end(keepers: Sequence[int]) -> None:
    """Wait until processes have ended, and close the files that stand for them."""
    for descriptor in keepers:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        ended.poll(_END_SECONDS * 1000)
        os.close(descriptor)
