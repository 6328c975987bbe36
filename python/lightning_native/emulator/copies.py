"""Copies of a studio's folders, for snapshots and duplicates, and what becomes of folders that are done with."""

import asyncio
import subprocess
from pathlib import Path
from uuid import uuid4

from lightning_native.emulator.environments import copy_environment
from lightning_native.errors import EmulatorError


async def copy_folders(source: Path, destination: Path) -> None:
    """Copy the files of a studio, and its environment if there is one yet, into an empty folder."""
    await copy_files(source, destination)
    if (source / "environment").exists():
        await asyncio.to_thread(copy_environment, source / "environment", destination / "environment")


async def copy_files(source: Path, destination: Path) -> None:
    """Copy the files of a studio, without its environment, into an empty folder."""
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


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, as far as that is allowed."""
    # Many small files: a program of its own leaves the interpreter to the server, and the processor to everybody else.
    subprocess.run(["nice", "-n", "19", "rm", "-rf", "--", str(folder)], check=False, capture_output=True)
