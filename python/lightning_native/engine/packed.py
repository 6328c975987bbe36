"""An archive on its way to a machine."""

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
        sha256 = hashlib.sha256()
        with archive.open("rb") as stream:
            while block := stream.read(1 << 20):
                sha256.update(block)
        return cls(archive, digest, sha256.hexdigest())
