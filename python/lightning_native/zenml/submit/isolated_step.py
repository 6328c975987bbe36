"""The submission of isolated steps of dynamic pipelines, each as a run of its own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.orchestrators.utils import get_config_environment_vars
from zenml.utils.env_utils import get_runtime_environment

from lightning_native.zenml.compat import get_step_entrypoint_command
from lightning_native.zenml.compiler.images import isolated_image
from lightning_native.zenml.compiler.step import StepSource
from lightning_native.zenml.config import orchestrator_settings
from lightning_native.zenml.step_process.entrypoints import LightningNativeIsolatedStepEntrypointConfiguration
from lightning_native.zenml.step_process.inline_step import check_run_settings
from lightning_native.zenml.submit.single_step import step_status, submit_step
from lightning_native.zenml.variables import ENV_RUN_ID

if TYPE_CHECKING:
    from zenml.config.step_run_info import StepRunInfo
    from zenml.models import PipelineSnapshotResponse, StepRunResponse
    from zenml.orchestrators import ContainerizedOrchestrator


def submit_isolated(
    orchestrator: "ContainerizedOrchestrator",
    container: "StepRunInfo | StepRunResponse",
    step_run: "StepRunResponse",
    pipeline: str,
    snapshot: "PipelineSnapshotResponse",
    variables: Mapping[str, str],
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
    own = orchestrator_settings(orchestrator, container)
    check_run_settings(step_run.name, own, orchestrator_settings(orchestrator, snapshot))
    source = StepSource(
        name=step_run.name,
        argv=(*command, *arguments),
        config=container.config,
        settings=own,
        variables={**variables, ENV_RUN_ID: orchestrator.get_orchestrator_run_id()},
        image=lambda: isolated_image(snapshot, container.config),
    )
    submit_step(orchestrator, step_run.id, pipeline, source, is_hosted=True)


def isolated_status(orchestrator: "ContainerizedOrchestrator", step_run: "StepRunResponse") -> ExecutionStatus:
    """Return the status of an isolated step.

    A step that another studio submitted, which is gone, is submitted again: a job that runs already is found by its
    name and not started twice.
    """
    status = step_status(orchestrator, step_run)
    if status is not None:
        return status
    run = Client().get_pipeline_run(step_run.pipeline_run_id)
    if run.snapshot is None or run.pipeline is None:
        return step_run.status
    configured, secrets = get_config_environment_vars(pipeline_run_id=run.id)
    runtime = get_runtime_environment(config=step_run.config, stack=Client().active_stack)
    submit_isolated(
        orchestrator, step_run, step_run, run.pipeline.name, run.snapshot, {**configured, **secrets, **runtime}
    )
    return ExecutionStatus.RUNNING
