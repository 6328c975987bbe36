"""Jobs on several machines."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.endpoints.jobs import tags
from lightning_native.emulator.services.jobs import multi_machine
from lightning_native.emulator.services.jobs.limits import Submissions
from lightning_native.emulator.services.jobs.states import COMPLETED, FAILED, PENDING, RUNNING, STOPPED, STOPPING, shown
from lightning_native.emulator.services.jobs.tags import ensure
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import MultiMachineJob

_STATE = "MultiMachineJob_STATE_"
_STATES = {
    PENDING: "PENDING",
    RUNNING: "RUNNING",
    STOPPING: "STOP",
    STOPPED: "STOPPED",
    COMPLETED: "COMPLETED",
    FAILED: "FAILED",
}


def _multi_machine_of(request: Request) -> MultiMachineJob:
    key = request.path_params["job"]
    several = cloud_of(request).multi_machine_jobs.get(key)
    if several is None or several.teamspace_id != request.path_params["project"]:
        raise ApiError(404, f"job {key} not found")
    return several


def to_api(cloud: Cloud, several: MultiMachineJob) -> dict[str, Any]:
    """Return a job on several machines as the API shows it."""
    machines = multi_machine.machines_of(cloud, several)
    states = [job.state for job in machines]
    started = [job.started_at for job in machines if job.started_at is not None]
    stopped = [job.stopped_at for job in machines if job.stopped_at is not None]
    status = {
        "pendingMachines": str(states.count(PENDING)),
        "readyMachines": str(states.count(RUNNING)),
        "failingMachines": str(states.count(FAILED)),
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
        "state": _STATE + _STATES[shown(multi_machine.state_of(cloud, several))],
        "desiredState": _STATE + ("STOP" if several.is_stopping else "RUNNING"),
        "status": status,
        "spec": {"image": "", "cloudspaceId": "", "command": "", **several.specification},
        "tags": tags.to_api(cloud, several.tags),
        "totalCost": multi_machine.reported_cost(cloud, several),
        "message": multi_machine.message_of(cloud, several),
        "createdAt": timestamp(several.created_at),
        "updatedAt": timestamp(several.created_at),
    }


async def _create(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    cloud.service(Submissions).check()
    marks = ensure(cloud, teamspace.id, body.get("tags") or [])
    return reply(to_api(cloud, await multi_machine.create(cloud, teamspace.id, body, tags=marks)))


async def _list(request: Request) -> Response:
    cloud, teamspace = cloud_of(request), teamspace_of(request)
    found = [item for item in cloud.multi_machine_jobs if item.teamspace_id == teamspace.id]
    return reply({"multiMachineJobs": [to_api(cloud, item) for item in found]})


async def _get(request: Request) -> Response:
    return reply(to_api(cloud_of(request), _multi_machine_of(request)))


async def _get_by_name(request: Request) -> Response:
    cloud, teamspace = cloud_of(request), teamspace_of(request)
    for several in cloud.multi_machine_jobs:
        if several.teamspace_id == teamspace.id and several.name == request.path_params["name"]:
            return reply(to_api(cloud, several))
    raise ApiError(404, f"job {request.path_params['name']} not found")


async def _update(request: Request) -> Response:
    cloud, several, body = cloud_of(request), _multi_machine_of(request), await body_of(request)
    if str(body.get("desiredState", "")).removeprefix(_STATE) in ("STOP", "STOPPED"):
        await multi_machine.stop(cloud, several)
    else:
        raise ApiError(400, f"a job cannot be set to {body.get('desiredState')!r}, only to '{_STATE}STOP'")
    return reply(to_api(cloud, several))


async def _delete(request: Request) -> Response:
    await multi_machine.delete(cloud_of(request), _multi_machine_of(request))
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
