"""Pipelines: graphs of job steps, which run as soon as they are created.

To change a pipeline, clients create another under the same name, with the first as its parent; the name finds the
newest one. A schedule creates each run as a pipeline of its own, with a number behind the name.
"""

import asyncio
from typing import Any

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.cloud_accounts import DEFAULT_CLUSTER
from lightning_native.emulator.services.files.drive import drive_folder, inside
from lightning_native.emulator.services.jobs import multi_machine, single_machine, states
from lightning_native.emulator.services.jobs.job_runner import runner_of
from lightning_native.emulator.services.jobs.mounts import check_mounts
from lightning_native.emulator.services.money import require_funds
from lightning_native.emulator.services.names import slug
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job, MultiMachineJob, Pipeline
from lightning_native.emulator.state.store import new_id

_JOB, _MMT = "PIPELINE_STEP_TYPE_JOB", "PIPELINE_STEP_TYPE_MMT"
PENDING, RUNNING, COMPLETED, FAILED, STOPPED = "PENDING", "RUNNING", "COMPLETED", "FAILED", "STOPPED"
FINAL = (COMPLETED, FAILED, STOPPED)
SKIPPED = "skipped"


def create(cloud: Cloud, teamspace_id: str, name: str, steps: list[dict[str, Any]], **fields: Any) -> Pipeline:
    """Create a pipeline and start it."""
    require_funds(cloud)
    _check(cloud, teamspace_id, name, steps)
    pipeline = Pipeline(
        id=f"pip_{new_id()}",
        teamspace_id=teamspace_id,
        user_id=cloud.user.id,
        name=slug(name),
        steps=steps,
        statuses=[
            {"name": step["name"], "type": step["type"], "state": states.PENDING, "interruptionRetryCount": 0}
            for step in steps
        ],
        created_at=cloud.clock.now(),
        **fields,
    )
    if pipeline.shared_filesystem.get("enabled"):
        shared = _shared_folder(cloud, pipeline)
        shared.mkdir(parents=True, exist_ok=True)
        cloud.give(shared, drive_folder(cloud, pipeline.teamspace_id))
    cloud.pipelines.save(pipeline)
    cloud.start_task(run(cloud, pipeline))
    return pipeline


def _shared_folder(cloud: Cloud, pipeline: Pipeline) -> Any:
    kind = "gcs_folders" if pipeline.shared_filesystem.get("gcsFolder") else "s3_folders"
    cluster = next((_specification(step).get("clusterId") for step in pipeline.steps), None) or DEFAULT_CLUSTER
    return inside(drive_folder(cloud, pipeline.teamspace_id), f"{kind}/pipelines-{cluster}")


def _specification(step: dict[str, Any]) -> dict[str, Any]:
    specification: dict[str, Any] = (step.get("job") or step.get("mmt") or {}).get("spec") or {}
    return specification


def _check(cloud: Cloud, teamspace_id: str, pipeline: str, steps: list[dict[str, Any]]) -> None:
    """Raise unless all steps of a graph can run."""
    if not steps:
        raise ApiError(400, "a pipeline needs steps")
    earlier: set[str] = set()
    for step in steps:
        name = str(step.get("name") or "")
        if step.get("type") not in (_JOB, _MMT):
            raise ApiError(400, f"step {name!r}: the local cloud has job steps only, no {step.get('type')}")
        if not name or name in earlier:
            raise ApiError(400, f"step {name!r}: every step needs a name of its own")
        slug(f"{pipeline}-{name}")
        for other in step.get("waitFor") or []:
            if other not in earlier:
                raise ApiError(400, f"step {name!r} waits for {other!r}, which is no earlier step")
        specification = _specification(step)
        single_machine.check_source(cloud, specification)
        single_machine.machine_for(cloud, specification)
        check_mounts(cloud, teamspace_id, specification)
        earlier.add(name)


def _is_final(state: str) -> bool:
    return state == SKIPPED or states.is_final(state)


async def run(cloud: Cloud, pipeline: Pipeline) -> None:
    """Run a pipeline from its present state to a final one."""
    if pipeline.state == PENDING:
        pipeline.state = RUNNING
        cloud.pipelines.save(pipeline)
    running: dict[asyncio.Task[None], str] = {}
    while pipeline.state == RUNNING:
        for step in _ready(pipeline, set(running.values())):
            running[asyncio.create_task(_run_step(cloud, pipeline, step))] = step["name"]
        if not running:
            break
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del running[task]
            task.result()
    if running:
        await asyncio.gather(*running)
    ended = [status["state"] for status in pipeline.statuses]
    if pipeline.state == RUNNING:
        pipeline.state = COMPLETED if all(state == states.COMPLETED for state in ended) else FAILED
    if cloud.pipelines.get(pipeline.id) is pipeline:
        cloud.pipelines.save(pipeline)
    cloud.end_of(pipeline.id).set()


def _ready(pipeline: Pipeline, running: set[str]) -> list[dict[str, Any]]:
    """Return the steps that can start, and mark those that never can."""
    known = {status["name"]: status["state"] for status in pipeline.statuses}
    failed = any(state in (states.FAILED, states.STOPPED) for state in known.values())
    found = []
    for step in pipeline.steps:
        status = _status(pipeline, step["name"])
        if _is_final(status["state"]) or step["name"] in running:
            continue
        upstream = [known[name] for name in step.get("waitFor") or []]
        if status.get("resourceId"):
            # The step was started by an earlier server.
            found.append(step)
        elif any(_is_final(state) and state != states.COMPLETED for state in upstream) or (
            failed and not pipeline.goes_on_after_failure
        ):
            status["state"] = known[step["name"]] = SKIPPED
        elif all(state == states.COMPLETED for state in upstream):
            found.append(step)
    return found


def _status(pipeline: Pipeline, name: str) -> dict[str, Any]:
    return next(status for status in pipeline.statuses if status["name"] == name)


async def _run_step(cloud: Cloud, pipeline: Pipeline, step: dict[str, Any]) -> None:
    status = _status(pipeline, step["name"])
    while True:
        try:
            resource = _resource(cloud, pipeline, step["name"]) or await _start_step(cloud, pipeline, step)
        except ApiError as error:
            # Such as without money.
            status.update(state=states.FAILED, message=str(error))
            return
        status.update(resourceId=resource.id, resourceName=resource.name, state=states.RUNNING)
        cloud.pipelines.save(pipeline)
        if pipeline.state != RUNNING:
            # The pipeline was stopped while this job was created.
            await _stop_resource(cloud, resource)
        await cloud.end_of(resource.id).wait()
        _update(cloud, status, resource)
        interrupted = isinstance(resource, Job) and resource.was_interrupted and resource.state == states.FAILED
        if not interrupted or status["interruptionRetryCount"] >= pipeline.interruption_retries:
            break
        status["interruptionRetryCount"] += 1
        await _delete(cloud, resource)
    if cloud.pipelines.get(pipeline.id) is pipeline:
        cloud.pipelines.save(pipeline)


def _resource(cloud: Cloud, pipeline: Pipeline, step: str) -> Job | MultiMachineJob | None:
    """Return the job of a step, if there is one yet."""
    everything: list[Job | MultiMachineJob] = [*cloud.multi_machine_jobs, *cloud.jobs]
    for item in everything:
        if item.pipeline_id == pipeline.id and item.extra_env.get("LIGHTNING_PIPELINE_STEP") == step:
            return item
    return None


def _resources(cloud: Cloud, pipeline: Pipeline) -> list[Job | MultiMachineJob]:
    found = (_resource(cloud, pipeline, status["name"]) for status in pipeline.statuses)
    return [resource for resource in found if resource is not None]


async def _start_step(cloud: Cloud, pipeline: Pipeline, step: dict[str, Any]) -> Job | MultiMachineJob:
    variables = {"LIGHTNING_PIPELINE_ID": pipeline.id, "LIGHTNING_PIPELINE_STEP": step["name"]}
    name = f"{pipeline.name}-{step['name']}"
    fields: dict[str, Any] = {"pipeline_id": pipeline.id, "extra_env": variables}
    if step["type"] == _MMT:
        return await multi_machine.create(cloud, pipeline.teamspace_id, {**step["mmt"], "name": name}, **fields)
    return await single_machine.create(cloud, pipeline.teamspace_id, name, step["job"].get("spec") or {}, **fields)


def _update(cloud: Cloud, status: dict[str, Any], resource: Job | MultiMachineJob) -> None:
    if isinstance(resource, Job):
        status.update(state=states.shown(resource.state), message=resource.message)
        times = (resource.started_at, resource.stopped_at)
    else:
        status.update(state=states.shown(multi_machine.state_of(cloud, resource)))
        machines = multi_machine.machines_of(cloud, resource)
        times = (
            min((job.started_at for job in machines if job.started_at is not None), default=None),
            max((job.stopped_at for job in machines if job.stopped_at is not None), default=None),
        )
    for name, value in zip(("startedAt", "stoppedAt"), times, strict=True):
        if value is not None:
            status[name] = timestamp(value)


async def _delete(cloud: Cloud, resource: Job | MultiMachineJob) -> None:
    if isinstance(resource, Job):
        await single_machine.delete(cloud, resource)
    else:
        await multi_machine.delete(cloud, resource)


async def stop(cloud: Cloud, pipeline: Pipeline) -> None:
    """End a pipeline with its running steps; does nothing when it has ended."""
    if pipeline.state in FINAL:
        return
    pipeline.state = STOPPED
    await asyncio.gather(*(_stop_resource(cloud, resource) for resource in _resources(cloud, pipeline)))
    await cloud.end_of(pipeline.id).wait()
    for status in pipeline.statuses:
        if not _is_final(status["state"]):
            status["state"] = states.STOPPED
    cloud.pipelines.save(pipeline)


async def _stop_resource(cloud: Cloud, resource: Job | MultiMachineJob) -> None:
    if isinstance(resource, Job):
        await runner_of(cloud, resource).stop()
    else:
        await multi_machine.stop(cloud, resource)


async def delete(cloud: Cloud, pipeline: Pipeline) -> None:
    """Delete a pipeline with its jobs and its schedules."""
    await stop(cloud, pipeline)
    cloud.pipelines.delete(pipeline.id)
    for schedule in cloud.schedules:
        if pipeline.id in (schedule.resource_id, schedule.parent_id):
            cloud.schedules.delete(schedule.id)
    await asyncio.gather(*(_delete(cloud, resource) for resource in _resources(cloud, pipeline)))


def refresh(cloud: Cloud, pipeline: Pipeline) -> None:
    """Update the statuses of steps that have not ended from their jobs."""
    for status in pipeline.statuses:
        resource = _resource(cloud, pipeline, status["name"])
        if resource is not None and not _is_final(status["state"]):
            _update(cloud, status, resource)
