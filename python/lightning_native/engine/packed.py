"""A packed tree, as it is sent to a machine."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Packed:
    """A packed tree: its archive, the digest that names it, and the SHA-256 that proves an upload."""

    archive: Path
    digest: str
    sha256: str

    @classmethod
    def of(cls, archive: Path, digest: str) -> "Packed":
        """Return an archive with its digest, read once for its SHA-256."""
        return cls(archive, digest, file_sha256(archive))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
