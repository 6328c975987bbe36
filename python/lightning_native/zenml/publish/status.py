"""The status of runs and steps, in ZenML's words."""

from collections.abc import Iterable

from zenml.enums import ExecutionStatus

from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunRecord, RunState, StepRecord, StepState

RUN_STATUS: dict[RunState, ExecutionStatus] = {
    "running": ExecutionStatus.RUNNING,
    "completed": ExecutionStatus.COMPLETED,
    "failed": ExecutionStatus.FAILED,
    "stopped": ExecutionStatus.STOPPED,
}
STEP_STATUS: dict[StepState, ExecutionStatus] = {
    "pending": ExecutionStatus.INITIALIZING,
    "preparing": ExecutionStatus.PROVISIONING,
    "running": ExecutionStatus.RUNNING,
    "succeeded": ExecutionStatus.COMPLETED,
    "failed": ExecutionStatus.FAILED,
    "skipped": ExecutionStatus.SKIPPED,
    "stopped": ExecutionStatus.STOPPED,
}


def run_status(journal: Journal, record: RunRecord, *, driven: bool) -> ExecutionStatus:
    """Return the status of a run; an unfinished run that no process drives has failed."""
    if record.state != "running":
        return RUN_STATUS[record.state]
    if not driven:
        return ExecutionStatus.FAILED
    states = {step.state for step in journal.steps(record.run_id)}
    return ExecutionStatus.RUNNING if states - {"pending", "preparing"} else ExecutionStatus.PROVISIONING


def step_statuses(steps: Iterable[StepRecord]) -> dict[str, ExecutionStatus]:
    """Return the status of each step that has begun."""
    return {step.name: STEP_STATUS[step.state] for step in steps if step.state != "pending"}
