"""Steps in containers: what such a job is submitted with, and the folder that brings it what it is to run.

A container has neither a studio's files nor credentials. What a step is to run holds its secrets, and an argument of
the SDK would show them in the job's record and in reports of errors. So it comes in a folder of the teamspace's drive
that this job alone mounts; the job deletes it when it has read it.
"""

from functools import partial
from pathlib import Path, PurePosixPath

from lightning_native.engine.operation import AGENT_SOURCE, REMOTE_HOME, upload_specification
from lightning_native.engine.placements.base import RunContext
from lightning_native.engine.plan import ContainerImage, StepPlan
from lightning_native.lightning.cloud import JobRequest


def container_job(
    context: RunContext, step: StepPlan, image: ContainerImage, attempt: int, *, name: str, machine: str
) -> JobRequest:
    """Put what a step is to run on the drive, and return the job that runs it.

    Raises:
        CloudError: it cannot be uploaded.
    """
    operation = context.operation_id(step.name, attempt)
    context.journal.lease("folder", _folder(name))
    context.cloud.upload_to_drive(AGENT_SOURCE, f"{_folder(name)}/agent.py")
    specification = {
        "argv": list(step.argv),
        "cwd": ".",
        "env": dict(context.environments.get(step.name, {})),
        "scratch": list(step.scratch),
        "timeout": step.timeout,
        "mounted": True,
    }
    sha256 = upload_specification(partial(_upload, context, name), operation, specification)
    # Below a folder that is there in every image, and that a container of the local cloud can be given one in.
    mount = f"/tmp/lightning-native-{name}"  # noqa: S108  in a container
    return JobRequest(
        name=name,
        machine=machine,
        # The agent takes the place of the shell, whose signals it has to get.
        command=f"exec python3 {mount}/agent.py job {operation} --spec-sha256 {sha256} --job-name {name}",
        image=image.name,
        interruptible=step.interruptible,
        tags=context.plan.tags,
        image_credentials=image.credentials,
        cloud_account_auth=image.cloud_account_auth,
        mounts={mount: _folder(name)},
    )


def remove_folder(context: RunContext, name: str) -> None:
    """Remove what a job mounted."""
    context.cloud.remove_from_drive(_folder(name))
    context.journal.released("folder", _folder(name))


def _folder(job: str) -> str:
    return f"jobs/{job}"


def _upload(context: RunContext, job: str, path: Path, remote: str) -> None:
    context.cloud.upload_to_drive(path, f"{_folder(job)}/{PurePosixPath(remote).relative_to(REMOTE_HOME)}")
