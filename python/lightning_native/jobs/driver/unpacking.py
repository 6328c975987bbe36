"""The extraction of an archive on a job's machine. `agent.py`, which travels by itself, has the same function."""

from __future__ import annotations

import os

from .errors import DriverError

# The bounds of `lightning_native.extract_archive`.
MOST_BYTES = 1 << 40
MOST_ENTRIES = 10_000_000


def unpack_tar(archive: str, folder: str) -> None:
    """Unpack a tar file into a new folder, and write nothing outside of it, whatever the archive's content.

    Raises ValueError, which names the entry, for an entry that must not be unpacked.
    """
    import shutil
    import tarfile

    links = []
    left = MOST_BYTES
    with tarfile.open(archive) as entries:
        for count, entry in enumerate(entries):
            parts = [part for part in entry.name.split("/") if part not in ("", ".")]
            if entry.name.startswith("/") or ".." in parts or "\0" in entry.name:
                raise ValueError(f"{entry.name!r} lies outside of the archive's folder; nothing is unpacked")
            left -= entry.size
            if left < 0 or count >= MOST_ENTRIES:
                raise ValueError(f"{entry.name!r} is more than may be unpacked of one archive")
            path = os.path.join(folder, *parts)
            if entry.isdir():
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if entry.issym():
                links.append((entry.name, entry.linkname, path))
                continue
            content = entries.extractfile(entry) if entry.isreg() and not entry.issparse() else None
            if content is None:
                raise ValueError(f"{entry.name!r} is neither a file nor a folder nor a symbolic link")
            try:
                # O_EXCL: never through an existing file. No more permissions than a program needs.
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if entry.mode & 0o100 else 0o644)
            except (FileExistsError, IsADirectoryError):
                raise ValueError(f"{entry.name!r} is there twice") from None
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            modified = min(max(0, entry.mtime), 1 << 33)
            os.utime(path, (modified, modified))
    # Links come last, so that nothing is written through one.
    for name, target, path in links:
        if os.path.lexists(path):
            raise ValueError(f"{name!r} is there twice")
        os.symlink(target, path)


def unpack_into_place(archive: str, destination: str, folder: str = "") -> None:
    """Unpack a tar file below `folder` of a new destination, which appears only when it is complete.

    Raises:
        DriverError: the archive is damaged, or must not be unpacked.
    """
    import shutil
    import tarfile
    import tempfile
    import zlib

    partial = tempfile.mkdtemp(prefix=".unpack-", dir=os.path.dirname(destination))
    try:
        inner = os.path.join(partial, folder)
        os.makedirs(inner, exist_ok=True)
        unpack_tar(archive, inner)
        os.rename(partial, destination)
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
        raise DriverError(f"the code of the job did not arrive whole ({error}); run the job again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
