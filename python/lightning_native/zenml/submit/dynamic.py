"""The submission of dynamic pipelines: each runs in a studio of its own, which submits its isolated steps."""

from typing import TYPE_CHECKING
from uuid import uuid4

from zenml.constants import (
    METADATA_ORCHESTRATOR_LOGS_URL,
    METADATA_ORCHESTRATOR_RUN_ID,
    METADATA_ORCHESTRATOR_URL,
)
from zenml.logger import get_logger
from zenml.metadata.metadata_types import Uri
from zenml.orchestrators import SubmissionResult

from lightning_native.zenml.compiler.dynamic import check_dynamic
from lightning_native.zenml.compiler.pipeline import main_machines
from lightning_native.zenml.config import orchestrator_settings
from lightning_native.zenml.publish.metadata import studio_url
from lightning_native.zenml.remote_controller.plan import controller_run, controller_studio, logs_command
from lightning_native.zenml.step_process.entrypoints import LightningNativeDynamicEntrypointConfiguration
from lightning_native.zenml.submit.base import (
    announce,
    compiler_context,
    drive,
    driving,
    handing_over,
    start_controller,
    wait_and_tell_cost,
    warn_of_python,
    write_folder,
)
from lightning_native.zenml.submit.run_parts import is_unfinished, newest_folder, next_folder
from lightning_native.zenml.variables import ENV_RUN_ID

if TYPE_CHECKING:
    from zenml.metadata.metadata_types import MetadataType
    from zenml.models import PipelineRunResponse, PipelineSnapshotResponse
    from zenml.orchestrators import ContainerizedOrchestrator
    from zenml.stack import Stack

logger = get_logger(__name__)


def submit_dynamic(
    orchestrator: "ContainerizedOrchestrator",
    snapshot: "PipelineSnapshotResponse",
    stack: "Stack",
    variables: dict[str, str],
    placeholder_run: "PipelineRunResponse | None",
) -> SubmissionResult:
    """Have a dynamic pipeline run in a studio of its own, which submits its isolated steps.

    A run that was submitted before continues: in its studio if that is there, else in a new one.

    Raises:
        PlanError: the pipeline cannot run as it is written.
        CredentialsError: credentials are missing.
        ArchiveError: the source root cannot be packed.
    """
    settings = orchestrator_settings(orchestrator, snapshot)
    configuration = snapshot.pipeline_configuration
    pipeline_run = placeholder_run.id if placeholder_run else None
    run_id = (placeholder_run.orchestrator_run_id if placeholder_run else None) or uuid4().hex
    with compiler_context(orchestrator, settings, stack) as context:
        folder = newest_folder(run_id)
        if not is_unfinished(folder):
            check_dynamic(orchestrator, snapshot)
            machines = main_machines(snapshot, settings, context)
            entrypoint = LightningNativeDynamicEntrypointConfiguration
            _python, *command = entrypoint.get_entrypoint_command()
            arguments = entrypoint.get_entrypoint_arguments(snapshot_id=snapshot.id, run_id=pipeline_run)
            folder = next_folder(run_id)
            run = controller_run(
                orchestrator,
                settings,
                configuration.name,
                folder.path.name,
                {**variables, ENV_RUN_ID: run_id},
                context,
                pipeline_run=pipeline_run,
                argv=(*command, *arguments),
                docker=configuration.docker_settings,
                commands=settings.custom_commands or (),
                machines=machines,
            )
            warn_of_python(run.plan, context.environ)
            controller = (
                driving(pipeline_run, hosting=True)
                if settings.synchronous
                else handing_over(orchestrator, pipeline_run)
            )
            write_folder(folder, run, orchestrator, settings, controller=controller)
            announce(placeholder_run, run_id)
        studio = controller_studio(configuration.name, folder.path.name)
        metadata: dict[str, MetadataType] = {
            METADATA_ORCHESTRATOR_RUN_ID: run_id,
            METADATA_ORCHESTRATOR_URL: Uri(studio_url(context.environ, studio)),
            METADATA_ORCHESTRATOR_LOGS_URL: Uri(studio_url(context.environ, studio)),
            "logs": str(folder.logs),
            "logs_command": f"lightning-native runs logs {folder.path.name}",
        }
        if settings.synchronous:
            process = drive(orchestrator, settings, folder, pipeline_run)
            logger.info("The pipeline runs in studio %s; its logs are in %s.", studio, folder.path)
            wait = wait_and_tell_cost(orchestrator, process, folder.path.name, pipeline_run, is_dynamic=True)
            return SubmissionResult(wait_for_completion=wait, metadata=metadata)
        metadata["logs_command"] = logs_command(folder.path.name)
        logger.info("The pipeline runs in studio %s. Its log: %s", studio, logs_command(folder.path.name))
        start_controller(orchestrator, settings, folder)
        return SubmissionResult(metadata=metadata)
