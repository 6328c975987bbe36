"""The submission of static pipelines: each run is driven from here, by a controller on Lightning, or by a schedule."""

from typing import TYPE_CHECKING
from uuid import uuid4

from zenml.constants import METADATA_ORCHESTRATOR_URL
from zenml.logger import get_logger
from zenml.metadata.metadata_types import Uri
from zenml.orchestrators import SubmissionResult

from lightning_native.engine.plan import RunPlan
from lightning_native.engine.planning.budget_check import check_budget
from lightning_native.engine.planning.estimate import Estimate, estimate
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import CloudError
from lightning_native.zenml.compiler.compiled_run import CompilerContext
from lightning_native.zenml.compiler.pipeline import compile_pipeline, may_be_cached
from lightning_native.zenml.config import orchestrator_settings
from lightning_native.zenml.publish.metadata import run_metadata, studio_url
from lightning_native.zenml.remote_controller.plan import controller_run, controller_studio, logs_command
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
from lightning_native.zenml.submit.scheduled import submit_schedule
from lightning_native.zenml.variables import ENV_RUN_ID

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse, PipelineSnapshotResponse
    from zenml.orchestrators import ContainerizedOrchestrator
    from zenml.stack import Stack

logger = get_logger(__name__)

# The time that setting up and booting take, as `lightning-native plan` assumes.
_PREPARE_SECONDS = 60.0
_BOOT_SECONDS = 30.0


def submit_static(
    orchestrator: "ContainerizedOrchestrator",
    snapshot: "PipelineSnapshotResponse",
    stack: "Stack",
    base_variables: dict[str, str],
    step_variables: dict[str, dict[str, str]],
    placeholder_run: "PipelineRunResponse | None",
) -> SubmissionResult:
    """Check the run, pack the code, start the controller, and return.

    Raises:
        PlanError: the pipeline cannot run as it is written.
        CredentialsError: credentials are missing.
        ArchiveError: the source root cannot be packed.
        PipelineSubmissionError: Lightning does not take the pipeline's schedule.
    """
    settings = orchestrator_settings(orchestrator, snapshot)
    run_id = uuid4().hex
    folder = RunFolder.of(run_id)
    pipeline_run = placeholder_run.id if placeholder_run else None
    variables = {name: step_variables.get(name, base_variables) for name in snapshot.step_configurations}
    with compiler_context(orchestrator, settings, stack) as context:
        # Every mistake that can be found here is found before anything exists.
        run = compile_pipeline(run_id, orchestrator, snapshot, variables, context)
        warn_of_python(run.plan, context.environ)
        if snapshot.schedule:
            return submit_schedule(orchestrator, settings, run, snapshot.schedule, context.environ)
        # Where Lightning drives the graph, a step starts without a question.
        asks_cache = may_be_cached(snapshot) and not run.plan.capabilities.takes_schedule
        expected = _estimate(run.plan, context)
        check_budget(run.plan.budget, expected)
        if not settings.synchronous and any(step.outputs for step in run.plan.steps):
            logger.warning(
                "Outputs come back to the studio of the run's controller, where later attempts find them, and go with "
                "it; set synchronous=True to have them on this computer, or let the steps upload them."
            )
        if settings.synchronous:
            report = write_folder(
                folder, run, orchestrator, settings, controller=driving(pipeline_run, may_be_cached=asks_cache)
            )
        else:
            controller = controller_run(
                orchestrator,
                settings,
                run.plan.name,
                run_id,
                {**base_variables, ENV_RUN_ID: run_id},
                context,
                pipeline_run=pipeline_run,
                may_be_cached=asks_cache,
            )
            launch = handing_over(orchestrator, pipeline_run)
            report = write_folder(folder, controller, orchestrator, settings, controller=launch, inner=run)
        if report is not None:
            logger.info("Packed %d files (%.1f MB) of %s.", report.files, report.bytes_out / 1e6, run.plan.name)
        announce(placeholder_run, run_id)
        metadata = run_metadata(run.plan, folder, report, context.environ, expected.total_cost)
        if settings.synchronous:
            process = drive(orchestrator, settings, folder, pipeline_run)
            logger.info("Run %s is driven by process %d; its logs are in %s.", run_id, process.pid, folder.path)
            wait = wait_and_tell_cost(orchestrator, process, run_id, pipeline_run)
            return SubmissionResult(wait_for_completion=wait, metadata=metadata)
        start_controller(orchestrator, settings, folder)
        studio = controller_studio(run.plan.name, run_id)
        metadata |= {
            "controller_studio": studio,
            METADATA_ORCHESTRATOR_URL: Uri(studio_url(context.environ, studio)),
            "logs_command": logs_command(run_id),
        }
        logger.info("Run %s gets a controller in studio %s. Its log: %s", run_id, studio, logs_command(run_id))
        return SubmissionResult(metadata=metadata)


def _estimate(plan: RunPlan, context: CompilerContext) -> Estimate:
    """Return what a run is expected to take and to cost."""
    try:
        offers = context.price_list()
    except CloudError as error:
        logger.debug("No estimate of the cost: %s", error)
        offers = []
    with Journal() as journal:
        durations = journal.step_durations(plan.name)
    return estimate(
        plan, durations=durations, offers=offers, prepare_seconds=_PREPARE_SECONDS, boot_seconds=_BOOT_SECONDS
    )
