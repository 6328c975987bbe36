"""Copies of a studio's folders, for snapshots and duplicates."""

import asyncio
from pathlib import Path

from lightning_native.emulator.api import ApiError


async def copy_tree(source: Path, destination: Path, *, link: bool = False) -> None:
    """Copy a folder; with `link`, an environment, whose packages become hard links.

    Installers replace the files of packages, so that links are safe there.
    """
    flags = ["-al"] if link else ["-a", "--reflink=auto"]
    await _run("cp", *flags, "--", str(source), str(destination))
    if link:
        # Commands are small and some installers rewrite them in place, which a link would share.
        await _run("cp", "-a", "--remove-destination", "--", f"{source}/bin/.", f"{destination}/bin/")


async def _run(*argv: str) -> None:
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    _, message = await process.communicate()
    # A file that vanished while it was copied is not in the copy; anything else is an error.
    lines = [line for line in message.decode(errors="replace").splitlines() if "No such file" not in line]
    if process.returncode and lines:
        raise ApiError(500, f"cannot copy the files: {lines[0]}")
