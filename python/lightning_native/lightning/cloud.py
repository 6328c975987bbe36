"""What the engine needs of Lightning: studios, jobs and pipelines that can be found again and released repeatedly.

`teamspace.py` is the real one, through the SDK.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

JobState = Literal["pending", "running", "completed", "failed", "stopped"]
PipelineStepState = Literal["pending", "running", "completed", "failed", "stopped", "skipped"]


class StudioHandle(Protocol):
    """One studio, as the engine needs it."""

    @property
    def name(self) -> str:
        """The studio's name."""

    def start(self, machine: str | None) -> None:
        """Have the studio running on `machine`; None: on whatever it runs, else on the default machine."""

    def settle(self) -> None:
        """Wait while the studio is being started or stopped by somebody."""

    def is_running(self) -> bool:
        """Tell whether the studio runs now."""

    def is_up(self) -> bool:
        """Tell whether somebody has started the studio: it runs now, or soon will."""

    def runs_on(self, machine: str) -> bool:
        """Tell whether `machine` is what the studio has now, or had last."""

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
    """A job: a shell command on machines, from a snapshot of a studio's files, or what a container image runs.

    An image without an entrypoint has a shell run the command; with an empty one, its own entrypoint does.
    `image_credentials` is the name of the secret that it is pulled with. `mounts` are folders of the drive, as
    `Cloud.upload_to_drive` names them, by where a container has them.
    """

    name: str
    machine: str
    command: str | None
    studio: str | None = None
    interruptible: bool = False
    tags: tuple[str, ...] = ()
    image: str | None = None
    entrypoint: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    num_machines: int = 1
    image_credentials: str | None = None
    cloud_account_auth: bool = False
    mounts: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True)
class PipelineStepRequest:
    """One step of a pipeline: a job, with its studio's files at the moment it begins.

    `wait_for`: earlier steps of the pipeline that must have completed.
    """

    job: JobRequest
    wait_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class PipelineRequest:
    """A graph of job steps, each after those it waits for, that Lightning itself drives.

    `interruption_retries`: how often a step whose machine was taken away is run again.
    """

    name: str
    steps: tuple[PipelineStepRequest, ...]
    stop_on_failure: bool = False
    interruption_retries: int = 0


@dataclass(frozen=True)
class PipelineStepStatus:
    """How a step of a pipeline stands; `job` is the name of its job, None before it has one."""

    state: PipelineStepState
    job: str | None = None
    interruptions: int = 0


@dataclass(frozen=True)
class PipelineStatus:
    """How a pipeline stands: its own state, and that of its steps by their names."""

    state: JobState
    steps: Mapping[str, PipelineStepStatus]


class ScheduleHandle(Protocol):
    """The moments at which Lightning runs a pipeline again."""

    @property
    def name(self) -> str:
        """The schedule's name."""

    @property
    def cron(self) -> str:
        """Its cron expression, as of when it was read."""

    @property
    def timezone(self) -> str:
        """The time zone of the expression, as of when it was read."""

    @property
    def paused(self) -> bool:
        """Whether it was paused when it was read."""

    @property
    def pipeline_id(self) -> str:
        """What it runs."""

    def update(self, *, cron: str | None = None, timezone: str | None = None, paused: bool | None = None) -> None:
        """Change what is given."""

    def release(self) -> None:
        """Delete the schedule, not its pipeline. Gone already is a success."""


class PipelineHandle(Protocol):
    """One pipeline, as the engine needs it."""

    @property
    def name(self) -> str:
        """The pipeline's name."""

    @property
    def id(self) -> str:
        """What Lightning knows it by; its jobs have it as LIGHTNING_PIPELINE_ID."""

    @property
    def created(self) -> float:
        """When it was created, in seconds since the epoch."""

    def status(self) -> PipelineStatus:
        """Return how the pipeline stands."""

    def job(self, name: str) -> "JobHandle":
        """Return a job of the pipeline by the name that its status gives."""

    def stop(self) -> None:
        """Ask the pipeline and its jobs to end. Ended already is a success."""

    def studio_names(self) -> Sequence[str]:
        """Return the names of the studios that its steps start from, as far as they are there."""

    def schedule(self, name: str, cron: str, timezone: str) -> ScheduleHandle:
        """Have Lightning run the pipeline again whenever a cron expression says so in a time zone."""

    def runs(self) -> "Sequence[PipelineHandle]":
        """Return the runs that schedules made of it, oldest first."""

    def release(self) -> None:
        """Stop and delete the pipeline with its jobs and schedules. Gone already is a success."""


class Cloud(Protocol):
    """Where studios, jobs and pipelines come from. Every method raises `CloudError` when Lightning refuses or fails."""

    @property
    def machine_python(self) -> str:
        """The version of Python that new machines have, such as `3.12`, as far as that is known without one."""

    def find_studio(self, name: str) -> StudioHandle | None:
        """Return the studio of this name, running or not."""

    def find_studios(self, name: str) -> Sequence[StudioHandle]:
        """Return the studio of this name, then those that requests to create it may have made besides."""

    def studio_names(self) -> Sequence[str]:
        """Return the names of all studios of the teamspace."""

    def create_studio(self, name: str, *, ours: bool = True) -> StudioHandle:
        """Return a studio of this name, created if it is not there; it is not started.

        `ours`: nobody else names studios so; what the request may have made besides is deleted.
        """

    def upload_to_drive(self, path: Path, remote_path: str) -> None:
        """Upload a file to a path in our folder of the teamspace's drive, which containers can mount folders of."""

    def remove_from_drive(self, remote_path: str) -> None:
        """Remove a folder in our folder of the drive. Gone already is a success."""

    def hourly_cost(self, machine: str) -> float | None:
        """Return what a machine costs, in dollars an hour; None where the price list does not say."""

    def find_jobs(self, name: str) -> Sequence[JobHandle]:
        """Return the jobs submitted under a name: none, one, or more where a submission was delivered twice."""

    def run_job(self, request: JobRequest) -> JobHandle:
        """Submit a job."""

    def find_pipeline(self, name: str) -> PipelineHandle | None:
        """Return the newest pipeline of this name."""

    def create_pipeline(self, request: PipelineRequest) -> PipelineHandle:
        """Create a pipeline, which begins at once."""

    def schedules(self) -> Sequence[ScheduleHandle]:
        """Return the schedules of pipelines."""
