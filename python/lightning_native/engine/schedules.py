"""Plans that Lightning runs again and again, as pipelines with a schedule.

To create one, run a plan with placement `platform` and a `Schedule` as any other plan; its controller creates the
schedule instead of running the steps, and ends::

    schedule = Schedule("nightly", "0 2 * * *", "Europe/Zurich")
    plan = RunPlan(run_id, name, steps, placement="platform", schedule=schedule)
    folder = RunFolder.of(run_id)
    folder.write(plan, root, variables)
    ControllerProcess(folder, plan, local_cloud=…, environ=credentials, synchronous=True).wait()

To manage it, in a process with the credentials among its variables::

    cloud = lightning_native.lightning.session.connect()
    scheduled = find_schedule(cloud, "nightly")         # None when there is none; list_schedules(cloud) for all
    scheduled.update(paused=True)
    scheduled.update(cron="30 6 * * 1-5", timezone="UTC", paused=False)
    for run in scheduled.runs():                        # oldest first
        print(run.pipeline_id, run.created, run.state(), run.step_state("train"), run.output("train"))
    scheduled.delete()                                  # with its runs and its studios

Each run is a pipeline of its own. All jobs of one run have the same `LIGHTNING_PIPELINE_ID`,
`ScheduledRun.pipeline_id`, which no other run has. Such a run has no controller. Retries, the time limits of steps and
their order hold, and so do `max_parallelism` and machine limits, as dependencies. A time limit for the whole run is
refused, and so are limits with failure mode `continue`. Machines to fall back on are not tried.

The code and the steps' variables, with their secrets, stay as long as the schedule. They are in studios that only this
schedule uses, the variables in files of mode 0600. Those of steps in images are in folders of the drive that only the
jobs of one step mount.
"""

from functools import partial

from lightning_native.engine.context import RunContext
from lightning_native.engine.placements.container import remove_folder
from lightning_native.engine.placements.job_output import without_results
from lightning_native.engine.placements.pipeline import PipelinePlan, prepare_studios
from lightning_native.engine.plan import Schedule
from lightning_native.engine.planning.checks import check_schedule
from lightning_native.engine.planning.limits import serialize_limits
from lightning_native.engine.resource_names import pipeline_step_name, schedule_owner, schedule_pipeline_name
from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import (
    Cloud,
    JobState,
    PipelineHandle,
    PipelineStepState,
    PipelineStepStatus,
    ScheduleHandle,
)


class ScheduledRun:
    """One run of a schedule."""

    def __init__(self, pipeline: PipelineHandle) -> None:
        self._pipeline = pipeline

    @property
    def pipeline_id(self) -> str:
        """The LIGHTNING_PIPELINE_ID of its jobs, and of no others."""
        return self._pipeline.id

    @property
    def created(self) -> float:
        """The time at which it began, in seconds since the epoch."""
        return self._pipeline.created

    def state(self) -> JobState:
        """Return the state of the whole run."""
        return self._pipeline.status().state

    def step_state(self, step: str) -> PipelineStepState:
        """Return the state of a step of the plan; `pending` for one that the plan does not have."""
        return self._step(step).state

    def output(self, step: str) -> str:
        """Return the output of a step so far, that of all its attempts."""
        status = self._step(step)
        return without_results(self._pipeline.job(status).output()) if status.job else ""

    def stop(self) -> None:
        """Ask its running steps to end; the others do not begin."""
        self._pipeline.stop()

    def delete(self) -> None:
        """Delete the run with its jobs. A missing one is a success."""
        self._pipeline.release()

    def _step(self, step: str) -> PipelineStepStatus:
        return self._pipeline.status().steps.get(pipeline_step_name(step), PipelineStepStatus("pending"))


class ScheduledPlan:
    """A plan that Lightning runs again and again."""

    def __init__(self, cloud: Cloud, pipeline: PipelineHandle, schedule: ScheduleHandle) -> None:
        self._cloud = cloud
        self._pipeline = pipeline
        self._schedule = schedule

    @property
    def name(self) -> str:
        """The schedule's name."""
        return self._schedule.name

    @property
    def cron(self) -> str:
        """The cron expression by which it runs."""
        return self._schedule.cron

    @property
    def timezone(self) -> str:
        """The time zone of the expression."""
        return self._schedule.timezone

    @property
    def paused(self) -> bool:
        """Whether the schedule is paused."""
        return self._schedule.paused

    def update(self, *, cron: str | None = None, timezone: str | None = None, paused: bool | None = None) -> None:
        """Change the given values, from the next run on.

        Raises:
            PlanError: the expression or the time zone is not allowed.
            CloudError: Lightning refuses.
        """
        check_schedule(Schedule(self.name, cron or self.cron, timezone or self.timezone))
        self._schedule.update(cron=cron, timezone=timezone, paused=paused)

    def runs(self) -> list[ScheduledRun]:
        """Return the schedule's runs, oldest first."""
        return [ScheduledRun(run) for run in self._pipeline.runs()]

    def delete(self) -> None:
        """Delete the schedule with its runs and its studios. A missing one is a success."""
        delete_pipeline(self._cloud, self._pipeline)


def list_schedules(cloud: Cloud) -> list[ScheduledPlan]:
    """Return every plan of ours that is scheduled in the teamspace."""
    found = ((schedule, cloud.find_pipeline(schedule_pipeline_name(schedule.name))) for schedule in cloud.schedules())
    return [
        ScheduledPlan(cloud, pipeline, schedule)
        for schedule, pipeline in found
        # The teamspace may have schedules that are not ours.
        if pipeline is not None and pipeline.id == schedule.pipeline_id
    ]


def find_schedule(cloud: Cloud, name: str) -> ScheduledPlan | None:
    """Return the scheduled plan of this name."""
    return next((scheduled for scheduled in list_schedules(cloud) if scheduled.name == name), None)


def create_schedule(context: RunContext, schedule: Schedule) -> ScheduledPlan:
    """Prepare the plan's studios, and create its schedule at Lightning in the place of one of the same name.

    Raises:
        CloudError: a studio cannot be prepared, or Lightning refuses; the run has leases of everything created so far.
        Cancelled: the run was stopped meanwhile.
    """
    plan, cloud = context.plan, context.cloud
    studios, problems = prepare_studios(context, plan.steps, owner=schedule_owner(schedule.name, plan.run_id))
    for step, problem in problems.items():
        raise CloudError(f"the environment of step {step!r} cannot be prepared: {problem}")
    name = schedule_pipeline_name(schedule.name)
    # The earlier schedule of this name, or the pipeline that a dead controller has created.
    kept = {studio.handle.name for studio in studios.values()}
    context.patiently(lambda: delete_pipeline(cloud, cloud.find_pipeline(name), keep=kept))
    waits = serialize_limits(plan, context.journal.journal.step_durations(plan.name))
    described = PipelinePlan(context, name, plan.steps, studios, waits)
    # A pipeline begins when it is created, but this one must wait for its schedule. So its first jobs find no
    # specifications, and are stopped.
    pipeline = described.create_without_upload()
    context.patiently(pipeline.stop)
    described.upload()
    created = context.patiently(partial(pipeline.schedule, schedule.name, schedule.cron, schedule.timezone))
    return ScheduledPlan(cloud, pipeline, created)


def delete_pipeline(
    cloud: Cloud, pipeline: PipelineHandle | None, keep: frozenset[str] | set[str] = frozenset()
) -> None:
    """Delete a scheduled pipeline with its runs, their containers' folders, and its studios except those to `keep`."""
    if pipeline is None:
        return
    studios = [name for name in pipeline.studio_names() if name not in keep]
    # The schedule first, so that no run begins after the runs are listed.
    for schedule in cloud.schedules():
        if schedule.pipeline_id == pipeline.id:
            schedule.release()
    for run in pipeline.runs():
        run.release()
    pipeline.release()
    remove_folder(cloud, pipeline.name)
    for name in studios:
        studio = cloud.find_studio(name)
        if studio is not None:
            studio.release(delete=True)
