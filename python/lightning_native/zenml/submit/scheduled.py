"""The submission of scheduled pipelines, which Lightning itself runs as pipelines of jobs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zenml.constants import METADATA_ORCHESTRATOR_URL
from zenml.logger import get_logger
from zenml.metadata.metadata_types import Uri
from zenml.orchestrators import SubmissionResult
from zenml.orchestrators.exceptions import PipelineSubmissionError

from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import LightningNativeError
from lightning_native.placement import CAPABILITIES
from lightning_native.zenml.access import cloud_variables
from lightning_native.zenml.compiler.compiled_run import CompiledRun
from lightning_native.zenml.compiler.schedule import schedule_name
from lightning_native.zenml.config import LightningNativeOrchestratorSettings, configured_settings
from lightning_native.zenml.publish.metadata import teamspace_url
from lightning_native.zenml.submit.base import start_controller, write_folder
from lightning_native.zenml.submit.change_schedule import change_schedule

if TYPE_CHECKING:
    from zenml.models import ScheduleResponse, ScheduleUpdate
    from zenml.stack import StackComponent

logger = get_logger(__name__)


def submit_schedule(
    orchestrator: "StackComponent",
    settings: LightningNativeOrchestratorSettings,
    run: CompiledRun,
    schedule: "ScheduleResponse",
    environ: Mapping[str, str],
) -> SubmissionResult:
    """Have Lightning run a pipeline at the times of its schedule.

    Raises:
        PipelineSubmissionError: Lightning does not take it; ZenML forgets the schedule then.
    """
    if CAPABILITIES[settings.placement].shares_machines:
        logger.info("Lightning itself runs scheduled pipelines: their steps are jobs (placement `platform`).")
    folder = RunFolder.of(run.plan.run_id)
    write_folder(folder, run, orchestrator, settings)
    controller = start_controller(orchestrator, settings, folder, synchronous=True)
    try:
        controller.wait()
    except LightningNativeError as error:
        raise PipelineSubmissionError(f"schedule {schedule.name!r} could not be created: {error}") from error
    name = schedule_name(schedule)
    logger.info("Lightning runs the pipeline by its schedule %r.", name)
    return SubmissionResult(
        metadata={"lightning_schedule": name, METADATA_ORCHESTRATOR_URL: Uri(teamspace_url(environ))}
    )


def update_schedule(orchestrator: "StackComponent", schedule: "ScheduleResponse", update: "ScheduleUpdate") -> None:
    """Change the times at which Lightning runs a pipeline, pause its schedule, or resume it.

    Raises:
        CloudError: Lightning has no such schedule, or refuses.
    """
    cron = ("--cron", update.cron_expression) if update.cron_expression else ()
    state = () if update.active is None else ("--state", "active" if update.active else "paused")
    with cloud_variables(orchestrator, configured_settings(orchestrator)) as environ:
        change_schedule(environ, "update", schedule_name(schedule), *cron, *state)


def delete_schedule(orchestrator: "StackComponent", schedule: "ScheduleResponse") -> None:
    """Delete the schedule on Lightning with what it needed there. Gone already is a success.

    Raises:
        CloudError: Lightning cannot be reached.
    """
    with cloud_variables(orchestrator, configured_settings(orchestrator)) as environ:
        change_schedule(environ, "delete", schedule_name(schedule))
