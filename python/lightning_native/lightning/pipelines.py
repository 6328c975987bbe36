"""Pipelines and their schedules through the SDK, with every call safe to repeat."""

import contextlib
import io
from typing import TYPE_CHECKING, Any

from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import (
    JobState,
    PipelineRequest,
    PipelineStatus,
    PipelineStepState,
    PipelineStepStatus,
)
from lightning_native.lightning.errors import cloud_errors, is_gone
from lightning_native.lightning.jobs import LightningJob, job_options
from lightning_native.lightning.sdk.internals import created_pipeline, job_of_id, model, pipelines_client, requests_of
from lightning_native.lightning.sdk.options import fitting_options

if TYPE_CHECKING:
    from lightning_sdk import Teamspace
    from lightning_sdk.lightning_cloud.openapi.models import V1Pipeline, V1Schedule

_PIPELINE_STATES: dict[str, JobState] = {
    "RUNNING": "running",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "STOP": "running",
    "STOPPED": "stopped",
    "DELETED": "stopped",
}
_STEP_STATES: dict[str, PipelineStepState] = {
    "running": "running",
    "restarting": "running",
    "stopping": "running",
    "completed": "completed",
    "failed": "failed",
    "stopped": "stopped",
    "skipped": "skipped",
}
_PAUSED, _ACTIVE = "paused", "active"


class LightningPipeline:
    """One pipeline, through the SDK's client, because the SDK's own class has no status, and its `stop` raises."""

    def __init__(self, teamspace: "Teamspace", pipeline: "V1Pipeline") -> None:
        self._teamspace = teamspace
        self._pipeline = pipeline

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self._pipeline.name)

    @property
    def id(self) -> str:
        """The pipeline's id at Lightning."""
        return str(self._pipeline.id)

    @property
    def created(self) -> float:
        """The time of the pipeline's creation, in seconds since the epoch."""
        return float(self._pipeline.created_at.timestamp())

    def status(self) -> PipelineStatus:
        """Return the pipeline's state."""
        with cloud_errors(f"see how pipeline {self.name!r} stands"):
            self._pipeline = _client().pipelines_service_get_pipeline(self._teamspace.id, self.id)
            state = str(self._pipeline.state).removeprefix("PIPELINE_STATE_")
            steps = {str(status.name): _step_status(status) for status in self._pipeline.statuses or []}
            return PipelineStatus(_PIPELINE_STATES.get(state, "pending"), steps)

    def job(self, status: PipelineStepStatus) -> LightningJob:
        """Return the job of a step that has one."""
        name = status.job or ""
        with cloud_errors(f"look for job {name!r}"):
            return LightningJob(job_of_id(self._teamspace, name, status.job_id or ""))

    def stop(self) -> None:
        """Ask the pipeline and its jobs to end. It is no error if they have ended."""
        with cloud_errors(f"stop pipeline {self.name!r}"):
            body = _client().pipelines_service_get_pipeline(self._teamspace.id, self.id)
            body.state = "PIPELINE_STATE_STOP"
            _client().pipelines_service_update_pipeline(body, self._teamspace.id, self.id)

    def studio_names(self) -> list[str]:
        """Return the names of the studios from which its steps start, as far as they exist."""
        with cloud_errors(f"look for the studios of pipeline {self.name!r}"):
            ids = {step.job.spec.cloudspace_id for step in self._pipeline.steps if step.job is not None}
            return [str(studio.name) for studio in self._teamspace.studios if studio.id in ids]

    def schedule(self, name: str, cron: str, timezone: str) -> "LightningSchedule":
        """Let Lightning run the pipeline again at the times of a cron expression in a time zone."""
        # A call of its own after the pipeline's creation, as in the SDK's `run(steps, schedules=…)`.
        body = model("SchedulesServiceCreateScheduleBody")(
            cron_expression=cron,
            display_name=name,
            resource_id=self.id,
            parent_resource_id=self.id,
            resource_type=model("V1ScheduleResourceType").PIPELINE,
            timezone=_zone(timezone),
            parallel_runs=False,
        )
        with cloud_errors(f"schedule pipeline {self.name!r} at {cron!r} {timezone}"):
            problem: Exception | None = None
            try:
                _client().schedules_service_create_schedule(body, self._teamspace.id)
            except Exception as error:
                problem = error
            # A request was repeated if the answer to it was lost, and has created a second schedule.
            mine = [each for each in list_schedules(self._teamspace) if each.pipeline_id == self.id]
            if not mine:
                raise problem or CloudError(f"schedule {name!r} was created but cannot be found")
            for other in mine[1:]:
                other.release()
            return mine[0]

    def runs(self) -> "list[LightningPipeline]":
        """Return the runs that the pipeline's schedules have created, oldest first."""
        with cloud_errors(f"look for the runs of pipeline {self.name!r}"):
            found = _client().pipelines_service_list_pipelines(self._teamspace.id, parent_pipeline_id=self.id)
            runs = [LightningPipeline(self._teamspace, run) for run in found.pipelines if run.schedule_id]
        return sorted(runs, key=lambda run: run.created)

    def release(self) -> None:
        """Stop and delete the pipeline with its jobs and schedules. It is no error if it is gone."""
        with cloud_errors(f"delete pipeline {self.name!r}"):
            try:
                _client().pipelines_service_delete_pipeline(self._teamspace.id, self.id)
            except Exception as error:
                if not is_gone(error):
                    raise


class LightningSchedule:
    """One schedule, as it was when it was read."""

    def __init__(self, teamspace: "Teamspace", schedule: "V1Schedule") -> None:
        self._teamspace = teamspace
        self._schedule = schedule

    @property
    def name(self) -> str:
        """The schedule's name."""
        return str(self._schedule.display_name or self._schedule.name)

    @property
    def cron(self) -> str:
        """The schedule's cron expression."""
        return str(self._schedule.cron_expression)

    @property
    def timezone(self) -> str:
        """The time zone of the expression."""
        return str(self._schedule.timezone or "UTC")

    @property
    def paused(self) -> bool:
        """Whether the schedule is paused."""
        return str(self._schedule.state).lower() == _PAUSED

    @property
    def pipeline_id(self) -> str:
        """The id of the pipeline that the schedule runs."""
        return str(self._schedule.resource_id)

    def update(self, *, cron: str | None = None, timezone: str | None = None, paused: bool | None = None) -> None:
        """Change the given values."""
        with cloud_errors(f"change schedule {self.name!r}"):
            body = _client().schedules_service_get_schedule(self._teamspace.id, self._schedule.id)
            body.cron_expression = cron or body.cron_expression
            body.timezone = _zone(timezone) if timezone else body.timezone
            if paused is not None:
                body.state = _PAUSED if paused else _ACTIVE
            self._schedule = _client().schedules_service_update_schedule(body, self._teamspace.id, body.id)

    def release(self) -> None:
        """Delete the schedule, not its pipeline. It is no error if the schedule is gone."""
        with cloud_errors(f"delete schedule {self.name!r}"):
            try:
                _client().schedules_service_delete_schedule(self._teamspace.id, self._schedule.id)
            except Exception as error:
                if not is_gone(error):
                    raise


def find_pipeline(teamspace: "Teamspace", name: str) -> LightningPipeline | None:
    """Return the newest pipeline of this name."""
    with cloud_errors(f"look for pipeline {name!r}"):
        found = pipelines_client().get_pipeline_by_id(teamspace.id, name)
        return LightningPipeline(teamspace, found) if found else None


def create_pipeline(teamspace: "Teamspace", request: PipelineRequest) -> LightningPipeline:
    """Create a pipeline, which begins at once.

    Raises:
        CloudError: it could not be created, or only the answer was lost, so that `find_pipeline` finds it.
    """
    from lightning_sdk import Studio
    from lightning_sdk.pipeline import JobStep, Pipeline

    with cloud_errors(f"create pipeline {request.name!r}"):
        studios: dict[str, Studio] = {
            name: Studio(name=name, teamspace=teamspace, create_ok=False)
            for name in dict.fromkeys(step.job.studio for step in request.steps if step.job.studio is not None)
        }
        pipeline = Pipeline(
            request.name,
            teamspace=teamspace,
            shared_filesystem=False,
            stop_on_failure=request.stop_on_failure,
            interruption_retries=request.interruption_retries,
            dependency_mode="explicit",
        )
        steps = [
            JobStep(
                studio=studio,
                cloud=studio.cloud_account if studio else step.job.cloud_account,
                wait_for=list(step.wait_for),
                **fitting_options(JobStep.__init__, job_options(step.job)),
            )
            for step, studio in ((step, studios.get(step.job.studio or "")) for step in request.steps)
        ]
        # The SDK prints a summary for people.
        with contextlib.redirect_stdout(io.StringIO()):
            pipeline.run(steps)
        created = created_pipeline(pipeline) or pipelines_client().get_pipeline_by_id(teamspace.id, request.name)
        return LightningPipeline(teamspace, created)


def list_schedules(teamspace: "Teamspace") -> list[LightningSchedule]:
    """Return the schedules of pipelines."""
    with cloud_errors("list the schedules"):
        found = _client().schedules_service_list_schedules(teamspace.id).schedules
        return [LightningSchedule(teamspace, schedule) for schedule in found if schedule.resource_type == "PIPELINE"]


def _step_status(status: Any) -> PipelineStepStatus:
    state = _STEP_STATES.get(str(status.state).lower(), "pending")
    job, job_id = status.resource_name or status.name, status.resource_id or None
    interruptions = int(status.interruption_retry_count or 0)
    message = str(status.message or status.error or "")
    return PipelineStepStatus(state, job if job_id or status.resource_name else None, interruptions, job_id, message)


def _zone(name: str) -> str:
    # The platform's default, which has no name.
    return "" if name == "UTC" else name


def _client() -> Any:
    return requests_of(pipelines_client())
