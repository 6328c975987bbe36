"""The step runs that earlier attempts at this process's step have left in ZenML."""

import os
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.models import StepRunResponse

from lightning_native.zenml.variables import ENV_PIPELINE_ID, ENV_RUN_ID


def current_step_run(name: str) -> StepRunResponse | None:
    """Return the latest attempt at a step of the run that this process belongs to; None: ZenML knows none."""
    run_id = os.environ.get(ENV_RUN_ID) or os.environ.get(ENV_PIPELINE_ID)
    runs = Client().list_pipeline_runs(orchestrator_run_id=run_id, size=1) if run_id else None
    if runs is None or not runs.items:
        return None
    found = Client().list_run_steps(
        name=name, pipeline_run_id=runs.items[0].id, exclude_retried=True, size=1, hydrate=False
    )
    return found.items[0] if found.items else None


def interrupted_step_run(name: str) -> UUID | None:
    """Return the step run that an earlier attempt left running when its machine was interrupted.

    The next attempt continues it, because ZenML would count a new one as one of the step's retries.
    """
    step_run = current_step_run(name)
    return step_run.id if step_run is not None and step_run.status == ExecutionStatus.RUNNING else None
