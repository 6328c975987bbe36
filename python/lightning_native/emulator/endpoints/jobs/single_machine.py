"""Jobs on one machine."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.endpoints.jobs import tags
from lightning_native.emulator.services.jobs import billing, single_machine
from lightning_native.emulator.services.jobs.job_runner import runner_of
from lightning_native.emulator.services.jobs.limits import Submissions
from lightning_native.emulator.services.jobs.states import shown
from lightning_native.emulator.services.jobs.tags import ensure
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Job


def job_of(request: Request) -> Job:
    """Return the job that a request's path names; 404 when there is none."""
    job = cloud_of(request).jobs.get(request.path_params["job"])
    if job is None or job.teamspace_id != request.path_params["project"]:
        raise ApiError(404, f"job {request.path_params['job']} not found")
    return job


def to_api(cloud: Cloud, job: Job) -> dict[str, Any]:
    """Return a job as the API shows it."""
    return {
        "id": job.id,
        "name": job.name,
        "projectId": job.teamspace_id,
        "userId": job.user_id,
        "multiMachineJobId": job.multi_machine_id,
        "pipelineId": job.pipeline_id,
        "state": shown(job.state),
        "message": job.message,
        "spec": {
            "image": "",
            "cloudspaceId": "",
            "command": "",
            **job.specification,
            "rank": job.rank,
            "currentRunAttempt": job.attempt,
        },
        "tags": tags.to_api(cloud, job.tags),
        "totalCost": billing.reported_cost(cloud, job),
        "restartCount": job.restarts,
        "interruptionNoticeReceived": job.was_interrupted,
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
    cloud.service(Submissions).check()
    marks = ensure(cloud, teamspace.id, body.get("tags") or [])
    job = await single_machine.create(
        cloud, teamspace.id, str(body.get("name") or ""), body.get("spec") or {}, tags=marks
    )
    return reply(to_api(cloud, job))


async def _list(request: Request) -> Response:
    cloud, teamspace, query = cloud_of(request), teamspace_of(request), request.query_params
    wanted = {tag for value in query.getlist("tagIds") for tag in value.split(",") if tag}
    standalone = query.get("standalone", "").lower() == "true"
    found = [
        to_api(cloud, job)
        for job in cloud.jobs
        if job.teamspace_id == teamspace.id
        and not _is_hidden(cloud, job)
        and (not standalone or not job.multi_machine_id)
        and query.get("multiMachineJobId") in (None, "", job.multi_machine_id)
        and query.get("cloudspaceId") in (None, "", job.specification.get("cloudspaceId"))
        and query.get("userId") in (None, "", job.user_id)
        and query.get("state") in (None, "", shown(job.state))
        and (not wanted or wanted.intersection(job.tags))
    ]
    return reply({"jobs": found, "nextPageToken": ""})


def _is_hidden(cloud: Cloud, job: Job) -> bool:
    return bool(job.pipeline_id) and cloud.settings.profile.steps_by_id


async def _find(request: Request) -> Response:
    cloud, teamspace = cloud_of(request), teamspace_of(request)
    for job in cloud.jobs:
        wanted = job.teamspace_id == teamspace.id and job.name == request.query_params.get("name")
        if wanted and not _is_hidden(cloud, job):
            return reply(to_api(cloud, job))
    raise ApiError(404, f"job {request.query_params.get('name')} not found")


async def _get(request: Request) -> Response:
    return reply(to_api(cloud_of(request), job_of(request)))


async def _update(request: Request) -> Response:
    cloud, job, body = cloud_of(request), job_of(request), await body_of(request)
    if body.get("name"):
        single_machine.rename(cloud, job, str(body["name"]))
    if body.get("state") in ("stop", "stopped"):
        await runner_of(cloud, job).stop()
    elif body.get("state"):
        raise ApiError(400, f"a job cannot be set to {body['state']!r}, only to 'stop'")
    return reply(to_api(cloud, job))


async def _delete(request: Request) -> Response:
    await single_machine.delete(cloud_of(request), job_of(request))
    return reply({})


_ALL = "/v1/projects/{project}/jobs"
ROUTES = [
    Route(_ALL, _list),
    Route(_ALL, _create, methods=["POST"]),
    Route(_ALL + "/find", _find),
    Route(_ALL + "/{job}", _get),
    Route(_ALL + "/{job}", _update, methods=["PUT"]),
    Route(_ALL + "/{job}", _delete, methods=["DELETE"]),
]
