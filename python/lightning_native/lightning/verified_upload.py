"""Uploads that are compared with what arrived, because Lightning's store reports a damaged one as a success."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from lightning_native.errors import CloudError, UnreachableError

_TRIES = 4
# In memory where there is such a folder, because files may hold secrets, and this process may be killed.
_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of our own is created in it
_LARGEST_IN_MEMORY = 64 * 1024 * 1024
_CHUNK = 1024 * 1024


def upload_verified(
    path: Path, remote_path: str, upload: Callable[[], object], download: Callable[[Path], bool]
) -> None:
    """Upload a file, and once more whenever another content than the file's has arrived.

    Args:
        path: the file.
        remote_path: its path at Lightning.
        upload: uploads it.
        download: downloads what arrived to a path; returns whether there is anything yet.

    Raises:
        UnreachableError: it arrived damaged each time.
    """
    digest = _digest(path)
    for _ in range(_TRIES):
        upload()
        arrived = _arrived(path, download)
        # What cannot be read yet is verified by its reader, on the machine.
        if arrived in (None, digest):
            return
    raise UnreachableError(f"cannot upload {remote_path}: it arrived damaged {_TRIES} times")


def _arrived(path: Path, download: Callable[[Path], bool]) -> str | None:
    """Return the digest of what has arrived; None if it cannot be read now."""
    in_memory = os.access(_MEMORY, os.W_OK) and path.stat().st_size <= _LARGEST_IN_MEMORY
    try:
        with tempfile.TemporaryDirectory(prefix="lightning-native-", dir=_MEMORY if in_memory else None) as folder:
            copy = Path(folder) / "arrived"
            return _digest(copy) if download(copy) else None
    except (CloudError, OSError):
        return None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
