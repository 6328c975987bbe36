"""Schedules: cron expressions in a time zone that fire on the simulated clock."""

from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.services import pipelines, studios
from lightning_native.emulator.services.names import check_name
from lightning_native.emulator.state.cloud import Cloud, logger
from lightning_native.emulator.state.records import Schedule
from lightning_native.emulator.state.store import new_id

PIPELINE, STUDIO = "PIPELINE", "CLOUDSPACE_STUDIO"
# The longest time until a schedule notices that it was changed or deleted, in simulated seconds.
_MAX_SLEEP = 60.0


def next_time(cron: str, zone: str, after: float) -> float:
    """Return the next time of an expression; 400 for an invalid expression or time zone."""
    try:
        moment = datetime.fromtimestamp(after, tz=timezone.utc).astimezone(ZoneInfo(zone or "UTC"))
        return next(CronSim(cron, moment)).timestamp()
    except (ZoneInfoNotFoundError, ValueError):
        raise ApiError(400, f"{zone!r} is no time zone") from None
    except (CronSimError, StopIteration):
        raise ApiError(400, f"{cron!r} is no cron expression that ever fires") from None


def create(
    cloud: Cloud, teamspace_id: str, name: str, kind: str, resource_id: str, *, cron: str, zone: str, **fields: Any
) -> Schedule:
    """Create a schedule of a pipeline or a studio, and start it."""
    known = cloud.pipelines.get(resource_id) if kind == PIPELINE else cloud.studios.get(resource_id)
    if kind not in (PIPELINE, STUDIO) or known is None:
        raise ApiError(404, f"{kind.lower()} {resource_id} not found")
    schedule = Schedule(
        id=new_id(),
        teamspace_id=teamspace_id,
        user_id=cloud.user.id,
        name=check_name(name),
        cron=cron,
        timezone=zone,
        resource_id=resource_id,
        resource_type=kind,
        created_at=cloud.clock.now(),
        next_at=next_time(cron, zone, cloud.clock.now()),
        **fields,
    )
    cloud.schedules.save(schedule)
    cloud.start_task(run(cloud, schedule))
    return schedule


async def run(cloud: Cloud, schedule: Schedule) -> None:
    """Fire a schedule at its times until it is deleted."""
    while cloud.schedules.get(schedule.id) is schedule:
        left = schedule.next_at - cloud.clock.now()
        if schedule.is_paused or left > 0:
            await cloud.clock.sleep(_MAX_SLEEP if schedule.is_paused else min(left, _MAX_SLEEP))
            continue
        # Times that passed while the server did not run are skipped.
        schedule.next_at = next_time(schedule.cron, schedule.timezone, cloud.clock.now())
        try:
            await _fire(cloud, schedule)
        except ApiError as error:
            logger.warning("schedule %s could not run: %s", schedule.name, error)
        if cloud.schedules.get(schedule.id) is schedule:
            cloud.schedules.save(schedule)


async def _fire(cloud: Cloud, schedule: Schedule) -> None:
    if schedule.resource_type == STUDIO:
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
