"""Dynamic pipelines: each in a studio of its own, which brings isolated steps to Lightning."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import uuid4

from zenml.client import Client
from zenml.constants import (
    METADATA_ORCHESTRATOR_LOGS_URL,
    METADATA_ORCHESTRATOR_RUN_ID,
    METADATA_ORCHESTRATOR_URL,
)
from zenml.enums import ExecutionStatus
from zenml.logger import get_logger
from zenml.metadata.metadata_types import Uri
from zenml.orchestrators import SubmissionResult
from zenml.orchestrators.utils import get_config_environment_vars
from zenml.utils.env_utils import get_runtime_environment

from lightning_native.engine.checks import check_plan
from lightning_native.errors import PlanError
from lightning_native.zenml.access import cloud_variables
from lightning_native.zenml.compat import get_step_entrypoint_command
from lightning_native.zenml.compiler.docker_settings import check_docker_settings
from lightning_native.zenml.compiler.images import isolated_image
from lightning_native.zenml.compiler.pipeline import main_machines
from lightning_native.zenml.handed_over import STEP
from lightning_native.zenml.hosting import (
    EXTRA,
    controller_studio,
    hosting_plan,
    logs_command,
)
from lightning_native.zenml.price_list import read_price_list
from lightning_native.zenml.publish.metadata import (
    studio_url,
)
from lightning_native.zenml.step_process.entrypoints import (
    LightningNativeDynamicEntrypointConfiguration,
    LightningNativeIsolatedStepEntrypointConfiguration,
)
from lightning_native.zenml.submit.base import (
    announce,
    drive,
    hand_over,
    hosted_controller,
    hosting_environment,
    packed_root,
    warn_of_python,
)
from lightning_native.zenml.submit.run_parts import is_unfinished, newest_folder, next_folder
from lightning_native.zenml.submit.single_step import step_status, submit_step
from lightning_native.zenml.variables import ENV_RUN_ID

if TYPE_CHECKING:
    from zenml.config.step_run_info import StepRunInfo
    from zenml.metadata.metadata_types import MetadataType
    from zenml.models import (
        PipelineRunResponse,
        PipelineSnapshotResponse,
        StepRunResponse,
    )
    from zenml.stack import Stack

    from lightning_native.zenml.orchestrator import LightningNativeOrchestrator

logger = get_logger(__name__)


def submit_dynamic(
    orchestrator: "LightningNativeOrchestrator",
    snapshot: "PipelineSnapshotResponse",
    stack: "Stack",
    environment: dict[str, str],
    placeholder_run: "PipelineRunResponse | None",
) -> SubmissionResult:
    """Have a dynamic pipeline run in a studio of its own, which brings isolated steps to Lightning.

    A run that was submitted before goes on: in its studio if that is there, else in a new one.

    Raises:
        PlanError: the pipeline cannot run as it is written.
        CredentialsError: credentials are missing.
        ArchiveError: the source root cannot be packed.
    """
    settings = orchestrator.settings_of(snapshot)
    configuration = snapshot.pipeline_configuration
    pipeline_run = placeholder_run.id if placeholder_run else None
    run_id = (placeholder_run.orchestrator_run_id if placeholder_run else None) or uuid4().hex
    with cloud_variables(orchestrator, settings) as environ:
        folder = newest_folder(run_id)
        if not is_unfinished(folder):
            if settings.packaging != "image":
                check_docker_settings("of the pipeline itself", configuration.docker_settings)
            for name, step in snapshot.step_configurations.items():
                if orchestrator.settings_of(step).runtime is not None:
                    raise PlanError(
                        f"step {name!r} of a dynamic pipeline sets runtime; "
                        "call lightning_native.jobs.run_runtime in it instead"
                    )
            machines = main_machines(snapshot, settings, lambda: read_price_list(environ))
            folder = next_folder(run_id)
            outer_id = folder.path.name
            delete = None if settings.synchronous else controller_studio(configuration.name, outer_id)
            entrypoint = LightningNativeDynamicEntrypointConfiguration
            _python, *command = entrypoint.get_entrypoint_command()
            arguments = entrypoint.get_entrypoint_arguments(snapshot_id=snapshot.id, run_id=pipeline_run)
            hosted = hosted_controller(outer_id, (*command, *arguments), pipeline_run, delete)
            plan = hosting_plan(
                hosted,
                configuration.name,
                stack,
                docker=configuration.docker_settings,
                commands=settings.custom_commands or (),
                machines=machines,
            )
            check_plan(plan)
            warn_of_python(plan, environ)
            ours = hosting_environment(orchestrator, configuration.docker_settings, environment, settings, run_id)
            with packed_root(settings) as root:
                folder.write(plan, root, {STEP: ours}, own_extra=EXTRA)
            if placeholder_run and not placeholder_run.orchestrator_run_id:
                announce(placeholder_run.id, run_id)
        plan = folder.plan()
        studio = controller_studio(configuration.name, plan.run_id)
        metadata: dict[str, MetadataType] = {
            METADATA_ORCHESTRATOR_RUN_ID: run_id,
            METADATA_ORCHESTRATOR_URL: Uri(studio_url(environ, studio)),
            METADATA_ORCHESTRATOR_LOGS_URL: Uri(studio_url(environ, studio)),
            "logs": str(folder.path / "logs"),
            "logs_command": f"lightning-native runs logs {plan.run_id}",
        }
        if not settings.synchronous:
            metadata["logs_command"] = logs_command(plan.run_id)
            logger.info("The pipeline runs in studio %s. Its log: %s", studio, logs_command(plan.run_id))
            hand_over(orchestrator, folder, settings, pipeline_run)
            return SubmissionResult(metadata=metadata)
        watch = drive(orchestrator, folder, plan, settings, pipeline_run, hosting=True)
        logger.info("The pipeline runs in studio %s; its logs are in %s.", studio, folder.path)
    return SubmissionResult(wait_for_completion=watch.wait, metadata=metadata)


def submit_isolated(
    orchestrator: "LightningNativeOrchestrator",
    container: "StepRunInfo | StepRunResponse",
    step_run: "StepRunResponse",
    pipeline: str,
    snapshot: "PipelineSnapshotResponse",
    environment: Mapping[str, str],
) -> None:
    """Have an isolated step run in a studio or job of its own.

    Raises:
        PlanError: the step cannot run as it is written.
        CredentialsError: credentials are missing.
    """
    command, arguments = get_step_entrypoint_command(
        invocation_id=step_run.name,
        config=container.config,
        entrypoint_config_class=LightningNativeIsolatedStepEntrypointConfiguration,
        snapshot_id=snapshot.id,
        step_run_id=str(step_run.id),
    )
    submit_step(
        orchestrator,
        container,
        step_run=step_run.id,
        name=step_run.name,
        pipeline=pipeline,
        argv=(*command, *arguments),
        environment={**environment, ENV_RUN_ID: orchestrator.get_orchestrator_run_id()},
        image_of=lambda _step: isolated_image(snapshot, container.config),
    )


def isolated_status(orchestrator: "LightningNativeOrchestrator", step_run: "StepRunResponse") -> ExecutionStatus:
    """Return how an isolated step stands.

    One that another studio submitted, which is gone, is submitted again: what runs already is found by its name
    and not started twice.
    """
    status = step_status(orchestrator, step_run)
    if status is not None:
        return status
    run = Client().get_pipeline_run(step_run.pipeline_run_id)
    if run.snapshot is None or run.pipeline is None:
        return step_run.status
    environment, secrets = get_config_environment_vars(pipeline_run_id=run.id)
    runtime = get_runtime_environment(config=step_run.config, stack=Client().active_stack)
    submit_isolated(
        orchestrator, step_run, step_run, run.pipeline.name, run.snapshot, {**environment, **secrets, **runtime}
    )
    return ExecutionStatus.RUNNING
