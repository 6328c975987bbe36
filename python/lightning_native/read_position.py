"""The position up to which a process has read a file: the progress of an upload that the SDK shows only as a bar."""

from contextlib import suppress
from pathlib import Path


def bytes_read(pid: int, path: Path) -> int | None:
    """Return the furthest position, in bytes, at which a process has a file open; None where the system hides it."""
    positions: list[int] = []
    process = Path(f"/proc/{pid}")
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError, ValueError):
                if descriptor.samefile(path):
                    first = (process / "fdinfo" / descriptor.name).read_text().split("\n", 1)[0]
                    positions.append(int(first.removeprefix("pos:")))
    return max(positions, default=None)
