"""What the engine needs of Lightning: studios and jobs that can be found again, and whose release can be repeated.

`teamspace.py` is the real one, through the SDK.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

JobState = Literal["pending", "running", "completed", "failed", "stopped"]


class StudioHandle(Protocol):
    """One studio, as the engine needs it."""

    @property
    def name(self) -> str:
        """The studio's name."""

    def start(self, machine: str | None) -> None:
        """Have the studio running on `machine`; None: on whatever it runs, else on the default machine."""

    def is_running(self) -> bool:
        """Tell whether the studio runs now."""

    def run(self, argv: Sequence[str]) -> tuple[str, int]:
        """Run a command; return its merged output, stripped, and its exit code."""

    def upload(self, path: Path, remote_path: str) -> None:
        """Upload a file to a path relative to the studio's home."""

    def remove(self, remote_path: str) -> None:
        """Remove a file below the studio's home. Gone already is a success."""

    def release(self, *, delete: bool) -> None:
        """Stop the studio, and delete it if so asked. Gone already is a success."""


@dataclass(frozen=True)
class JobRequest:
    """A job: a shell command on a machine, from a snapshot of a studio's files."""

    name: str
    machine: str
    command: str
    studio: str
    interruptible: bool = False
    tags: tuple[str, ...] = ()


class JobHandle(Protocol):
    """One job, as the engine needs it."""

    @property
    def name(self) -> str:
        """The job's name."""

    def state(self) -> JobState:
        """Return how the job stands."""

    def output(self) -> str:
        """Return all that the job has printed so far, line by line."""

    def cost(self) -> float:
        """Return the dollars it has cost so far."""

    def stop(self) -> None:
        """Ask the job to end. Ended already is a success."""

    def release(self) -> None:
        """Stop and delete the job. Gone already is a success."""


class Cloud(Protocol):
    """Where studios and jobs come from. Every method raises `CloudError` when Lightning refuses or fails."""

    def find_studio(self, name: str) -> StudioHandle | None:
        """Return the studio of this name, running or not."""

    def create_studio(self, name: str) -> StudioHandle:
        """Return a studio of this name, created if it is not there; it is not started."""

    def find_jobs(self, name: str) -> Sequence[JobHandle]:
        """Return the jobs submitted under a name: none, one, or more where a submission was delivered twice."""

    def run_job(self, request: JobRequest) -> JobHandle:
        """Submit a job."""
