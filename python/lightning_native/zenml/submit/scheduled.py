"""Scheduled pipelines: Lightning itself runs them, as pipelines of jobs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from zenml.constants import (
    METADATA_ORCHESTRATOR_URL,
)
from zenml.logger import get_logger
from zenml.metadata.metadata_types import Uri
from zenml.orchestrators import SubmissionResult
from zenml.orchestrators.exceptions import PipelineSubmissionError

from lightning_native.engine.checks import check_plan
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.run_folder import RunFolder
from lightning_native.errors import LightningNativeError, PlanError
from lightning_native.zenml.access import cloud_variables
from lightning_native.zenml.compiler.schedule import lightning_schedule, schedule_name, window_variables
from lightning_native.zenml.config import LightningNativeOrchestratorSettings
from lightning_native.zenml.publish.metadata import (
    teamspace_url,
)
from lightning_native.zenml.submit.base import start_controller, step_environment, write_folder
from lightning_native.zenml.submit.change_schedule import change_schedule

if TYPE_CHECKING:
    from zenml.models import (
        PipelineSnapshotResponse,
        ScheduleResponse,
        ScheduleUpdate,
    )

    from lightning_native.zenml.orchestrator import LightningNativeOrchestrator

logger = get_logger(__name__)


def submit_schedule(
    orchestrator: "LightningNativeOrchestrator",
    plan: RunPlan,
    snapshot: "PipelineSnapshotResponse",
    settings: LightningNativeOrchestratorSettings,
    environ: Mapping[str, str],
    base_environment: Mapping[str, str],
    step_environments: Mapping[str, Mapping[str, str]],
) -> SubmissionResult:
    """Have Lightning run the pipeline when its schedule says.

    Raises:
        PlanError: Lightning cannot run at such times.
        PipelineSubmissionError: Lightning does not take it; ZenML forgets the schedule then.
    """
    schedule = cast("ScheduleResponse", snapshot.schedule)
    if settings.placement == "studio":
        logger.info("Lightning itself runs scheduled pipelines: their steps are jobs (placement `platform`).")
    try:
        plan = replace(plan, placement="platform", schedule=lightning_schedule(schedule, settings.timezone))
        check_plan(plan)
    except PlanError as error:
        raise PipelineSubmissionError(str(error)) from error
    environments = {
        name: {
            **step_environment(step.config.docker_settings, step_environments.get(name, base_environment), settings),
            **window_variables(schedule, step.spec.upstream_steps),
        }
        for name, step in snapshot.step_configurations.items()
    }
    folder = RunFolder.of(plan.run_id)
    write_folder(folder, plan, settings, environments)
    watch = start_controller(orchestrator, folder, plan, settings, synchronous=True)
    try:
        watch.wait()
    except LightningNativeError as error:
        raise PipelineSubmissionError(f"schedule {schedule.name!r} could not be created: {error}") from error
    name = schedule_name(schedule)
    logger.info("Lightning runs the pipeline by its schedule %r.", name)
    return SubmissionResult(
        metadata={"lightning_schedule": name, METADATA_ORCHESTRATOR_URL: Uri(teamspace_url(environ))}
    )


def update_schedule(
    orchestrator: "LightningNativeOrchestrator", schedule: "ScheduleResponse", update: "ScheduleUpdate"
) -> None:
    """Change when Lightning runs a pipeline, pause it, or have it go on.

    Raises:
        CloudError: Lightning has no such schedule, or refuses.
    """
    cron = ("--cron", update.cron_expression) if update.cron_expression else ()
    state = () if update.active is None else ("--state", "active" if update.active else "paused")
    with cloud_variables(orchestrator, _own_settings(orchestrator)) as environ:
        change_schedule(environ, "update", schedule_name(schedule), *cron, *state)


def delete_schedule(orchestrator: "LightningNativeOrchestrator", schedule: "ScheduleResponse") -> None:
    """Delete the schedule on Lightning with what it needed there. Gone already is a success.

    Raises:
        CloudError: Lightning cannot be reached.
    """
    with cloud_variables(orchestrator, _own_settings(orchestrator)) as environ:
        change_schedule(environ, "delete", schedule_name(schedule))


def _own_settings(orchestrator: "LightningNativeOrchestrator") -> LightningNativeOrchestratorSettings:
    return LightningNativeOrchestratorSettings.model_validate(orchestrator.config.model_dump(exclude_unset=True))
