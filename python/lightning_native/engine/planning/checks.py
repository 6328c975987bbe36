"""The checks of a plan before anything is created."""

import difflib
import re
from collections import Counter

from lightning_native.engine.plan import RunPlan, Schedule, Setup, StepPlan
from lightning_native.engine.planning.bounds import check_bounds, check_credentials
from lightning_native.engine.planning.job_checks import check_jobs
from lightning_native.engine.planning.layout import check_environments
from lightning_native.engine.planning.name_checks import check_line, check_names
from lightning_native.engine.planning.output_checks import check_outputs
from lightning_native.errors import PlanError
from lightning_native.lightning.machines import canonical_machine
from lightning_native.lightning.time_zones import time_zones
from lightning_native.placement import placements_that

_LONGEST_CRON = 200
_CRON_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)


def check_plan(plan: RunPlan) -> None:
    """Refuse a plan with any mistake that can be found without Lightning.

    Raises:
        PlanError: a name occurs twice, a command is empty, a limit makes no sense, or setups in one studio contradict
            each other.
        UnknownMachineError: a machine is not one that Lightning offers.
        CycleError, UnknownNodeError: the steps cannot be ordered.
        RequirementError: requirements do not parse or, in one environment, contradict each other.
    """
    check_names(plan)
    check_bounds(plan)
    check_credentials(plan)
    names = Counter(step.name for step in plan.steps)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise PlanError(f"two steps are called {twice[0]!r}; step names must be unique")
    for step in plan.steps:
        _check_step(step)
        if step.image and not plan.capabilities.takes_images:
            raise PlanError(
                f"step {step.name!r} runs in image {step.image.name}, which needs placement "
                f"{placements_that('takes_images')}, not {plan.placement!r}"
            )
    if plan.max_parallelism is not None and plan.max_parallelism < 1:
        raise PlanError(f"max_parallelism is {plan.max_parallelism}; it must be at least 1, or None for no limit")
    for machine, limit in plan.machine_limits:
        canonical_machine(machine)
        if limit < 1:
            raise PlanError(f"the limit for machine {machine} is {limit}; it must be at least 1")
    if plan.timeout is not None and plan.timeout <= 0:
        raise PlanError(f"the run's timeout is {plan.timeout} s; it must be positive")
    if plan.budget is not None and not 0 < plan.budget < float("inf"):
        raise PlanError(f"the run's budget is {plan.budget}; it is an amount of dollars above 0, such as 5.00")
    if plan.main_machine:
        canonical_machine(plan.main_machine)
    if plan.schedule:
        if not plan.capabilities.takes_schedule:
            raise PlanError(
                f"schedule {plan.schedule.name!r} needs placement {placements_that('takes_schedule')}, not "
                f"{plan.placement!r}: "
                "only Lightning itself is there whenever a schedule fires"
            )
        check_schedule(plan.schedule)
        _check_limits_on_schedule(plan, plan.schedule)
    check_outputs(plan)
    check_jobs(plan)
    plan.dag().order()
    check_environments(plan)


def _check_limits_on_schedule(plan: RunPlan, schedule: Schedule) -> None:
    """Refuse limits that only a controller could enforce, because a schedule's runs have none."""
    if plan.timeout is not None:
        raise PlanError(
            f"schedule {schedule.name!r} cannot keep the run's timeout of {plan.timeout} s: nobody watches its runs; "
            "give the steps timeouts, which their jobs keep themselves"
        )
    if plan.budget is not None:
        raise PlanError(
            f"schedule {schedule.name!r} cannot keep the run's budget: nobody counts what its runs cost; "
            "give the steps timeouts, which their jobs keep themselves"
        )
    if plan.on_failure == "continue" and (plan.max_parallelism is not None or plan.machine_limits):
        raise PlanError(
            f"schedule {schedule.name!r} cannot keep max_parallelism or machine limits with on_failure 'continue': "
            "Lightning keeps a limit as an order of the steps, and a failed step would end those after it; "
            "set on_failure to 'stop' or 'fail_fast', or remove the limits"
        )


def check_schedule(schedule: Schedule) -> None:
    """Refuse a schedule with any mistake that can be found without Lightning.

    Raises:
        PlanError: the name, the expression or the time zone is not allowed.
    """
    check_line(schedule.name, "the schedule's name")
    check_line(schedule.cron, f"the cron expression of schedule {schedule.name!r}")
    if len(schedule.cron) > _LONGEST_CRON or len(schedule.cron.split()) != 5:
        raise PlanError(
            f"schedule {schedule.name!r} has the cron expression {schedule.cron[:_LONGEST_CRON]!r}; it needs five "
            "fields (minute, hour, day of the month, month, day of the week), such as '0 2 * * *'"
        )
    for field, (name, lowest, highest) in zip(schedule.cron.split(), _CRON_FIELDS, strict=True):
        wrong = [number for number in re.findall(r"(?<![\w/#])\d+", field) if not lowest <= int(number) <= highest]
        if wrong:
            raise PlanError(
                f"schedule {schedule.name!r} has the cron expression {schedule.cron!r}, whose {name} is {wrong[0]}; "
                f"it is between {lowest} and {highest}"
            )
    if _never_comes(schedule.cron):
        raise PlanError(
            f"schedule {schedule.name!r} has the cron expression {schedule.cron!r}, which never fires: no such month "
            "has such a day"
        )
    if schedule.timezone not in time_zones():
        near = difflib.get_close_matches(schedule.timezone, time_zones(), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "use a name such as UTC or Europe/Zurich"
        raise PlanError(f"schedule {schedule.name!r} has the time zone {schedule.timezone!r}; {hint}")


def _never_comes(cron: str) -> bool:
    """Return whether an expression names days that none of its months has, such as the 30th of February."""
    _, _, days, months, weekdays = cron.split()
    numbers = [text.split(",") for text in (days, months)]
    if weekdays != "*" or not all(number.isdecimal() and len(number) < 3 for field in numbers for number in field):
        return False
    longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
    return not any(
        1 <= int(day) <= longest.get(int(month), 31 if 1 <= int(month) <= 12 else 0)
        for day in numbers[0]
        for month in numbers[1]
    )


def _check_step(step: StepPlan) -> None:
    if not step.argv:
        raise PlanError(f"step {step.name!r} has no command")
    if step.timeout is not None and step.timeout <= 0:
        raise PlanError(f"step {step.name!r} has a timeout of {step.timeout} s; it must be positive")
    if step.retry.count < 0 or step.retry.delay < 0 or step.retry.backoff < 1:
        raise PlanError(
            f"step {step.name!r} has {step.retry}; count and delay must not be negative, nor backoff below 1"
        )
    for machine in step.machines:
        canonical_machine(machine)
    if step.image and not step.image.name.strip():
        raise PlanError(f"step {step.name!r} has an image without a name")
    if step.image and (step.requirements or step.setup != Setup()):
        raise PlanError(f"step {step.name!r} runs in an image, so nothing can be installed for it; put it in the image")
