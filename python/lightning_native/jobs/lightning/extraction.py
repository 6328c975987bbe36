"""Extraction: a job of Lightning back to its description."""

import shlex
from typing import TYPE_CHECKING, Any

from lightning_native.errors import JobError
from lightning_native.jobs import oci
from lightning_native.jobs.infrastructure import Lightning
from lightning_native.jobs.job import Job
from lightning_native.jobs.lightning.description import VARIABLE, read_description
from lightning_native.jobs.lightning.spec import LightningJobSpec
from lightning_native.jobs.runtimes import ContainerRuntime, Runtime, ScriptRuntime

if TYPE_CHECKING:
    from lightning_native.lightning.jobs import JobDetails


def extract(live_job: Any) -> Runtime:
    """Return a job's runtime: without loss if the job has a description, else as far as it is visible.

    Args:
        live_job: a `Job` of the SDK, our own handle of one, or a `LightningJobSpec`.

    Raises:
        JobError: it has no description, and cannot be described.
        CloudError: Lightning cannot be asked.
    """
    runtime = extract_job(live_job).runtime
    if runtime is None:
        raise JobError("the description of the job has no runtime")
    return runtime


def extract_job(live_job: Any) -> Job:
    """Return the whole job: name, infrastructure and runtime.

    Raises:
        JobError: it has no description, and cannot be described.
        CloudError: Lightning cannot be asked.
    """
    details = _details(live_job)
    if VARIABLE in details.env:
        return read_description(details.env[VARIABLE])
    infrastructure = Lightning.from_spec({"machine": details.machine})
    return Job(name=details.name, infrastructure=infrastructure, runtime=_runtime(details))


def _details(live_job: Any) -> "JobDetails":
    from lightning_native.lightning.jobs import JobDetails, LightningJob

    if isinstance(live_job, LightningJobSpec):
        return JobDetails(
            name=live_job.name,
            machine=live_job.machine,
            command=live_job.command,
            image=live_job.image,
            entrypoint=live_job.entrypoint,
            env=live_job.env,
            num_machines=live_job.num_machines,
        )
    handle = live_job if isinstance(live_job, LightningJob) else LightningJob(live_job)
    return handle.details()


def _runtime(details: "JobDetails") -> Runtime:
    """Return the runtime of a job that was submitted without a description."""
    if details.image:
        runtime = ContainerRuntime(image=details.image, env=details.env)
        if details.entrypoint:
            runtime.with_entrypoint(shlex.split(details.entrypoint))
        if details.command:
            runtime.with_cmd(details.command)
        return runtime.with_replica(details.num_machines) if details.num_machines > 1 else runtime
    # If it follows ADS's rules, its variables describe it.
    runtime_of_variables = oci.extract(
        {"job_configuration_details": {"environment_variables": details.env}, "artifact": details.name}
    )
    if runtime_of_variables.kind == ScriptRuntime.kind:
        raise JobError(
            f"job {details.name} was not made of a description and runs a command in a studio, which no runtime "
            "describes; only jobs of `job run` and jobs from an image can be extracted"
        )
    return runtime_of_variables
