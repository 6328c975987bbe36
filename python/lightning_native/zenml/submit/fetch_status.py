"""The status of a submitted run, from the journal of this machine or of the run's controller on Lightning."""

from typing import TYPE_CHECKING

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.logger import get_logger

from lightning_native.engine.record.controller_location import ControllerLocation
from lightning_native.engine.record.journal import Journal
from lightning_native.zenml.publish.status import RUN_STATUS, STEP_STATUS, run_status, step_statuses
from lightning_native.zenml.remote_controller import client
from lightning_native.zenml.submit.run_parts import newest_folder

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse
    from zenml.stack import StackComponent

logger = get_logger(__name__)


def fetch_status(
    component: "StackComponent", run: "PipelineRunResponse", *, include_steps: bool
) -> tuple[ExecutionStatus | None, dict[str, ExecutionStatus] | None]:
    """Return the status of a run and of its steps; None: ZenML's own is right, or cannot be known better here."""
    folder = newest_folder(str(run.orchestrator_run_id))
    run_id = folder.path.name
    if ControllerLocation.read(folder) is not None:
        return _fetch_remote_status(component, run, run_id, include_steps=include_steps)
    with Journal() as journal:
        record = journal.run(run_id)
        if record is None:
            logger.info("Run %s was submitted on another machine; ZenML has its status from there.", run_id)
            return None, None
        status: ExecutionStatus | None = run_status(journal, record, driven=folder.is_driven())
        steps = step_statuses(journal.steps(run_id)) if include_steps else None
    if run.status.is_finished or (run.status == ExecutionStatus.STOPPING and record.state == "running"):
        status = None
    return status, steps


def _fetch_remote_status(
    component: "StackComponent", run: "PipelineRunResponse", run_id: str, *, include_steps: bool
) -> tuple[ExecutionStatus | None, dict[str, ExecutionStatus] | None]:
    if run.status.is_finished:
        return None, None
    answer = client.status(component, run_id)
    if answer is None:
        # A controller publishes the run's end before it deletes its studio; otherwise somebody else deleted it.
        after = Client().get_pipeline_run(run.id, hydrate=False).status
        return (None if after.is_finished else ExecutionStatus.FAILED), None
    if run.status == ExecutionStatus.STOPPING and answer["state"] == "running":
        return None, None
    steps = {step["name"]: STEP_STATUS[step["state"]] for step in answer["steps"] if step["state"] != "pending"}
    return RUN_STATUS[answer["state"]], steps if include_steps else None
