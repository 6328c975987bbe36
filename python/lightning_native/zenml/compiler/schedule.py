"""The schedule that Lightning gets for ZenML's, and the variables for what Lightning's schedules lack."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from zenml.orchestrators.exceptions import PipelineSubmissionError

from lightning_native.engine.plan import RunPlan, Schedule
from lightning_native.engine.planning.checks import check_plan, check_schedule
from lightning_native.errors import PlanError
from lightning_native.zenml.variables import ENV_WINDOW

if TYPE_CHECKING:
    from zenml.models import ScheduleResponse

_ONCE_SECONDS = 3600.0
_MINUTE, _HOUR, _DAY, _WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


def schedule_name(schedule: "ScheduleResponse") -> str:
    """Return the name that a schedule of ZenML has on Lightning."""
    return f"{schedule.name} {schedule.id.hex[:8]}"


def on_schedule(plan: RunPlan, schedule: "ScheduleResponse", zone: str) -> RunPlan:
    """Return a plan as Lightning runs it at the times of a schedule: without a controller, so each step is a job.

    Raises:
        PipelineSubmissionError: it cannot run at such times, or not by Lightning itself; ZenML forgets the schedule.
    """
    try:
        plan = replace(plan, placement="platform", schedule=lightning_schedule(schedule, zone))
        check_plan(plan)
    except PlanError as error:
        raise PipelineSubmissionError(str(error)) from error
    return plan


def lightning_schedule(schedule: "ScheduleResponse", zone: str) -> Schedule:
    """Return the schedule that Lightning gets for ZenML's.

    Args:
        schedule: of ZenML.
        zone: time zone of its cron expression.

    Raises:
        PlanError: Lightning cannot run at such times.
    """
    body = schedule.get_body()
    if body.catchup:
        raise PlanError(f"schedule {schedule.name!r} has catchup=True, but Lightning does not run what was missed")
    if body.cron_expression:
        cron = body.cron_expression
    elif body.run_once_start_time:
        moment = body.run_once_start_time.astimezone(timezone.utc)
        cron, zone = f"{moment.minute} {moment.hour} {moment.day} {moment.month} *", "UTC"
    elif body.interval_second and body.start_time:
        cron, zone = interval_cron(schedule.name, body.interval_second, body.start_time), "UTC"
    else:
        raise PlanError(f"schedule {schedule.name!r} has no cron expression, no interval with a start, no single time")
    result = Schedule(schedule_name(schedule), cron, zone)
    check_schedule(result)
    return result


def interval_cron(name: str, interval: timedelta, start: datetime) -> str:
    """Return the cron expression, in UTC, of an interval that begins at a time.

    Raises:
        PlanError: no cron expression has these times.
    """
    first = start.astimezone(timezone.utc)
    minutes, hours = interval // _MINUTE, interval // _HOUR
    if interval < _HOUR and interval % _MINUTE == timedelta(0) and minutes and 60 % minutes == 0:
        return f"{_series(first.minute, minutes, 60)} * * * *"
    if interval <= _DAY and interval % _HOUR == timedelta(0) and 24 % hours == 0:
        return f"{first.minute} {_series(first.hour, hours, 24)} * * *"
    if interval == _WEEK:
        return f"{first.minute} {first.hour} * * {first.isoweekday() % 7}"
    raise PlanError(
        f"schedule {name!r} runs every {interval}, which Lightning's cron expressions cannot say; take minutes that "
        "divide an hour, hours that divide a day, a day or a week, or give a cron expression"
    )


def _series(first: int, step: int, length: int) -> str:
    if step == 1:
        return "*"
    return ",".join(str(value) for value in range(first % step, length, step))


def window_variables(schedule: "ScheduleResponse", upstream: Sequence[str]) -> dict[str, str]:
    """Return the variables from which a step of a scheduled run knows its schedule's start and end.

    Lightning's schedules have neither, so each run checks them itself.

    Args:
        schedule: of ZenML.
        upstream: the step's; a step without any checks the clock, the others whether ZenML has the run.
    """
    body = schedule.get_body()
    begin, end = body.start_time, body.end_time
    if body.run_once_start_time and not body.cron_expression:
        begin = body.run_once_start_time - _MINUTE
        end = body.run_once_start_time + timedelta(seconds=_ONCE_SECONDS)
    if begin is None and end is None:
        return {}
    window = [_epoch(begin), _epoch(end), not upstream]
    return {ENV_WINDOW: json.dumps(window)}


def _epoch(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    # ZenML keeps times in UTC, without a time zone.
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
