"""Copies of a studio's folders, for snapshots and duplicates."""

import asyncio
from pathlib import Path

from lightning_native.emulator.api import ApiError

_MAX_SCRIPT_BYTES = 100_000


async def copy_tree(source: Path, destination: Path, *, link: bool = False) -> None:
    """Copy a folder; with `link`, an environment, whose packages become hard links.

    Installers replace the files of packages, so that links are safe there.
    """
    flags = ["-al"] if link else ["-a", "--reflink=auto"]
    await _run("cp", *flags, "--", str(source), str(destination))
    if link:
        # Commands are small and some installers rewrite them in place, which a link would share.
        await _run("cp", "-a", "--remove-destination", "--", f"{source}/bin/.", f"{destination}/bin/")
        await asyncio.to_thread(_relocate, destination / "bin", str(source).encode(), str(destination).encode())


def _relocate(commands: Path, old: bytes, new: bytes) -> None:
    """Let the commands that an installer wrote find the copy's interpreter."""
    for path in commands.iterdir():
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MAX_SCRIPT_BYTES:
            content = path.read_bytes()
            if old in content and content.startswith(b"#!"):
                path.write_bytes(content.replace(old, new))


async def _run(*argv: str) -> None:
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    _, message = await process.communicate()
    # A file that vanished while it was copied is not in the copy; anything else is an error.
    lines = [line for line in message.decode(errors="replace").splitlines() if "No such file" not in line]
    if process.returncode and lines:
        raise ApiError(500, f"cannot copy the files: {lines[0]}")
