"""The comparison of an end, as a machine reports it, with ZenML's record, which is what counts."""

from dataclasses import replace
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.models import StepRunResponse

from lightning_native.engine.result import StepResult


def compared_step(step_run: StepRunResponse | None, result: StepResult) -> StepResult:
    """Return the end of an attempt at a step that agrees with ZenML's step run; None: ZenML has none."""
    if step_run is None or not step_run.status.is_successful:
        return result
    return replace(result, state="succeeded", message="", interrupted=False, is_final=False)


def compared_run(pipeline_run: UUID, result: StepResult) -> StepResult:
    """Return the end of a dynamic pipeline's process that agrees with ZenML's run; one that has ended runs once."""
    run = Client().get_pipeline_run(pipeline_run)
    status = run.status
    if not status.is_finished:
        return result
    if status.is_successful:
        return replace(result, state="succeeded", message="", interrupted=False)
    if status == ExecutionStatus.STOPPED:
        return replace(result, state="stopped", interrupted=False)
    recorded = run.exception_info.traceback.strip() if run.exception_info else ""
    reason = recorded.splitlines()[-1] if recorded else result.message
    return replace(result, state="failed", message=reason, interrupted=False, is_final=True)
