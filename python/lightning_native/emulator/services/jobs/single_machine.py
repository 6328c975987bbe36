"""Jobs on one machine: submitted, listed, renamed, stopped, deleted."""

import secrets
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
from lightning_native.emulator.services.files.drive import drive_folder
from lightning_native.emulator.services.jobs import job_runner, tags
from lightning_native.emulator.services.jobs.job_runner import COMPLETED, FAILED, STOPPED
from lightning_native.emulator.services.jobs.mounts import check_mounts
from lightning_native.emulator.services.names import free_name, slug
from lightning_native.emulator.services.variables import check_variable
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job
from lightning_native.emulator.state.store import new_id


def job_of(request: Request) -> Job:
    """Return the job that a request's path names; 404 when there is none."""
    job = cloud_of(request).jobs.get(request.path_params["job"])
    if job is None or job.teamspace_id != request.path_params["project"]:
        raise ApiError(404, f"job {request.path_params['job']} not found")
    return job


def job_names(cloud: Cloud, teamspace_id: str) -> list[str]:
    """Return the names of all jobs of a teamspace."""
    single = [job.name for job in cloud.jobs if job.teamspace_id == teamspace_id]
    return single + [job.name for job in cloud.multi_machine_jobs if job.teamspace_id == teamspace_id]


async def create(cloud: Cloud, teamspace_id: str, name: str, specification: dict[str, Any], **fields: Any) -> Job:
    """Create a job with a snapshot of its studio's files, and start it."""
    machine = machine_type(str(specification.get("instanceName") or specification.get("instanceType") or "cpu-4"))
    check_source(cloud, specification)
    check_mounts(cloud, teamspace_id, specification)
    job = Job(
        id=new_id(),
        teamspace_id=teamspace_id,
        user_id=cloud.user.id,
        name=free_name(slug(name), job_names(cloud, teamspace_id)),
        specification={**specification, "instanceName": machine.slug},
        marker=secrets.token_hex(16),
        created_at=cloud.clock.now(),
        machine=machine.slug,
        **fields,
    )
    with cloud.folder_in_work(job.id):
        await job_runner.prepare(cloud, job)
        cloud.jobs.save(job)
    job_runner.begin(cloud, job)
    return job


def check_source(cloud: Cloud, specification: dict[str, Any]) -> None:
    """Raise unless there is something to run a job from."""
    studio_id = specification.get("cloudspaceId")
    if studio_id and cloud.studios.get(str(studio_id)) is None:
        raise ApiError(404, f"studio {studio_id} not found")
    if not studio_id and not specification.get("image"):
        raise ApiError(400, "a job needs a studio or an image")
    for variable in specification.get("env") or []:
        if variable.get("name"):
            check_variable(str(variable["name"]), str(variable.get("value") or ""))


async def delete(cloud: Cloud, job: Job) -> None:
    """Delete a job with its processes, logs and artifacts."""
    await job_runner.stop(cloud, job)
    with cloud.folder_in_work(job.id):
        cloud.jobs.delete(job.id)
        cloud.finished_jobs.pop(job.id, None)
        cloud.ended_logs.pop(job.id, None)
        for folder in (job_runner.folder_of(cloud, job), drive_folder(cloud, job.teamspace_id) / "jobs" / job.name):
            cloud.discard(folder)


def document(cloud: Cloud, job: Job) -> dict[str, Any]:
    """Return a job as the API shows it."""
    return {
        "id": job.id,
        "name": job.name,
        "projectId": job.teamspace_id,
        "userId": job.user_id,
        "multiMachineJobId": job.multi_machine_id,
        "pipelineId": job.pipeline_id,
        "state": job.state,
        "message": job.message,
        "spec": {
            "image": "",
            "cloudspaceId": "",
            "command": "",
            **job.specification,
            "rank": job.rank,
            "currentRunAttempt": job.attempt,
        },
        "tags": job_tags.to_api(cloud, job.tags),
        "totalCost": job_runner.cost(cloud, job),
        "restartCount": job.restarts,
        "privateIpAddress": "127.0.0.1",
        "publicIpAddress": "127.0.0.1",
        "createdAt": timestamp(job.created_at),
        "updatedAt": timestamp(job.stopped_at or job.started_at or job.created_at),
        **{
            name: timestamp(value)
            for name, value in (("startedAt", job.started_at), ("stoppedAt", job.stopped_at))
            if value is not None
        },
    }


async def _create(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    marks = tags.ensure(cloud, teamspace.id, body.get("tags") or [])
    job = await create(cloud, teamspace.id, str(body.get("name") or ""), body.get("spec") or {}, tags=marks)
    return reply(document(cloud, job))


async def _list(request: Request) -> Response:
    cloud, teamspace, query = cloud_of(request), teamspace_of(request), request.query_params
    wanted = {tag for value in query.getlist("tagIds") for tag in value.split(",") if tag}
    standalone = query.get("standalone", "").lower() == "true"
    found = [
        document(cloud, job)
        for job in cloud.jobs
        if job.teamspace_id == teamspace.id
        and (not standalone or not job.multi_machine_id)
        and query.get("multiMachineJobId") in (None, "", job.multi_machine_id)
        and query.get("cloudspaceId") in (None, "", job.specification.get("cloudspaceId"))
        and query.get("userId") in (None, "", job.user_id)
        and query.get("state") in (None, "", job.state)
        and (not wanted or wanted.intersection(job.tags))
    ]
    return reply({"jobs": found, "nextPageToken": ""})


async def _find(request: Request) -> Response:
    cloud, teamspace = cloud_of(request), teamspace_of(request)
    for job in cloud.jobs:
        if job.teamspace_id == teamspace.id and job.name == request.query_params.get("name"):
            return reply(document(cloud, job))
    raise ApiError(404, f"job {request.query_params.get('name')} not found")


async def _get(request: Request) -> Response:
    return reply(document(cloud_of(request), job_of(request)))


async def _update(request: Request) -> Response:
    cloud, job, body = cloud_of(request), job_of(request), await body_of(request)
    if body.get("name"):
        others = [name for name in job_names(cloud, job.teamspace_id) if name != job.name]
        job.name = free_name(slug(str(body["name"])), others)
        cloud.jobs.save(job)
    if body.get("state") in ("stop", "stopped"):
        await job_runner.stop(cloud, job)
    elif body.get("state"):
        raise ApiError(400, f"a job cannot be set to {body['state']!r}, only to 'stop'")
    return reply(document(cloud, job))


async def _delete(request: Request) -> Response:
    await delete(cloud_of(request), job_of(request))
    return reply({})


def is_final(state: str) -> bool:
    """Whether a job in this state has ended."""
    return state in (COMPLETED, FAILED, STOPPED)


_ALL = "/v1/projects/{project}/jobs"
ROUTES = [
    Route(_ALL, _list),
    Route(_ALL, _create, methods=["POST"]),
    Route(_ALL + "/find", _find),
    Route(_ALL + "/{job}", _get),
    Route(_ALL + "/{job}", _update, methods=["PUT"]),
    Route(_ALL + "/{job}", _delete, methods=["DELETE"]),
]
