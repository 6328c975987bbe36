"""Static pipelines: each a run that is driven from here, or by a controller on Lightning, or by a schedule."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from zenml.config import DockerSettings
from zenml.constants import METADATA_ORCHESTRATOR_URL
from zenml.logger import get_logger
from zenml.metadata.metadata_types import Uri
from zenml.orchestrators import SubmissionResult

from lightning_native import ArchiveReport
from lightning_native.engine.machines import MachineOffer
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.errors import CloudError
from lightning_native.zenml.access import cloud_variables
from lightning_native.zenml.compiler.pipeline import compile_pipeline
from lightning_native.zenml.config import LightningNativeOrchestratorSettings
from lightning_native.zenml.handed_over import STEP
from lightning_native.zenml.hosting import (
    EXTRA,
    add_inner_run,
    controller_studio,
    hosting_plan,
    logs_command,
)
from lightning_native.zenml.price_list import read_price_list
from lightning_native.zenml.publish.metadata import (
    run_metadata,
    step_variables,
    studio_url,
)
from lightning_native.zenml.submit.base import (
    announce,
    drive,
    hand_over,
    hosted_controller,
    hosting_environment,
    packed_root,
    step_environment,
    warn_of_python,
    write_folder,
)
from lightning_native.zenml.submit.scheduled import submit_schedule
from lightning_native.zenml.variables import ENV_RUN_ID

if TYPE_CHECKING:
    from zenml.models import (
        PipelineRunResponse,
        PipelineSnapshotResponse,
    )
    from zenml.stack import Stack

    from lightning_native.zenml.orchestrator import LightningNativeOrchestrator

logger = get_logger(__name__)


def submit_static(
    orchestrator: "LightningNativeOrchestrator",
    snapshot: "PipelineSnapshotResponse",
    stack: "Stack",
    base_environment: dict[str, str],
    step_environments: dict[str, dict[str, str]],
    placeholder_run: "PipelineRunResponse | None",
) -> SubmissionResult:
    """Check the run, pack the code, start the controller, and return.

    Raises:
        PlanError: the pipeline cannot run as it is written.
        CredentialsError: credentials are missing.
        ArchiveError: the source root cannot be packed.
    """
    settings = orchestrator.settings_of(snapshot)
    run_id = uuid4().hex
    with cloud_variables(orchestrator, settings) as environ:
        # Every mistake that can be found here is found before anything exists.
        plan = compile_pipeline(
            run_id,
            snapshot,
            stack,
            settings,
            {name: orchestrator.settings_of(step) for name, step in snapshot.step_configurations.items()},
            lambda: read_price_list(environ),
            partial(orchestrator.get_image, snapshot),
        )
        warn_of_python(plan, environ)
        if snapshot.schedule:
            return submit_schedule(orchestrator, plan, snapshot, settings, environ, base_environment, step_environments)
        environments = {
            name: {
                **step_environment(
                    step.config.docker_settings, step_environments.get(name, base_environment), settings
                ),
                ENV_RUN_ID: run_id,
                **step_variables(plan, name, environ),
            }
            for name, step in snapshot.step_configurations.items()
        }
        folder = RunFolder.of(run_id)
        pipeline_run = placeholder_run.id if placeholder_run else None
        report: ArchiveReport | None
        if not settings.synchronous:
            report = _write_handed_over(
                orchestrator, folder, plan, environments, base_environment, stack, settings, pipeline_run
            )
        else:
            report = write_folder(folder, plan, settings, environments)
        if report is not None:
            logger.info("Packed %d files (%.1f MB) of %s.", report.files, report.bytes_out / 1e6, plan.name)
        if placeholder_run:
            announce(placeholder_run.id, run_id)
        metadata = run_metadata(plan, folder, report, environ, _prices(environ))
        if settings.synchronous:
            watch = drive(orchestrator, folder, plan, settings, pipeline_run)
            logger.info("Run %s is driven by process %d; its logs are in %s.", run_id, watch.pid, folder.path)
        else:
            watch = hand_over(orchestrator, folder, settings, pipeline_run)
            studio = controller_studio(plan.name, run_id)
            metadata |= {
                "controller_studio": studio,
                METADATA_ORCHESTRATOR_URL: Uri(studio_url(environ, studio)),
                "logs_command": logs_command(run_id),
            }
            logger.info("Run %s gets a controller in studio %s. Its log: %s", run_id, studio, logs_command(run_id))
    return SubmissionResult(
        wait_for_completion=watch.wait if settings.synchronous else None,
        metadata=metadata,
    )


def _write_handed_over(
    orchestrator: "LightningNativeOrchestrator",
    folder: RunFolder,
    plan: RunPlan,
    environments: Mapping[str, Mapping[str, str]],
    base_environment: Mapping[str, str],
    stack: "Stack",
    settings: LightningNativeOrchestratorSettings,
    pipeline_run: UUID | None,
) -> ArchiveReport:
    """Write the folder of a run whose controller lives on Lightning."""
    hosted = hosted_controller(folder.path.name, (), pipeline_run, controller_studio(plan.name, plan.run_id))
    hosting = hosting_plan(hosted, plan.name, stack, docker=DockerSettings())
    environment = hosting_environment(orchestrator, DockerSettings(), base_environment, settings, plan.run_id)
    with packed_root(settings) as root:
        report = folder.write(hosting, root, {STEP: environment}, own_extra=EXTRA)
    add_inner_run(folder, plan, environments)
    return report


def _prices(environ: Mapping[str, str]) -> list[MachineOffer]:
    try:
        return read_price_list(environ)
    except CloudError as error:
        logger.debug("No estimate of the cost: %s", error)
        return []
