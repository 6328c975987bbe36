"""The stores in which an agent keeps a step's outputs, and from which the engine fetches them.

A job's store is in our folder of the teamspace's drive, which is mounted in every job. The outputs are then off the
machine as soon as they are packed, so that they outlive a machine that is interrupted, also where nobody fetches them
at that moment. Artifacts do not serve: they appear some time after the end of the job, not at all after some ends, and
every file below the home becomes one; a later attempt has no access to them without credentials, which containers lack.
Where the drive is not mounted, the agent's folder below the home is the store, and its files are artifacts all the
same. A studio keeps its files when its machine dies, so that its store is a folder below its home.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from lightning_native.agent_protocol import REMOTE_HOME
from lightning_native.lightning.cloud import Cloud, JobHandle, StudioHandle
from lightning_native.lightning.jobs import DRIVE_CONNECTION

# The folder of a studio in which the agent keeps outputs.
_IN_HOME = f"{REMOTE_HOME}/outputs"
# Our folder of the drive, as machines see it.
_DRIVE_MOUNT = f"/teamspace/lightning_storage/{DRIVE_CONNECTION}"


class OutputStore(Protocol):
    """A folder on a machine's side that the engine can read from here."""

    @property
    def place(self) -> str:
        """The path of the folder on the machine."""

    def fetch(self, name: str, path: Path) -> bool:
        """Download a file; return whether there is such a file."""

    def put(self, path: Path, name: str) -> None:
        """Upload a file."""


@dataclass(frozen=True)
class DriveStore:
    """A folder of the drive; `mount` is its path in a container, which mounts it alone."""

    cloud: Cloud
    folder: str
    mount: str | None = None

    @property
    def place(self) -> str:
        """The path of the folder on the machine."""
        return self.mount or f"{_DRIVE_MOUNT}/{self.folder}"

    def fetch(self, name: str, path: Path) -> bool:
        """Download a file; return whether there is such a file."""
        return self.cloud.download_from_drive(f"{self.folder}/{name}", path)

    def put(self, path: Path, name: str) -> None:
        """Upload a file."""
        self.cloud.upload_to_drive(path, f"{self.folder}/{name}")


@dataclass(frozen=True)
class StudioStore:
    """A folder below a studio's home; `studio` returns the studio, which may be another object after a restart."""

    studio: Callable[[], StudioHandle]
    name: str

    @property
    def place(self) -> str:
        """The path of the folder on the machine."""
        return f"~/{_IN_HOME}/{self.name}"

    def fetch(self, name: str, path: Path) -> bool:
        """Download a file; return whether there is such a file."""
        return self.studio().download(f"{_IN_HOME}/{self.name}/{name}", path)

    def put(self, path: Path, name: str) -> None:
        """Upload a file."""
        self.studio().upload(path, f"{_IN_HOME}/{self.name}/{name}")


@dataclass(frozen=True)
class ArtifactStore:
    """The artifacts of an ended job whose machine had no drive."""

    job: JobHandle
    place: str

    def fetch(self, name: str, path: Path) -> bool:
        """Download a file; return whether there is such a file."""
        return self.job.download(f"{_IN_HOME}/{PurePosixPath(self.place).name}/{name}", path)

    def put(self, path: Path, name: str) -> None:
        """Refuse, because artifacts cannot be written.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError
