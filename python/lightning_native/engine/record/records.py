"""The records of the journal: runs, steps, leases, environments and events, and their states."""

from dataclasses import dataclass
from typing import Literal

RunState = Literal["running", "completed", "failed", "stopped"]
StepState = Literal["pending", "preparing", "running", "succeeded", "failed", "skipped", "stopped"]
# A file is named "STUDIO:PATH"; a folder is one of the drive's.
LeaseKind = Literal["studio", "job", "pipeline", "file", "folder"]


@dataclass(frozen=True)
class RunRecord:
    """A run. Times are seconds since the epoch; `controller` is the process that drives or drove it."""

    run_id: str
    name: str
    cloud: str
    state: RunState
    started: float
    ended: float | None
    controller: int | None
    message: str


@dataclass(frozen=True)
class StepRecord:
    """A step of a run: its current attempt, where it ran, from when to when (seconds since the epoch), how it ended.

    `place` is the studio or the job it ran in; `cost` is in dollars, None where it is not known.
    """

    name: str
    state: StepState
    attempt: int
    place: str | None
    machine: str | None
    started: float | None
    ended: float | None
    exit_code: int | None
    cost: float | None
    message: str

    @property
    def seconds(self) -> float | None:
        """How long it ran; None if it never did, or still does."""
        return None if self.started is None or self.ended is None else self.ended - self.started


@dataclass(frozen=True)
class Lease:
    """Something of ours at Lightning. `on_release` says what giving it up means."""

    run_id: str
    kind: LeaseKind
    name: str
    on_release: Literal["delete", "stop"]
    created: float
    released: float | None


@dataclass(frozen=True)
class Environment:
    """A template studio with what a fingerprint stands for installed; usable only when `ready`.

    `executable` is the path of its Python there, `version` that one's; None where it was not asked.
    """

    cloud: str
    fingerprint: str
    studio: str
    ready: bool
    created: float
    used: float
    executable: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened in a run, for people; `at` is in seconds since the epoch."""

    at: float
    step: str | None
    text: str
