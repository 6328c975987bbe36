"""The engine's interface to a cloud: studios, jobs and pipelines that can be found again and released repeatedly.

`teamspace.py` implements it for Lightning through the SDK, `memory.py` in the memory of a process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from lightning_native.lightning.offers import MachineOffer

# The folder of a job's scratch disks.
SCRATCH = "/teamspace/scratch"
JobState = Literal["pending", "running", "completed", "failed", "stopped"]
PipelineStepState = Literal["pending", "running", "completed", "failed", "stopped", "skipped"]


class StudioHandle(Protocol):
    """One studio, as the engine needs it."""

    @property
    def name(self) -> str:
        """The studio's name."""

    @property
    def cloud_account(self) -> str | None:
        """The id of the cloud account that the studio is on for ever; None if it is unknown."""

    def start(self, machine: str | None, timeout: float | None = None) -> None:
        """Ensure that the studio runs on `machine`; None: on any machine, the default one if it does not run yet.

        `timeout`: the seconds in which the machine must have started; None: half an hour.

        Raises:
            BootError: the machine failed to start, or did not in time.
        """

    def settle(self) -> None:
        """Wait while the studio is being started or stopped."""

    def is_running(self) -> bool:
        """Return whether the studio runs now."""

    def is_up(self) -> bool:
        """Return whether the studio runs or is being started."""

    def runs_on(self, machine: str) -> bool:
        """Return whether the studio runs on `machine` now."""

    def machine(self) -> str | None:
        """Return the name of the machine that the studio runs on now; None if it does not run."""

    def machine_id(self) -> str:
        """Return the id of the machine that the studio has now, which a restart changes; empty if it is not known."""

    def message(self) -> str:
        """Return Lightning's words about the studio's end, such as that there is no money; empty without any."""

    def run(self, argv: Sequence[str]) -> tuple[str, int]:
        """Run a command; return its merged output, stripped, and its exit code."""

    def upload(self, path: Path, remote_path: str) -> None:
        """Upload a file to a path relative to the studio's home."""

    def download(self, remote_path: str, path: Path) -> bool:
        """Download a file below the studio's home, whether or not it runs; return whether there is such a file."""

    def remove(self, remote_path: str) -> None:
        """Remove a file below the studio's home. It is no error if the file is gone."""

    def release(self, *, delete: bool) -> None:
        """Stop the studio, and delete it on request. It is no error if the studio is gone."""


@dataclass(frozen=True)
class JobRequest:
    """A job: a command on machines, with a snapshot of a studio's files or in a container image.

    In an image, a shell runs the command if `entrypoint` is None, and the image's own entrypoint if it is empty.
    `image_credentials` is the name of the secret with which the image is pulled. `mounts` are folders of the drive, as
    `Cloud.upload_to_drive` names them, by their paths in the container. Jobs with the same `snapshot`, letters and
    digits, begin with the same files of their studio; without one, a job has a snapshot of its own. `cloud_account` is
    for jobs in images: one from a studio runs on the studio's. `scratch_disks` are gigabytes by name, `path_mappings`
    data connections, or `connection:folder`, by the paths at which they are mounted.
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
    snapshot: str = ""
    cloud_account: str | None = None
    scratch_disks: Mapping[str, int] = field(default_factory=dict)
    path_mappings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobEnd:
    """The words of Lightning about the end of a job.

    Attributes:
        message: the reason, empty without one.
        interrupted: whether the machine was interrupted; None: Lightning does not tell.
        has_begun: whether its command has begun; None: Lightning does not tell.
        seconds: the seconds from its begin to its end, by Lightning's clock; None before, or if they are not known.
    """

    message: str = ""
    interrupted: bool | None = None
    has_begun: bool | None = None
    seconds: float | None = None


class JobHandle(Protocol):
    """One job, as the engine needs it."""

    @property
    def name(self) -> str:
        """The job's name."""

    def state(self) -> JobState:
        """Return the job's state."""

    def end(self) -> JobEnd:
        """Return what Lightning tells about the job's end; before it, as much as is known."""

    def download(self, remote_path: str, path: Path) -> bool:
        """Download one of the job's artifacts; return whether there is such a file, which may appear minutes later.

        `remote_path`: relative to the job's home.
        """

    def output(self, rank: int | None = None) -> str:
        """Return the job's output so far; that of an ended job may appear minutes after its end.

        `rank`: of one of several machines; None: of all, each line with the name of its machine.
        """

    def cost(self) -> float:
        """Return the job's cost so far, in dollars, which settles minutes after its end."""

    def stop(self) -> None:
        """Ask the job to end. It is no error if it has ended."""

    def release(self) -> None:
        """Stop and delete the job. It is no error if the job is gone."""


@dataclass(frozen=True)
class PipelineStepRequest:
    """One step of a pipeline: a job, with its studio's files as they are when it begins.

    `wait_for` names the earlier steps of the pipeline that must have completed.
    """

    job: JobRequest
    wait_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class PipelineRequest:
    """A graph of job steps that Lightning itself drives, each after the steps for which it waits.

    `interruption_retries` is the number of times that Lightning repeats a step whose machine was interrupted.
    """

    name: str
    steps: tuple[PipelineStepRequest, ...]
    stop_on_failure: bool = False
    interruption_retries: int = 0


@dataclass(frozen=True)
class PipelineStepStatus:
    """The state of a pipeline's step; `job` and `job_id` are the name and the id of its job, None before it has one."""

    state: PipelineStepState
    job: str | None = None
    interruptions: int = 0
    job_id: str | None = None
    message: str = ""


@dataclass(frozen=True)
class PipelineStatus:
    """The state of a pipeline, and the states of its steps by their names."""

    state: JobState
    steps: Mapping[str, PipelineStepStatus]


class ScheduleHandle(Protocol):
    """A schedule: the times at which Lightning runs a pipeline again."""

    @property
    def name(self) -> str:
        """The schedule's name."""

    @property
    def cron(self) -> str:
        """The schedule's cron expression when it was read."""

    @property
    def timezone(self) -> str:
        """The time zone of the expression when it was read."""

    @property
    def paused(self) -> bool:
        """Whether the schedule was paused when it was read."""

    @property
    def pipeline_id(self) -> str:
        """The id of the pipeline that the schedule runs."""

    def update(self, *, cron: str | None = None, timezone: str | None = None, paused: bool | None = None) -> None:
        """Change the given values."""

    def release(self) -> None:
        """Delete the schedule, not its pipeline. It is no error if the schedule is gone."""


class PipelineHandle(Protocol):
    """One pipeline, as the engine needs it."""

    @property
    def name(self) -> str:
        """The pipeline's name."""

    @property
    def id(self) -> str:
        """The pipeline's id at Lightning; its jobs have it as LIGHTNING_PIPELINE_ID."""

    @property
    def created(self) -> float:
        """The time of the pipeline's creation, in seconds since the epoch."""

    def status(self) -> PipelineStatus:
        """Return the pipeline's state."""

    def job(self, status: PipelineStepStatus) -> "JobHandle":
        """Return the job of a step that has one."""

    def stop(self) -> None:
        """Ask the pipeline and its jobs to end. It is no error if they have ended."""

    def studio_names(self) -> Sequence[str]:
        """Return the names of the studios from which its steps start, as far as they exist."""

    def schedule(self, name: str, cron: str, timezone: str) -> ScheduleHandle:
        """Let Lightning run the pipeline again at the times of a cron expression in a time zone."""

    def runs(self) -> "Sequence[PipelineHandle]":
        """Return the runs that the pipeline's schedules have created, oldest first."""

    def release(self) -> None:
        """Stop and delete the pipeline with its jobs and schedules. It is no error if it is gone."""


class Cloud(Protocol):
    """The source of studios, jobs and pipelines. Every method raises `CloudError` if Lightning refuses or fails."""

    @property
    def machine_python(self) -> str:
        """The Python version of new machines, such as `3.12`, as known before any of them is asked."""

    def find_studio(self, name: str) -> StudioHandle | None:
        """Return the studio of this name, whether or not it runs."""

    def find_studios(self, name: str) -> Sequence[StudioHandle]:
        """Return the studio of this name, then the copies that requests for it may have created."""

    def studio_names(self) -> Sequence[str]:
        """Return the names of all studios of the teamspace."""

    def create_studio(self, name: str, *, ours: bool = True, cloud_account: str | None = None) -> StudioHandle:
        """Return a studio of this name, created if it does not exist; it is not started.

        `ours`: only this package gives studios such names, so that all copies are deleted, not just this request's.
        `cloud_account`: the account of a new studio; None: the one that Lightning chooses.
        """

    def upload_to_drive(self, path: Path, remote_path: str) -> None:
        """Upload a file to a path in our folder of the teamspace's drive, whose folders containers can mount."""

    def download_from_drive(self, remote_path: str, path: Path) -> bool:
        """Download a file of our folder of the drive; return whether there is such a file."""

    def remove_from_drive(self, remote_path: str) -> None:
        """Remove a folder in our folder of the drive. It is no error if the folder is gone."""

    @property
    def default_cloud_account(self) -> str | None:
        """The id of the cloud account on which Lightning creates what names none; None if it is unknown."""

    @property
    def clock_rate(self) -> float:
        """The seconds that are billed for each second: 1, or the clock rate of a local cloud."""

    def offers(self) -> "Sequence[MachineOffer]":
        """Return the price list, as it was when it was first read; none if there are no prices."""

    def hourly_cost(
        self, machine: str, cloud_account: str | None = None, *, interruptible: bool = False
    ) -> float | None:
        """Return the cost of a machine in dollars an hour; None if the price list does not have it.

        `cloud_account`: the account of the machine; None: the default one.
        """

    def balance(self) -> float | None:
        """Return the dollars that are left, as Lightning tells, which is not reliable; None if it does not."""

    def find_jobs(self, name: str) -> Sequence[JobHandle]:
        """Return the jobs submitted under a name: none, one, or more if a submission was delivered twice."""

    def run_job(self, request: JobRequest) -> JobHandle:
        """Submit a job."""

    def find_pipeline(self, name: str) -> PipelineHandle | None:
        """Return the newest pipeline of this name."""

    def create_pipeline(self, request: PipelineRequest) -> PipelineHandle:
        """Create a pipeline, which begins at once."""

    def schedules(self) -> Sequence[ScheduleHandle]:
        """Return the schedules of pipelines."""
