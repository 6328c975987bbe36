"""The checks of what a plan asks of its steps' jobs: several machines, scratch disks, mounted folders."""

import re

from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.errors import PlanError
from lightning_native.lightning.cloud import SCRATCH
from lightning_native.placement import placements_that

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LARGEST_DISK = 1 << 20
_MOST_MACHINES = 64


def check_jobs(plan: RunPlan) -> None:
    """Refuse machines, disks and mounted folders that a step's job cannot have.

    Raises:
        PlanError: the placement has none, a name or path is not allowed, or a number makes no sense.
    """
    for step in plan.steps:
        for setting in ("scratch_disks", "path_mappings"):
            if getattr(step, setting) and not plan.capabilities.takes_disks:
                raise PlanError(
                    f"step {step.name!r} has {setting}, which needs placement {placements_that('takes_disks')}, not "
                    f"{plan.placement!r}"
                )
        _check_machines(plan, step)
        _check_step(step)


def _check_machines(plan: RunPlan, step: StepPlan) -> None:
    who = f"step {step.name!r}"
    if not 1 <= step.num_machines <= _MOST_MACHINES:
        raise PlanError(f"{who} has num_machines {step.num_machines}; it is between 1 and {_MOST_MACHINES}")
    if step.num_machines == 1:
        return
    if not plan.capabilities.takes_machines:
        raise PlanError(
            f"{who} has num_machines {step.num_machines}, which needs placement {placements_that('takes_machines')}, "
            f"not {plan.placement!r}"
        )
    # Of an image's machines, the first would remove the specification of the others; Lightning has no such disks.
    for setting in ("image", "scratch_disks", "outputs"):
        if getattr(step, setting):
            raise PlanError(f"{who} has num_machines {step.num_machines} and {setting}; it can have one of them")


def _check_step(step: StepPlan) -> None:
    who = f"step {step.name!r}"
    for name, gigabytes in step.scratch_disks:
        if not _NAME.fullmatch(name):
            raise PlanError(
                f"{who} has the scratch disk {name!r}; write a name such as 'data', which is then {SCRATCH}/data"
            )
        if not 0 < gigabytes <= _LARGEST_DISK:
            raise PlanError(f"{who} has the scratch disk {name!r} of {gigabytes} GB; write gigabytes above 0")
    for path, connection in step.path_mappings:
        if not path.startswith("/") or ".." in path.split("/") or not path.strip("/"):
            raise PlanError(f"{who} has the path mapping {path!r}; write the absolute path of a folder, such as /data")
        if not connection.strip(":"):
            raise PlanError(
                f"{who} maps {path} to {connection!r}; write the name of a data connection, or 'connection:folder'"
            )
