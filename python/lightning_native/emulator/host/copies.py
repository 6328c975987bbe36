"""Copies of a studio's folders, for snapshots and duplicates, and the removal of folders."""

import asyncio
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from lightning_native.emulator.api_error import ApiError
from lightning_native.errors import EmulatorError

# The format of `uuid4().hex`.
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
    """Move a folder to the trash at once; return its path there, None if there was no folder."""
    trash.mkdir(exist_ok=True)
    target = trash / uuid4().hex
    try:
        folder.rename(target)
    except FileNotFoundError:
        return None
    return target


def is_discarded(name: str) -> bool:
    """Whether an entry of the trash, or a partial upload, has a name of ours."""
    return _OURS.fullmatch(name) is not None


def put_aside(entry: Path, lost_and_found: Path) -> Path | None:
    """Keep an entry without a record and return its new path; an empty folder is removed instead, and None returned."""
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
    """Remove a folder with everything in it, as far as permissions allow."""
    # A separate, nice process: removing many small files would hold the server's interpreter and the processor.
    subprocess.run(["nice", "-n", "19", "rm", "-rf", "--", str(folder)], check=False, capture_output=True)
