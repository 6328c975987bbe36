"""Copies of a studio's folders, for snapshots and duplicates, and what becomes of folders that are done with."""

import asyncio
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from lightning_native.emulator.api_error import ApiError
from lightning_native.errors import EmulatorError

# As `uuid4().hex` writes it.
_OURS = re.compile(r"[0-9a-f]{32}")


async def copy_folders(source: Path, destination: Path, copy_environment: Callable[[Path, Path], None]) -> None:
    """Copy the files of a studio, and its environment if there is one yet, into an empty folder."""
    await copy_files(source, destination)
    if (source / "environment").exists():
        await asyncio.to_thread(copy_environment, source / "environment", destination / "environment")


async def copy_files(source: Path, destination: Path) -> None:
    """Copy the files of a studio, without its environment, into an empty folder."""
    if (source / "home").is_symlink():
        raise ApiError(400, "cannot copy the files: the studio's folder is a link that its code made")
    argv = ["cp", "-a", "--reflink=auto", "--", str(source / "home"), str(destination / "home")]
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    _, message = await process.communicate()
    # A file that vanished while it was copied is not in the copy; anything else is an error.
    lines = [line for line in message.decode(errors="replace").splitlines() if "No such file" not in line]
    if process.returncode and lines:
        raise EmulatorError(f"cannot copy the files: {lines[0]}")


def discard(folder: Path, trash: Path) -> Path | None:
    """Put a folder out of sight at once; return where it is until it is removed, None if it was not there."""
    trash.mkdir(exist_ok=True)
    target = trash / uuid4().hex
    try:
        folder.rename(target)
    except FileNotFoundError:
        return None
    return target


def is_discarded(name: str) -> bool:
    """Whether something in the trash, or a partial upload, has a name that we gave it."""
    return _OURS.fullmatch(name) is not None


def put_aside(entry: Path, lost_and_found: Path) -> Path | None:
    """Keep what nobody knows any more; return where it is, None when it was a folder with nothing in it, which goes."""
    if entry.is_dir() and not entry.is_symlink() and not any(files for _, _, files in os.walk(entry)):
        links = [Path(folder) / name for folder, names, _ in os.walk(entry) for name in names]
        if not any(path.is_symlink() for path in links):
            for folder, _, _ in os.walk(entry, topdown=False):
                Path(folder).rmdir()
            return None
    place = lost_and_found / entry.parent.name
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    target, number = place / entry.name, 2
    while os.path.lexists(target):
        target, number = place / f"{entry.name}-{number}", number + 1
    return entry.rename(target)


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, as far as that is allowed."""
    # Many small files: a program of its own leaves the interpreter to the server, and the processor to everybody else.
    subprocess.run(["nice", "-n", "19", "rm", "-rf", "--", str(folder)], check=False, capture_output=True)
