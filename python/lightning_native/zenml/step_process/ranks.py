"""The further machines of a step that runs on several: each runs the step's function, and writes nothing to ZenML.

Rank 0 runs the step as ZenML does. Its step run has the inputs, which the others read.
"""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.logger import get_logger

from lightning_native.zenml.compat import call_step_function
from lightning_native.zenml.variables import ENV_MACHINES

if TYPE_CHECKING:
    from zenml.config.step_configurations import Step
    from zenml.models import StepRunResponse

logger = get_logger(__name__)

# Lightning's own.
_RANK = "NODE_RANK"
_POLL_SECONDS = 0.5


def is_further_rank() -> bool:
    """Return whether this process runs a step on another machine than rank 0."""
    return ENV_MACHINES in os.environ and os.environ.get(_RANK, "0") != "0"


def run_further_rank(step: "Step", find: Callable[[], "StepRunResponse | None"]) -> None:
    """Run a step's function with the inputs of rank 0; `find` returns the step run of rank 0, None before there is one.

    The job of all ranks ends with rank 0, so that this wait needs no end of its own.
    """
    logger.info("Machine %s of %s waits for rank 0.", os.environ.get(_RANK), os.environ[ENV_MACHINES])
    while (step_run := find()) is None:
        time.sleep(_POLL_SECONDS)
    call_step_function(step, step_run, Client().active_stack)


def running_step(name: str) -> "StepRunResponse | None":
    """Return the run of a step of this process's pipeline run that rank 0 has begun; None before it has."""
    orchestrator_run_id = Client().active_stack.orchestrator.get_orchestrator_run_id()
    runs = Client().list_pipeline_runs(orchestrator_run_id=orchestrator_run_id, size=1)
    if not runs.items:
        return None
    found = Client().list_run_steps(
        name=name, pipeline_run_id=runs.items[0].id, status=ExecutionStatus.RUNNING, size=1, hydrate=True
    )
    return found.items[0] if found.items else None
