"""A step whose machine is taken away: it has not failed, and its next attempt goes on with its step run."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.exceptions import RunInterruptedException, RunStoppedException
from zenml.logger import get_logger
from zenml.orchestrators import publish_utils, step_runner

logger = get_logger(__name__)

_PUBLISH_FAILURE = "publish_failed_step_run"


class _MachineTakenAway(BaseException):
    """Ends the step's process in order, past all that would tell ZenML of a failure."""


@contextmanager
def interruption_is_no_failure() -> Iterator[None]:
    """Have a step that gets SIGTERM, and whose run is not being stopped, end by that signal and stay running in ZenML.

    ZenML would publish it as failed: as one of its retries, or for good. Its code can save what it wants to save
    meanwhile, as `RunInterruptedException` is raised in it. The process is expected to end after the block.
    """
    publish_failure = getattr(publish_utils, _PUBLISH_FAILURE)

    def publish(step_run_id: UUID) -> Any:
        if isinstance(sys.exc_info()[1], RunInterruptedException | _MachineTakenAway):
            raise _MachineTakenAway
        return publish_failure(step_run_id)

    # It is ZenML's own name for it in both places.
    for module in (publish_utils, step_runner):
        setattr(module, _PUBLISH_FAILURE, publish)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except (_MachineTakenAway, RunInterruptedException):
        logger.info("The step's machine is being taken away.")
        sys.stdout.flush()
        # So that the engine sees why, and does not count it as a retry.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(_number: int, _frame: object) -> None:
    # ZenML's handler calls this one while it raises its own exception.
    if not isinstance(sys.exc_info()[1], RunInterruptedException | RunStoppedException):
        raise RunInterruptedException("The machine is being taken away.")


def reclaimed_step_run(orchestrator_run_id: str, name: str) -> UUID | None:
    """Return the run of a step that an earlier attempt left running when it lost its machine.

    The next attempt goes on with it: ZenML would count one of its own as one of the step's retries.
    """
    runs = Client().list_pipeline_runs(orchestrator_run_id=orchestrator_run_id, size=1)
    if not runs.items:
        return None
    left = Client().list_run_steps(
        name=name, pipeline_run_id=runs.items[0].id, status=ExecutionStatus.RUNNING, size=1, hydrate=False
    )
    return left.items[0].id if left.items else None
