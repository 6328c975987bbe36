"""The records of the journal: runs, steps, leases, template studios and events, and their states."""

from dataclasses import dataclass
from typing import Literal

RunState = Literal["running", "completed", "failed", "stopped"]
StepState = Literal["pending", "preparing", "running", "succeeded", "failed", "skipped", "stopped"]
# A file is named "STUDIO:PATH"; a folder is one of the drive's.
LeaseKind = Literal["studio", "job", "pipeline", "file", "folder"]
BilledKind = Literal["studio", "job"]


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
    """A step of a run, with its latest attempt. Times are seconds since the epoch.

    `place` is the name of the studio or job that it ran in; `cost` is in dollars, None if unknown.
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
        """The seconds that it ran; None if it never ran or still runs."""
        return None if self.started is None or self.ended is None else self.ended - self.started


@dataclass(frozen=True)
class Lease:
    """The record that something at Lightning is ours. `on_release` is the effect of its release."""

    run_id: str
    kind: LeaseKind
    name: str
    on_release: Literal["delete", "stop"]
    created: float
    released: float | None


@dataclass(frozen=True)
class Environment:
    """A template studio and its fingerprint; jobs can start from it only when it is `ready`.

    `executable` is the path of its Python, `version` that Python's version; both are None if unknown.
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
    """A thing that happened in a run, as a line for people; `at` is in seconds since the epoch."""

    at: float
    step: str | None
    text: str
