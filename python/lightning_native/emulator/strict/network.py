"""The network of a strict machine: its own, connected to this computer by `slirp4netns`.

Inside, 127.0.0.1 is the machine itself; this computer's own 127.0.0.1 is at `HOST`. Without a package index, a
machine reaches only this computer, because its connections begin at 127.0.0.1.
"""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HOST = "10.0.2.2"
_RESOLVER = "10.0.2.3"
_LOOPBACK = "127.0.0.1"
_SOCKET = "network.sock"
_START_SECONDS = 30.0
_END_SECONDS = 10.0
MISSING = "slirp4netns is missing (the Debian package slirp4netns has it)"


def is_possible() -> bool:
    """Whether machines can have a network of their own."""
    return shutil.which("slirp4netns") is not None


def resolver(*, index: bool, has_network: bool) -> str:
    """Return the content of `/etc/resolv.conf` in a machine."""
    if has_network:
        return f"nameserver {_RESOLVER}\n" if index else ""
    ours = Path("/etc/resolv.conf")
    return ours.read_text() if ours.is_file() else ""


async def connect(
    keeper: int, lifeline: int, folder: Path, *, index: bool, as_root: bool
) -> asyncio.subprocess.Process:
    """Connect the network of a process with this computer until the writing end of a pipe is closed.

    Args:
        keeper: a process in that network.
        lifeline: the reading end of the pipe.
        folder: the folder for the files of the connection.
        index: whether more than this computer is reached.
        as_root: whether the network belongs to no user namespace of its own.

    Raises:
        OSError: it cannot be connected.

    """
    reading, writing = os.pipe()
    log = folder / "network.log"
    errors = log.open("wb")
    try:
        process = await asyncio.create_subprocess_exec(
            "slirp4netns",
            *(
                "--configure",
                "--mtu=65520",
                f"--exit-fd={lifeline}",
                f"--ready-fd={writing}",
                f"--api-socket={_SOCKET}",
            ),
            *(() if index else ("--disable-dns", f"--outbound-addr={_LOOPBACK}")),
            *(() if as_root else (f"--userns-path=/proc/{keeper}/ns/user",)),
            *(str(keeper), "tap0"),
            pass_fds=(lifeline, writing),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            # The path of a socket has a short limit.
            cwd=folder,
            start_new_session=True,
        )
        os.close(writing)
        writing = -1
        ready = await asyncio.wait_for(asyncio.to_thread(os.read, reading, 1), _START_SECONDS)
    finally:
        errors.close()
        for descriptor in {reading, writing} - {-1}:
            os.close(descriptor)
    if not ready:
        await process.wait()
        raise OSError("slirp4netns: " + "; ".join(log.read_text(errors="replace").split("\n")).strip("; "))
    return process


def forward(folder: Path, port: int, host_port: int) -> None:
    """Forward a port of this computer's 127.0.0.1 to the machine of a folder.

    Raises:
        OSError: it cannot be forwarded.

    """
    where = {"proto": "tcp", "host_addr": _LOOPBACK, "host_port": host_port, "guest_port": port}
    _ask(folder, {"execute": "add_hostfwd", "arguments": where})


def stop_forwarding(folder: Path, host_port: int) -> None:
    """Release a port of this computer.

    Raises:
        OSError: it cannot be released.

    """
    for entry in _ask(folder, {"execute": "list_hostfwd"})["entries"]:
        if entry["host_port"] == host_port:
            _ask(folder, {"execute": "remove_hostfwd", "arguments": {"id": entry["id"]}})


def _ask(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_START_SECONDS)
            # The path of a socket has a short limit, which the folder's may exceed.
            connection.connect(f"/proc/self/fd/{place}/{_SOCKET}")
            connection.sendall(json.dumps(request).encode())
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as stream:
                answer: dict[str, Any] = json.loads(stream.read())
    finally:
        os.close(place)
    if "error" in answer:
        raise OSError(f"slirp4netns: {answer['error'].get('desc')}")
    # A list has its entries at the top, other answers have them below `return`.
    return {**answer, **answer.get("return", {})}


async def wait_for_end(processes: Sequence[asyncio.subprocess.Process]) -> None:
    """Wait until the connections of ended machines have ended, and kill those that do not."""
    waiting = [asyncio.ensure_future(process.wait()) for process in processes]
    if waiting:
        await asyncio.wait(waiting, timeout=_END_SECONDS)
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()
