"""The mount namespaces in which `~` is `/teamspace/studios/this_studio`, where the kernel allows them."""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from lightning_native.emulator.host import enter_namespace

HOME = "/teamspace/studios/this_studio"
# Folders of the drive: those of the platform that code in a studio may expect.
DRIVE_FOLDERS = (
    "jobs",
    "studios",
    "studios/this_studio",
    "uploads",
    "artifacts",
    "datasets",
    "s3_connections",
    "gcs_connections",
    "s3_folders",
    "gcs_folders",
    "efs_connections",
    "efs_folders",
    "filestore_folders",
    "lightning_storage",
    "scratch",
)


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


async def create(
    home: Path,
    drive: Path,
    scratch: Path,
    *,
    read_only: Collection[str] = (),
    studios: Mapping[str, Path] | None = None,
    disks: Mapping[str, Path] | None = None,
) -> Namespace:
    """Create a namespace.

    Args:
        home: the folder for the home.
        drive: the folder for the drive; the platform's folders are created in it.
        scratch: the folder for temporary folders.
        read_only: folders of the drive that nobody can write to.
        studios: the files of other studios, by their folders' names on the drive.
        disks: further folders, by their paths, which are below `/teamspace`.

    Raises:
        OSError: the kernel does not let this user have one.

    """
    if shutil.which("nsenter") is None:
        raise OSError("nsenter is missing; it is part of util-linux")
    for name in DRIVE_FOLDERS:
        # Code in a studio may have replaced one by a link.
        if not (drive / name).is_symlink():
            (drive / name).mkdir(parents=True, exist_ok=True)
    work = tempfile.mkdtemp(dir=scratch)
    holder = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(enter_namespace.__file__),
        str(home),
        str(drive),
        work,
        *(f"read-only={name}" for name in read_only),
        *(f"studio={name}={place}" for name, place in (studios or {}).items()),
        *(f"disk={path.removeprefix('/teamspace/')}={place}" for path, place in (disks or {}).items()),
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
