"""Steps in containers: the request for such a job, and the folder by which it gets its specification.

A container has neither a studio's files nor credentials. A specification holds the step's secrets, and as an argument
of the SDK it would be visible in the job's record and in reports of errors. So it is in a folder of the teamspace's
drive that only the jobs of this step mount. A job deletes the specification as soon as it has read it. In a pipeline
the specification stays as long as the pipeline, because Lightning starts a pipeline's jobs again by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from shlex import join as shell_join

from lightning_native.agent_protocol import ARCHIVE_SUFFIX, PACKAGE, REMOTE_HOME, OperationSpec
from lightning_native.engine.context import RunContext
from lightning_native.engine.outputs.step_outputs import StepOutputs
from lightning_native.engine.plan import ContainerImage, StepPlan
from lightning_native.engine.resource_names import drive_folder
from lightning_native.engine.studios.agent_client import AGENT_SOURCE, upload_specification
from lightning_native.lightning.cloud import Cloud, JobRequest

_PACKAGE_ARCHIVE = f"package{ARCHIVE_SUFFIX}"


class ContainerFolder:
    """The folder that the jobs of one step mount: the agent, and its specification."""

    def __init__(self, context: RunContext, name: str) -> None:
        """Describe the folder of a job, or of a pipeline's step, whose name is `PIPELINE/STEP`."""
        self._context = context
        self._path = drive_folder(name)
        # Below a folder that every image has, and in which a container of the local cloud can have a mount.
        self._mount = f"/tmp/lightning-native-{name.replace('/', '-')}"  # noqa: S108  in a container

    def upload_agent(self, *, package: bool) -> None:
        """Upload the agent, and our own package for a step that imports it.

        Raises:
            CloudError: an upload failed.
        """
        self._context.cloud.upload_to_drive(AGENT_SOURCE, f"{self._path}/agent.py")
        if package:
            archive = self._context.folder.own_package().archive
            self._context.cloud.upload_to_drive(archive, f"{self._path}/{_PACKAGE_ARCHIVE}")

    def spec(self, step: StepPlan, operation: str) -> OperationSpec:
        """Return the specification of an operation in the step's container."""
        archive = f"{self._mount}/{_PACKAGE_ARCHIVE}"
        return OperationSpec(
            argv=step.argv,
            cwd=".",
            env=self._context.variables.get(step.name, {}),
            scratch=step.scratch,
            timeout=step.timeout,
            unpack=[(archive, self._context.folder.own_package().sha256, PACKAGE)] if step.package else [],
            pythonpath=[PACKAGE] if step.package else [],
            mounted=True,
            word=self._context.folder.word(operation),
        )

    def upload(self, operation: str, specification: Mapping[str, object]) -> str:
        """Upload the specification of an operation, and return its SHA-256.

        Raises:
            CloudError: the upload failed.
        """
        return upload_specification(self._upload, operation, specification)

    def _upload(self, path: Path, remote: str) -> None:
        relative = PurePosixPath(remote).relative_to(REMOTE_HOME)
        self._context.cloud.upload_to_drive(path, f"{self._path}/{relative}")

    def job(
        self,
        step: StepPlan,
        image: ContainerImage,
        arguments: Sequence[str],
        *,
        name: str,
        machine: str,
        outputs: StepOutputs,
    ) -> JobRequest:
        """Return the request for the job that mounts the folder and calls the agent in it."""
        return JobRequest(
            name=name,
            machine=machine,
            # The agent replaces the shell, because it must receive the shell's signals.
            command=f"exec {shell_join(['python3', f'{self._mount}/agent.py', 'job', *arguments])}",
            image=image.name,
            interruptible=self._context.is_interruptible(step, machine),
            tags=self._context.plan.tags,
            image_credentials=image.credentials,
            cloud_account_auth=image.cloud_account_auth,
            mounts={self._mount: self._path, **outputs.mounts},
            cloud_account=self._context.account_of(step, machine),
            scratch_disks=dict(step.scratch_disks),
            path_mappings=dict(step.path_mappings),
        )


def container_job(
    context: RunContext,
    step: StepPlan,
    image: ContainerImage,
    attempt: int,
    *,
    name: str,
    machine: str,
    outputs: StepOutputs,
    budget: float | None = None,
) -> JobRequest:
    """Upload the agent and a step's specification to the drive, and return the request for the job that runs them.

    `budget`: the seconds that the run's budget pays for.

    Raises:
        CloudError: an upload failed.
    """
    operation = context.operation_id(step.name, attempt)
    context.journal.lease("folder", drive_folder(name))
    folder = ContainerFolder(context, name)
    folder.upload_agent(package=step.package)
    specification = replace(folder.spec(step, operation), outputs=outputs.wish(attempt), budget=budget)
    sha256 = folder.upload(operation, specification.to_json())
    arguments = (operation, "--spec-sha256", sha256, "--job-name", name)
    return folder.job(step, image, arguments, name=name, machine=machine, outputs=outputs)


def remove_folder(cloud: Cloud, name: str) -> None:
    """Remove the folder that a job mounted, or those of a pipeline's jobs. A missing folder is a success.

    Raises:
        CloudError: the folder cannot be removed.
    """
    cloud.remove_from_drive(drive_folder(name))
