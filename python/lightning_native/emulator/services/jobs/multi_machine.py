"""Jobs on several machines: one process for each, which finds the others through its environment."""

import asyncio
import socket
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import machine_type
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.endpoints.jobs import tags as job_tags
from lightning_native.emulator.services.jobs import job_runner, single_machine, tags
from lightning_native.emulator.services.names import free_name, slug
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job, MultiMachineJob
from lightning_native.emulator.state.store import new_id

_STATE = "MultiMachineJob_STATE_"
_MAX_MACHINES = 64


def machines_of(cloud: Cloud, several: MultiMachineJob) -> list[Job]:
    """Return the machines of a job by rank."""
    found = [job for job in cloud.jobs if job.multi_machine_id == several.id]
    return sorted(found, key=lambda job: job.rank)


def state_of(cloud: Cloud, several: MultiMachineJob) -> str:
    """Return the state of the whole, in the words of a job on one machine."""
    states = [job.state for job in machines_of(cloud, several)]
    if several.has_ended:
        return _outcome(states)
    if several.is_stopping:
        return job_runner.STOPPING
    if all(state == job_runner.PENDING for state in states):
        return job_runner.PENDING
    return job_runner.RUNNING


def _outcome(states: list[str]) -> str:
    # The others are stopped when one fails.
    return next((state for state in (job_runner.FAILED, job_runner.STOPPED) if state in states), job_runner.COMPLETED)


_STATES = {
    job_runner.PENDING: "PENDING",
    job_runner.RUNNING: "RUNNING",
    job_runner.STOPPING: "STOP",
    job_runner.STOPPED: "STOPPED",
    job_runner.COMPLETED: "COMPLETED",
    job_runner.FAILED: "FAILED",
}


async def create(cloud: Cloud, teamspace_id: str, body: dict[str, Any], **fields: Any) -> MultiMachineJob:
    """Create a job on several machines and start it."""
    specification = body.get("spec") or {}
    machine = machine_type(str(specification.get("instanceName") or "cpu-4"))
    single_machine.check_source(cloud, specification)
    count = int(body.get("machines") or 0)
    if not 1 <= count <= _MAX_MACHINES:
        raise ApiError(400, f"a job runs on 1 to {_MAX_MACHINES} machines, not {count}")
    several = MultiMachineJob(
        id=new_id(),
        teamspace_id=teamspace_id,
        user_id=cloud.user.id,
        name=free_name(slug(str(body.get("name") or "")), single_machine.job_names(cloud, teamspace_id)),
        specification={**specification, "instanceName": machine.slug},
        created_at=cloud.clock.now(),
        machines=count,
        max_attempts=int(body.get("maxRunAttempts") or 1),
        **fields,
    )
    # Before its machines: without it, they belong to nothing.
    cloud.multi_machine_jobs.save(several)
    try:
        await _create_machines(cloud, several)
    except BaseException:
        several.has_ended = True
        await delete(cloud, several)
        raise
    cloud.start_task(watch(cloud, several))
    return several


async def _create_machines(cloud: Cloud, several: MultiMachineJob) -> None:
    address = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(several.machines * _devices(cloud, several)),
        "NUM_NODES": str(several.machines),
    }
    await asyncio.gather(
        *(
            single_machine.create(
                cloud,
                several.teamspace_id,
                f"{several.name}-{rank}",
                # All machines are started again together, not each by itself.
                {**several.specification, "maxRunAttempts": 1},
                multi_machine_id=several.id,
                pipeline_id=several.pipeline_id,
                rank=rank,
                tags=several.tags,
                extra_env={**several.extra_env, **address, "NODE_RANK": str(rank)},
            )
            for rank in range(several.machines)
        )
    )


def _devices(cloud: Cloud, several: MultiMachineJob) -> int:
    """Return by how many devices of a machine the platform counts."""
    machine = machine_type(str(several.specification["instanceName"]))
    return machine.count if cloud.strict is not None and machine.is_gpu else 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def watch(cloud: Cloud, several: MultiMachineJob) -> None:
    """Stop all machines when one fails, and start them again while there are attempts left."""
    while True:
        machines = machines_of(cloud, several)
        waiting = {asyncio.create_task(job_runner.finished(cloud, job.id).wait()): job for job in machines}
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            ended = [waiting.pop(task) for task in done]
            if any(job.state == job_runner.FAILED for job in ended):
                others = [job_runner.stop(cloud, job, message="another machine failed") for job in waiting.values()]
                await asyncio.gather(*others)
        failed = _outcome([job.state for job in machines]) == job_runner.FAILED
        if not failed or several.is_stopping or several.attempt >= several.max_attempts:
            break
        several.attempt += 1
        several.spent += sum(job_runner.cost(cloud, job) for job in machines)
        for job in machines:
            await single_machine.delete(cloud, job)
        if cloud.multi_machine_jobs.get(several.id) is not several:
            return
        await _create_machines(cloud, several)
        cloud.multi_machine_jobs.save(several)
        if several.is_stopping:
            # Asked for while the machines were made again.
            await asyncio.gather(*(job_runner.stop(cloud, job) for job in machines_of(cloud, several)))
    several.has_ended = True
    if cloud.multi_machine_jobs.get(several.id) is several:
        cloud.multi_machine_jobs.save(several)
    finished(cloud, several.id).set()


def finished(cloud: Cloud, key: str) -> asyncio.Event:
    """Return the event that is set when a job on several machines has ended."""
    return cloud.finished_jobs.setdefault(key, asyncio.Event())


async def stop(cloud: Cloud, several: MultiMachineJob) -> None:
    """End all machines and wait for it; nothing to do when all have ended."""
    if several.has_ended:
        return
    several.is_stopping = True
    cloud.multi_machine_jobs.save(several)
    await asyncio.gather(*(job_runner.stop(cloud, job) for job in machines_of(cloud, several)))
    await finished(cloud, several.id).wait()


async def delete(cloud: Cloud, several: MultiMachineJob) -> None:
    """Delete a job on several machines with all that belongs to it."""
    await stop(cloud, several)
    cloud.multi_machine_jobs.delete(several.id)
    for job in machines_of(cloud, several):
        await single_machine.delete(cloud, job)


def document(cloud: Cloud, several: MultiMachineJob) -> dict[str, Any]:
    """Return a job on several machines as the API shows it."""
    machines = machines_of(cloud, several)
    states = [job.state for job in machines]
    started = [job.started_at for job in machines if job.started_at is not None]
    stopped = [job.stopped_at for job in machines if job.stopped_at is not None]
    status = {
        "pendingMachines": str(states.count(job_runner.PENDING)),
        "readyMachines": str(states.count(job_runner.RUNNING)),
        "failingMachines": str(states.count(job_runner.FAILED)),
    }
    if started:
        status["startedAt"] = timestamp(min(started)) or ""
    if stopped and len(stopped) == len(machines):
        status["stoppedAt"] = timestamp(max(stopped)) or ""
    return {
        "id": several.id,
        "name": several.name,
        "projectId": several.teamspace_id,
        "userId": several.user_id,
        "pipelineId": several.pipeline_id,
        "cloudspaceId": several.specification.get("cloudspaceId") or "",
        "machines": several.machines,
        "maxRunAttempts": several.max_attempts,
        "currentRunAttempt": several.attempt,
        "state": _STATE + _STATES[state_of(cloud, several)],
        "desiredState": _STATE + ("STOP" if several.is_stopping else "RUNNING"),
        "status": status,
        "spec": {"image": "", "cloudspaceId": "", "command": "", **several.specification},
        "tags": job_tags.to_api(cloud, several.tags),
        "totalCost": several.spent + sum(job_runner.cost(cloud, job) for job in machines),
        "message": next((job.message for job in machines if job.state == job_runner.FAILED), ""),
        "createdAt": timestamp(several.created_at),
        "updatedAt": timestamp(several.created_at),
    }


def _several_of(request: Request) -> MultiMachineJob:
    key = request.path_params["job"]
    several = cloud_of(request).multi_machine_jobs.get(key)
    if several is None or several.teamspace_id != request.path_params["project"]:
        raise ApiError(404, f"job {key} not found")
    return several


async def _create(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    marks = tags.ensure(cloud, teamspace.id, body.get("tags") or [])
    return reply(document(cloud, await create(cloud, teamspace.id, body, tags=marks)))


async def _list(request: Request) -> Response:
    cloud, teamspace = cloud_of(request), teamspace_of(request)
    found = [item for item in cloud.multi_machine_jobs if item.teamspace_id == teamspace.id]
    return reply({"multiMachineJobs": [document(cloud, item) for item in found]})


async def _get(request: Request) -> Response:
    return reply(document(cloud_of(request), _several_of(request)))


async def _get_by_name(request: Request) -> Response:
    cloud, teamspace = cloud_of(request), teamspace_of(request)
    for several in cloud.multi_machine_jobs:
        if several.teamspace_id == teamspace.id and several.name == request.path_params["name"]:
            return reply(document(cloud, several))
    raise ApiError(404, f"job {request.path_params['name']} not found")


async def _update(request: Request) -> Response:
    cloud, several, body = cloud_of(request), _several_of(request), await body_of(request)
    if str(body.get("desiredState", "")).removeprefix(_STATE) in ("STOP", "STOPPED"):
        await stop(cloud, several)
    else:
        raise ApiError(400, f"a job cannot be set to {body.get('desiredState')!r}, only to '{_STATE}STOP'")
    return reply(document(cloud, several))


async def _delete(request: Request) -> Response:
    await delete(cloud_of(request), _several_of(request))
    return reply({})


_ALL = "/v1/projects/{project}/multi-machine-jobs"
ROUTES = [
    Route(_ALL, _list),
    Route(_ALL, _create, methods=["POST"]),
    Route(_ALL + "/{name:path}/getbyname", _get_by_name),
    Route(_ALL + "/{job}", _get),
    Route(_ALL + "/{job}", _update, methods=["PUT"]),
    Route(_ALL + "/{job}", _delete, methods=["DELETE"]),
]
