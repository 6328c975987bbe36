"""The mount namespaces in which `~` is `/teamspace/studios/this_studio`, where the kernel allows them."""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lightning_native.emulator.host import enter_namespace

HOME = "/teamspace/studios/this_studio"


class Namespace:
    """A mount namespace that lives as long as this object holds it open, or a process is in it.

    Attributes:
        descriptors: open files that stand for it; a process that enters it needs them.
        identity: the number that the kernel shows for it in `/proc`.
        keeper: the process that keeps it, which is none of those that run in it; 0 where there is none.
        owner: the user who must own the files of code inside; None for our own.
        hides_files: whether the cloud's root is invisible inside.
        has_network: whether 127.0.0.1 inside is not this computer's.

    """

    keeper = 0
    owner: int | None = None
    hides_files = False
    has_network = False

    def __init__(self, pid: int) -> None:
        own_user = not Path(f"/proc/{pid}/ns/user").samefile("/proc/self/ns/user")
        kinds = ("user", "mnt") if own_user else ("mnt",)
        self._descriptors = {kind: os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds}
        self.descriptors = list(self._descriptors.values())
        self.identity = os.fstat(self._descriptors["mnt"]).st_ino

    def descriptor(self, kind: str) -> int:
        """Return the open file that stands for its namespace of one kind."""
        return self._descriptors[kind]

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs another one inside, in the root folder."""
        names = {"user": "--user", "mnt": "--mount"}
        enter = [f"{names[kind]}=/proc/self/fd/{number}" for kind, number in self._descriptors.items()]
        return ["nsenter", *enter, "--preserve-credentials", "--", *argv]

    def close(self) -> None:
        """Close the files that hold it open."""
        for descriptor in self.descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.descriptors = []


async def create(home: Path, drive: Path, scratch: Path) -> Namespace:
    """Create a namespace with a folder as home and another as the drive; `scratch` is for temporary folders.

    Raises:
        OSError: the kernel does not let this user have one.

    """
    if shutil.which("nsenter") is None:
        raise OSError("nsenter is missing; it is part of util-linux")
    work = tempfile.mkdtemp(dir=scratch)
    holder = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(enter_namespace.__file__),
        str(home),
        str(drive),
        work,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None  # noqa: S101 - a pipe was asked for
        if (await holder.stdout.readline()).strip() != b"ready":
            _, message = await holder.communicate(b"")
            raise OSError(message.decode(errors="replace").strip())
        return Namespace(holder.pid)
    finally:
        if holder.returncode is None:
            await holder.communicate(b"")
        # Its only use was as a mount point in that namespace.
        Path(work).rmdir()
