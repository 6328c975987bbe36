"""Jobs through the SDK, with every call safe to repeat."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_native.errors import CloudError, LogUnavailableError
from lightning_native.lightning.cloud import SCRATCH, JobEnd, JobRequest, JobState
from lightning_native.lightning.errors import cloud_errors, is_gone, is_missing
from lightning_native.lightning.machines import canonical_machine, sdk_name
from lightning_native.lightning.sdk.internals import (
    drive_client,
    job_end,
    job_seconds,
    job_specification,
    raw_job_state,
)

if TYPE_CHECKING:
    from lightning_sdk import Job

# The data connection by which jobs mount our folder of a teamspace's drive.
DRIVE_CONNECTION = "lightning-native"
# States of the platform that the SDK before 2026.10.13 reports as pending, although the job has begun.
_NO_LONGER_PENDING = ("restarting", "stop", "delete", "complete", "fail")


@dataclass(frozen=True)
class JobDetails:
    """The values with which a job was submitted; the machine by the SDK's name, or by its slug if it has none."""

    name: str
    machine: str
    command: str | None
    image: str | None
    entrypoint: str | None
    env: dict[str, str] = field(repr=False)
    num_machines: int = 1


def job_options(request: JobRequest) -> dict[str, Any]:
    """Return the options that the SDK's `Job.run` and `JobStep` share: all but the source of the files."""
    from lightning_sdk import Machine

    ours = {path: f"{DRIVE_CONNECTION}:{folder}" for path, folder in request.mounts.items()}
    return {
        "name": request.name,
        "machine": Machine.from_str(canonical_machine(request.machine)),
        "command": request.command,
        "interruptible": request.interruptible,
        "tags": list(request.tags) or None,
        "image": request.image,
        "env": dict(request.env) or None,
        "num_machines": request.num_machines,
        "image_credentials": request.image_credentials,
        "cloud_account_auth": request.cloud_account_auth,
        "path_mappings": {**request.path_mappings, **ours} or None,
        # The whole path, because steps of pipelines are sent with it as it is.
        "scratch_disks": {f"{SCRATCH}/{name}": size for name, size in request.scratch_disks.items()} or None,
        # Without a number, the platform may run a job again by itself.
        "max_run_attempts": 1,
        # Otherwise a job would begin with the files of the first job of this process.
        "reuse_snapshot": bool(request.snapshot),
        # Without an entrypoint, both run the command in a shell.
        **({} if request.entrypoint is None else {"entrypoint": request.entrypoint}),
    }


def download_from_drive(teamspace_id: str, remote_path: str, path: Path) -> bool:
    """Download a file of a teamspace's drive, or a job's artifact; return whether there is such a file.

    Raises:
        Exception: the SDK's own, for any other failure.
    """
    try:
        drive_client().download_file(remote_path, str(path), teamspace_id, progress_bar=False)
    except Exception as error:
        if is_missing(error):
            return False
        raise
    return True


class LightningJob:
    """One job of the SDK."""

    def __init__(self, job: "Job") -> None:
        self._job = job

    @property
    def sdk_job(self) -> "Job":
        """The SDK's own object."""
        return self._job

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self._job.name)

    def details(self) -> JobDetails:
        """Return the values with which the job was submitted."""
        with cloud_errors(f"read job {self.name!r}"):
            spec = job_specification(self._job)
            return JobDetails(
                name=self.name,
                machine=sdk_name(spec.instance_name) or spec.instance_name,
                command=spec.command or None,
                image=spec.image or None,
                entrypoint=spec.entrypoint or None,
                env={variable.name: variable.value or "" for variable in spec.env or []},
                num_machines=self._job.num_machines,
            )

    def state(self) -> JobState:
        """Return the job's state."""
        from lightning_sdk import Status

        states: dict[Status, JobState] = {
            Status.Running: "running",
            Status.Stopping: "running",
            Status.Completed: "completed",
            Status.Failed: "failed",
            Status.Stopped: "stopped",
        }
        with cloud_errors(f"see how job {self.name!r} stands"):
            state = states.get(self._job.status, "pending")
            if state == "pending" and raw_job_state(self._job) in _NO_LONGER_PENDING:
                return "running"
            return state

    def end(self) -> JobEnd:
        """Return what Lightning tells about the job's end; before it, as much as is known."""
        with cloud_errors(f"read the end of job {self.name!r}"):
            message, interrupted, has_begun = job_end(self._job)
            return JobEnd(message, interrupted, has_begun, job_seconds(self._job))

    def download(self, remote_path: str, path: Path) -> bool:
        """Download one of the job's artifacts; return whether there is such a file, which may appear minutes later."""
        with cloud_errors(f"download {remote_path} of job {self.name!r}"):
            # Artifacts were below `artifacts` until 2026.
            return any(
                download_from_drive(self._job.teamspace.id, f"jobs/{self.name}/{folder}{remote_path}", path)
                for folder in ("", "artifacts/")
            )

    def output(self, rank: int | None = None) -> str:
        """Return the job's output so far, or that of one of its machines; an ended job's may appear minutes later."""
        with cloud_errors(f"read the logs of job {self.name!r}"):
            try:
                return str((self._job if rank is None else self._job.machines[rank]).logs())
            except RuntimeError as error:
                if "not available while" in str(error):
                    raise LogUnavailableError(f"cannot read the logs of job {self.name!r}: {error}") from error
                raise

    def cost(self) -> float:
        """Return the job's cost so far, in dollars, which settles minutes after its end."""
        with cloud_errors(f"ask what job {self.name!r} costs"):
            return float(self._job.total_cost)

    def stop(self) -> None:
        """Ask the job to end. It is no error if it has ended."""
        with cloud_errors(f"stop job {self.name!r}"):
            if self.state() in ("pending", "running"):
                self._job.stop()

    def release(self) -> None:
        """Stop and delete the job. It is no error if the job is gone."""
        # An error of the stop is ignored, because a job whose state cannot be read can still be deleted.
        with suppress(CloudError):
            self.stop()
        with cloud_errors(f"delete job {self.name!r}"):
            try:
                self._job.delete()
            except Exception as error:
                if not is_gone(error):
                    raise
