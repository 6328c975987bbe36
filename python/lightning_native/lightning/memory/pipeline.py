"""A pipeline in memory, and its schedule."""

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lightning_native.errors import CloudError
from lightning_native.lightning.cloud import (
    JobState,
    PipelineRequest,
    PipelineStatus,
    PipelineStepRequest,
    PipelineStepState,
    PipelineStepStatus,
)
from lightning_native.lightning.memory.job import MemoryJob
from lightning_native.lightning.time_zones import time_zones

if TYPE_CHECKING:
    from lightning_native.lightning.memory.cloud import MemoryCloud

_CRON_FIELDS = 5


class MemoryPipeline:
    """One pipeline, whose steps begin, advance and end when its status is read."""

    def __init__(self, cloud: "MemoryCloud", pipeline_id: str, request: PipelineRequest) -> None:
        _check_pipeline(cloud, request)
        self.name = request.name
        self.id = pipeline_id
        self.created = time.time()
        self._cloud = cloud
        self._request = request
        self._states: dict[str, PipelineStepState] = {step.job.name: "pending" for step in request.steps}
        self._jobs: dict[str, MemoryJob] = {}
        self._stopped = False

    def status(self) -> PipelineStatus:
        """Advance every step of the pipeline, and return its status."""
        with self._cloud.lock:
            self._check_there()
            for step in self._request.steps:
                self._go_on(step)
            jobs = {step: job.name for step, job in self._jobs.items()}
            steps = {name: PipelineStepStatus(state, jobs.get(name)) for name, state in self._states.items()}
            return PipelineStatus(self._state(), steps)

    def _state(self) -> JobState:
        states = set(self._states.values())
        if states & {"pending", "running"}:
            return "running"
        return "stopped" if self._stopped else "completed" if states == {"completed"} else "failed"

    def _go_on(self, step: PipelineStepRequest) -> None:
        name = step.job.name
        state = self._states[name]
        if state == "pending":
            upstream = {self._states[other] for other in step.wait_for}
            failed = {"failed", "stopped"} & set(self._states.values()) and self._request.stop_on_failure
            if upstream & {"failed", "stopped", "skipped"} or failed:
                self._states[name] = "skipped"
            elif upstream <= {"completed"}:
                variables = {"LIGHTNING_PIPELINE_ID": self.id}
                self._jobs[name] = self._cloud.submit(f"{self.name}-{name}", step.job, variables)
                self._states[name] = "running"
        elif state == "running":
            self._states[name] = self._jobs[name].state()

    def job(self, status: PipelineStepStatus) -> MemoryJob:
        """Return the job of a step that has one."""
        job = self._cloud.jobs.get(status.job or "")
        if job is None:
            raise CloudError(f"there is no job {status.job!r}")
        return job

    def stop(self) -> None:
        """End the pipeline with its jobs."""
        with self._cloud.lock:
            self._check_there()
            self._end()

    def _end(self) -> None:
        for name, state in self._states.items():
            if state in ("pending", "running"):
                self._stopped = True
                self._states[name] = "stopped"
        for job in self._jobs.values():
            if job.is_there():
                job.stop()

    def studio_names(self) -> list[str]:
        """Return the names of the studios from which its steps start."""
        studios = dict.fromkeys(step.job.studio for step in self._request.steps)
        return [studio for studio in studios if studio in self._cloud.studios]

    def schedule(self, name: str, cron: str, timezone: str) -> "MemorySchedule":
        """Return the pipeline's schedule, which never fires; it is created if there is none."""
        with self._cloud.lock:
            self._check_there()
            for schedule in self._cloud.schedules():
                if schedule.pipeline_id == self.id:
                    return schedule
            _check_moments(name, cron, timezone)
            schedule = MemorySchedule(self._cloud, self._cloud.new_id("schedule"), self.id, name, cron, timezone)
            self._cloud.timetable[schedule.id] = replace(schedule)
            return schedule

    def runs(self) -> "list[MemoryPipeline]":
        """Return no runs, because no schedule fires."""
        return []

    def release(self) -> None:
        """Stop and delete the pipeline with its jobs and schedules."""
        with self._cloud.lock:
            if self._cloud.pipelines.pop(self.id, None) is None:
                return
            self._end()
            for job in self._jobs.values():
                job.release()
            for schedule in self._cloud.schedules():
                if schedule.pipeline_id == self.id:
                    schedule.release()

    def _check_there(self) -> None:
        if self.id not in self._cloud.pipelines:
            raise CloudError(f"pipeline {self.name!r} was deleted")


@dataclass
class MemorySchedule:
    """One schedule, as it was when it was read. It never fires, because time does not pass here."""

    _cloud: "MemoryCloud" = field(repr=False)
    id: str
    pipeline_id: str
    name: str
    cron: str
    timezone: str
    paused: bool = False

    def update(self, *, cron: str | None = None, timezone: str | None = None, paused: bool | None = None) -> None:
        """Change the given fields."""
        with self._cloud.lock:
            kept = self._cloud.timetable.get(self.id)
            if kept is None:
                raise CloudError(f"schedule {self.name!r} was deleted")
            cron, timezone = cron or kept.cron, timezone or kept.timezone
            _check_moments(self.name, cron, timezone)
            self.cron, self.timezone, self.paused = cron, timezone, kept.paused if paused is None else paused
            self._cloud.timetable[self.id] = replace(self)

    def release(self) -> None:
        """Delete the schedule, not its pipeline."""
        self._cloud.timetable.pop(self.id, None)


def _check_moments(name: str, cron: str, timezone: str) -> None:
    if len(cron.split()) != _CRON_FIELDS or timezone not in time_zones():
        raise CloudError(f"schedule {name!r} cannot fire at {cron!r} {timezone}")


def _check_pipeline(cloud: "MemoryCloud", request: PipelineRequest) -> None:
    earlier: set[str] = set()
    for step in request.steps:
        cloud.check(step.job)
        if step.job.name in earlier or not earlier.issuperset(step.wait_for):
            problem = "is there twice, or waits for one that is no earlier step"
            raise CloudError(f"step {step.job.name!r} of pipeline {request.name!r} {problem}")
        earlier.add(step.job.name)
    if not earlier:
        raise CloudError(f"pipeline {request.name!r} has no steps")
