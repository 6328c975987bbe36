"""The publication of a step whose process has ended without ZenML: it has failed, whatever its exit code."""

import argparse
import traceback
from collections.abc import Sequence
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.models import ExceptionInfo, StepRunResponse
from zenml.orchestrators.publish_utils import publish_step_run_status_update

from lightning_native.zenml.step_process.confirmed_end import UNCONFIRMED_EXIT_CODE
from lightning_native.zenml.step_process.step_runs import current_step_run


def publish_unconfirmed(arguments: Sequence[str], reason: str) -> int:
    """Publish the step of an entrypoint's arguments as failed if ZenML believes it to be running.

    Returns:
        The exit code that agrees with ZenML's record.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--step_name")
    parser.add_argument("--step_run_id", type=UUID)
    options, _ = parser.parse_known_args(arguments)
    try:
        step_run = _step_run(options)
        if step_run is None:
            return UNCONFIRMED_EXIT_CODE
        if step_run.status.is_successful:
            return 0
        if not step_run.status.is_finished and step_run.status != ExecutionStatus.RETRYING:
            info = ExceptionInfo(traceback=reason)
            publish_step_run_status_update(step_run.id, ExecutionStatus.FAILED, exception_info=info)
    except Exception:
        # The run's controller publishes it, where there is one.
        traceback.print_exc()
    return UNCONFIRMED_EXIT_CODE


def _step_run(options: argparse.Namespace) -> StepRunResponse | None:
    if options.step_run_id:
        return Client().get_run_step(options.step_run_id, hydrate=False)
    return current_step_run(options.step_name) if options.step_name else None
