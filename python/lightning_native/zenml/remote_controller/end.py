"""The end of a run whose controller is gone, as the controller has published it to ZenML."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.utils.pagination_utils import depaginate

from lightning_native.engine.record.controller_location import ControllerLocation
from lightning_native.engine.record.records import RunState, StepState
from lightning_native.zenml.publish.status import RUN_STATUS, STEP_STATUS

_RUN_STATES: dict[ExecutionStatus, RunState] = {status: state for state, status in RUN_STATUS.items()}
_STEP_STATES: dict[ExecutionStatus, StepState] = {status: state for state, status in STEP_STATUS.items()}


@dataclass(frozen=True)
class PublishedEnd:
    """The end of a run: its state, a message, and the state of each step that ZenML knows."""

    state: RunState
    message: str
    steps: dict[str, StepState]

    @property
    def step_state(self) -> Literal["failed", "stopped"]:
        """The state of the one step that the whole run was, where that did not succeed."""
        return "stopped" if self.state == "stopped" else "failed"


def published_end(run_id: str, location: ControllerLocation) -> PublishedEnd | None:
    """Return how a run has ended; None if ZenML has no such run."""
    client = Client()
    if location.pipeline_run:
        try:
            run = client.get_pipeline_run(UUID(location.pipeline_run))
        except KeyError:
            return None
    else:
        found = client.list_pipeline_runs(orchestrator_run_id=run_id, size=1).items
        if not found:
            return None
        run = found[0]
    steps = {
        step.name: _STEP_STATES.get(step.status, "succeeded" if step.status == ExecutionStatus.CACHED else "failed")
        for step in depaginate(client.list_run_steps, pipeline_run_id=run.id, exclude_retried=True, hydrate=False)
    }
    if not run.status.is_finished:
        message = f"the studio {location.studio} of its controller was deleted before the run had ended"
        return PublishedEnd("failed", message, {name: _ended(state) for name, state in steps.items()})
    return PublishedEnd(_RUN_STATES.get(run.status, "failed"), "", steps)


def _ended(state: StepState) -> StepState:
    return "stopped" if state in ("pending", "preparing", "running") else state
