"""Schedules: cron expressions in a time zone that fire on the simulated clock."""

from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_native.emulator.api import body_of, cloud_of, reply
from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.clock import timestamp
from lightning_native.emulator.endpoints.accounts import teamspace_of
from lightning_native.emulator.services import pipelines, studios
from lightning_native.emulator.services.names import check_name
from lightning_native.emulator.state.cloud import Cloud, logger
from lightning_native.emulator.state.records import Schedule
from lightning_native.emulator.state.store import new_id

_PIPELINE, _STUDIO = "PIPELINE", "CLOUDSPACE_STUDIO"
_ACTIVE, _PAUSED = "active", "paused"
# How late a schedule may notice that it was changed or deleted, in simulated seconds.
_MAX_SLEEP = 60.0


def next_time(cron: str, zone: str, after: float) -> float:
    """Return when an expression fires next; 400 for an expression or a time zone that there is not."""
    try:
        moment = datetime.fromtimestamp(after, tz=timezone.utc).astimezone(ZoneInfo(zone or "UTC"))
        return next(CronSim(cron, moment)).timestamp()
    except (ZoneInfoNotFoundError, ValueError):
        raise ApiError(400, f"{zone!r} is no time zone") from None
    except (CronSimError, StopIteration):
        raise ApiError(400, f"{cron!r} is no cron expression that ever fires") from None


async def run(cloud: Cloud, schedule: Schedule) -> None:
    """Fire a schedule again and again, until it is deleted."""
    while cloud.schedules.get(schedule.id) is schedule:
        left = schedule.next_at - cloud.clock.now()
        if schedule.is_paused or left > 0:
            await cloud.clock.sleep(_MAX_SLEEP if schedule.is_paused else min(left, _MAX_SLEEP))
            continue
        # What was missed while the server did not run is not made up for.
        schedule.next_at = next_time(schedule.cron, schedule.timezone, cloud.clock.now())
        try:
            await _fire(cloud, schedule)
        except ApiError as error:
            logger.warning("schedule %s could not run: %s", schedule.name, error)
        if cloud.schedules.get(schedule.id) is schedule:
            cloud.schedules.save(schedule)


async def _fire(cloud: Cloud, schedule: Schedule) -> None:
    if schedule.resource_type == _STUDIO:
        studio = cloud.studios.get(schedule.resource_id)
        if studio is None:
            raise ApiError(404, f"studio {schedule.resource_id} not found")
        schedule.total += 1
        if schedule.action == "STOP":
            await studios.stop(cloud, studio)
        elif studio.instance is None:
            await studios.start(cloud, studio, studio.machine, studio.interruptible)
        return
    pipeline = cloud.pipelines.get(schedule.resource_id)
    if pipeline is None:
        raise ApiError(404, f"pipeline {schedule.resource_id} not found")
    runs = [item for item in cloud.pipelines if item.schedule_id == schedule.id]
    if not schedule.parallel_runs and any(item.state not in pipelines.FINAL for item in [*runs, pipeline]):
        logger.info("schedule %s skips a run: the last one still runs", schedule.name)
        return
    schedule.total += 1
    pipelines.create(
        cloud,
        schedule.teamspace_id,
        f"{pipeline.name}-{schedule.name}-{schedule.total}",
        pipeline.steps,
        goes_on_after_failure=pipeline.goes_on_after_failure,
        interruption_retries=pipeline.interruption_retries,
        parent_id=pipeline.id,
        schedule_id=schedule.id,
        shared_filesystem=pipeline.shared_filesystem,
    )


def _document(schedule: Schedule) -> dict[str, Any]:
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
    kind = str(body.get("resourceType") or _PIPELINE)
    resource = str(body.get("resourceId") or "")
    known = cloud.pipelines.get(resource) if kind == _PIPELINE else cloud.studios.get(resource)
    if kind not in (_PIPELINE, _STUDIO) or known is None:
        raise ApiError(404, f"{kind.lower()} {resource} not found")
    cron, zone = str(body.get("cronExpression") or ""), str(body.get("timezone") or "")
    schedule = Schedule(
        id=new_id(),
        teamspace_id=teamspace.id,
        user_id=cloud.user.id,
        name=check_name(str(body.get("displayName") or "schedule")),
        cron=cron,
        timezone=zone,
        resource_id=resource,
        resource_type=kind,
        parent_id=str(body.get("parentResourceId") or ""),
        created_at=cloud.clock.now(),
        action=str(body.get("actionType") or ""),
        parallel_runs=bool(body.get("parallelRuns")),
        next_at=next_time(cron, zone, cloud.clock.now()),
    )
    cloud.schedules.save(schedule)
    cloud.start_task(run(cloud, schedule))
    return reply(_document(schedule))


async def _list(request: Request) -> Response:
    cloud, teamspace, query = cloud_of(request), teamspace_of(request), request.query_params
    found = [
        _document(item)
        for item in cloud.schedules
        if item.teamspace_id == teamspace.id
        and query.get("resourceId") in (None, "", item.resource_id)
        and query.get("parentResourceId") in (None, "", item.parent_id)
    ]
    return reply({"schedules": found, "nextPageToken": ""})


async def _get(request: Request) -> Response:
    return reply(_document(_schedule_of(request)))


async def _update(request: Request) -> Response:
    cloud, schedule, body = cloud_of(request), _schedule_of(request), await body_of(request)
    cron = str(body.get("cronExpression") or schedule.cron)
    zone = str(body["timezone"]) if body.get("timezone") is not None else schedule.timezone
    schedule.next_at = next_time(cron, zone, cloud.clock.now())
    schedule.cron, schedule.timezone = cron, zone
    if body.get("state"):
        schedule.is_paused = str(body["state"]).lower() not in (_ACTIVE, "running")
    if body.get("displayName"):
        schedule.name = check_name(str(body["displayName"]))
    if body.get("parallelRuns") is not None:
        schedule.parallel_runs = bool(body["parallelRuns"])
    cloud.schedules.save(schedule)
    return reply(_document(schedule))


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
