"""Schedules of pipelines and studios."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services import schedules
from lightning_native.emulator.services.names import check_name
from lightning_native.emulator.state.records import Schedule

_ACTIVE, _PAUSED = "active", "paused"


def to_api(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as the API shows it."""
    return {
        "id": schedule.id,
        "name": schedule.name,
        "displayName": schedule.name,
        "projectId": schedule.teamspace_id,
        "userId": schedule.user_id,
        "cronExpression": schedule.cron,
        "timezone": schedule.timezone,
        "resourceId": schedule.resource_id,
        "resourceType": schedule.resource_type,
        "parentResourceId": schedule.parent_id,
        "actionType": schedule.action or "UNSPECIFIED_ACTION",
        "parallelRuns": schedule.parallel_runs,
        "state": _PAUSED if schedule.is_paused else _ACTIVE,
        "next": timestamp(schedule.next_at),
        "total": schedule.total,
        "createdAt": timestamp(schedule.created_at),
        "updatedAt": timestamp(schedule.created_at),
    }


def _schedule_of(request: Request) -> Schedule:
    schedule = cloud_of(request).schedules.get(request.path_params["schedule"])
    if schedule is None or schedule.teamspace_id != request.path_params["project"]:
        raise ApiError(404, f"schedule {request.path_params['schedule']} not found")
    return schedule


async def _create(request: Request) -> Response:
    cloud, teamspace, body = cloud_of(request), teamspace_of(request), await body_of(request)
    schedule = schedules.create(
        cloud,
        teamspace.id,
        str(body.get("displayName") or "schedule"),
        str(body.get("resourceType") or schedules.PIPELINE),
        str(body.get("resourceId") or ""),
        cron=str(body.get("cronExpression") or ""),
        zone=str(body.get("timezone") or ""),
        parent_id=str(body.get("parentResourceId") or ""),
        action=str(body.get("actionType") or ""),
        parallel_runs=bool(body.get("parallelRuns")),
    )
    return reply(to_api(schedule))


async def _list(request: Request) -> Response:
    cloud, teamspace, query = cloud_of(request), teamspace_of(request), request.query_params
    found = [
        to_api(item)
        for item in cloud.schedules
        if item.teamspace_id == teamspace.id
        and query.get("resourceId") in (None, "", item.resource_id)
        and query.get("parentResourceId") in (None, "", item.parent_id)
    ]
    return reply({"schedules": found, "nextPageToken": ""})


async def _get(request: Request) -> Response:
    return reply(to_api(_schedule_of(request)))


async def _update(request: Request) -> Response:
    cloud, schedule, body = cloud_of(request), _schedule_of(request), await body_of(request)
    cron = str(body.get("cronExpression") or schedule.cron)
    zone = str(body["timezone"]) if body.get("timezone") is not None else schedule.timezone
    schedule.next_at = schedules.next_time(cron, zone, cloud.clock.now())
    schedule.cron, schedule.timezone = cron, zone
    if body.get("state"):
        schedule.is_paused = str(body["state"]).lower() not in (_ACTIVE, "running")
    if body.get("displayName"):
        schedule.name = check_name(str(body["displayName"]))
    if body.get("parallelRuns") is not None:
        schedule.parallel_runs = bool(body["parallelRuns"])
    cloud.schedules.save(schedule)
    return reply(to_api(schedule))


async def _delete(request: Request) -> Response:
    cloud_of(request).schedules.delete(_schedule_of(request).id)
    return reply({})


_ALL = "/v1/projects/{project}/schedules"
ROUTES = [
    Route(_ALL, _list),
    Route(_ALL, _create, methods=["POST"]),
    Route(_ALL + "/{schedule}", _get),
    Route(_ALL + "/{schedule}", _update, methods=["PUT"]),
    Route(_ALL + "/{schedule}", _delete, methods=["DELETE"]),
]
