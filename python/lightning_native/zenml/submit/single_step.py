"""A single step as a run of its own: for the step operator, and for the isolated steps of dynamic pipelines."""

import time
from typing import TYPE_CHECKING
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.logger import get_logger
from zenml.orchestrators.publish_utils import publish_step_run_metadata

from lightning_native.engine.process.controller_process import tracebacks_of
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.zenml.compiler.pipeline import compile_step
from lightning_native.zenml.compiler.step import StepSource
from lightning_native.zenml.config import settings_of
from lightning_native.zenml.publish.bills import publish_bill
from lightning_native.zenml.publish.metadata import single_step_metadata
from lightning_native.zenml.publish.publisher import publish_reason
from lightning_native.zenml.publish.status import run_status
from lightning_native.zenml.submit.base import (
    CONTROLLER,
    compiler_context,
    start_controller,
    warn_of_python,
    write_folder,
)

if TYPE_CHECKING:
    from zenml.models import StepRunResponse
    from zenml.stack import StackComponent

logger = get_logger(__name__)

_POLL_SECONDS = 0.2
_START_SECONDS = 30.0


def submit_step(
    component: "StackComponent", step_run: UUID, pipeline: str, source: StepSource, *, is_hosted: bool = False
) -> None:
    """Have a step run on Lightning, and return without waiting for it.

    Args:
        component: the orchestrator or step operator that submits it.
        step_run: ZenML's id; the run is found again by it.
        pipeline: the name of the pipeline.
        source: the step.
        is_hosted: whether this is a studio that is deleted at the end, with its files of the run.

    Raises:
        PlanError: the step cannot run as it is written.
        CredentialsError: credentials are missing.
        ArchiveError: the source root cannot be packed.
    """
    folder = RunFolder.of(step_run.hex)
    with compiler_context(component, source.settings, Client().active_stack) as context:
        run = compile_step(step_run.hex, pipeline, source, context)
        warn_of_python(run.plan, context.environ)
        controller = (CONTROLLER, "--step-run", str(step_run))
        write_folder(folder, run, component, source.settings, controller=controller)
        start_controller(component, source.settings, folder)
        metadata = {component.id: single_step_metadata(run.plan, None if is_hosted else folder, context.environ)}
    # Its own process may die before it publishes any.
    publish_step_run_metadata(step_run_id=step_run, step_run_metadata=metadata)


def step_status(component: "StackComponent", step_run: "StepRunResponse") -> ExecutionStatus | None:
    """Return the status of a submitted step; None if it was not submitted on this machine.

    A step whose controller died gets another one, which continues where the dead one was.
    """
    folder = RunFolder.of(step_run.id.hex)
    if not folder.path.exists():
        return None
    with Journal() as journal:
        record = journal.run(step_run.id.hex)
        driven = folder.is_driven()
        if record is not None and record.state != "running":
            status = run_status(journal, record, driven=driven)
            publish_bill(folder, journal)
            if not status.is_successful:
                publish_reason(step_run.id, _reason(journal, record))
            return status
    if not driven and _is_orphan(folder):
        logger.warning("The process that drove step `%s` died; another one continues it.", step_run.name)
        start_controller(component, settings_of(component, step_run), folder)
    return ExecutionStatus.RUNNING


def _reason(journal: Journal, record: RunRecord) -> str:
    """Return the reason why a step that is a run of its own did not succeed."""
    return next((step.message for step in journal.steps(record.run_id)), "") or record.message


def _is_orphan(folder: RunFolder) -> bool:
    """Return whether an unfinished run has no controller; one that was just started may not drive it yet."""
    if time.time() - folder.controller_started < _START_SECONDS:
        return False
    with Journal() as journal:
        record = journal.run(folder.path.name)
    return not folder.is_driven() and (record is None or record.state == "running")


def wait_for_step(component: "StackComponent", step_run: "StepRunResponse") -> ExecutionStatus:
    """Wait until a submitted step has ended, and return its status."""
    while True:
        status = step_status(component, step_run) or Client().get_run_step(step_run.id, hydrate=False).status
        if status.is_finished or status == ExecutionStatus.RETRYING:
            if not status.is_successful:
                _show_reason(step_run)
            return status
        time.sleep(_POLL_SECONDS)


def _show_reason(step_run: "StepRunResponse") -> None:
    """Log the reason of a step that did not succeed here, with its own traceback: its output is not shown."""
    folder = RunFolder.of(step_run.id.hex)
    with Journal() as journal:
        record = journal.run(step_run.id.hex)
        if record is not None:
            logger.error(
                "Step `%s`: %s; its logs are in %s%s",
                step_run.name,
                _reason(journal, record),
                folder.logs,
                tracebacks_of(folder, journal.steps(record.run_id)),
            )


def stop_step(component: "StackComponent", step_run: "StepRunResponse") -> None:
    """Ask the controller of a submitted step to stop it; a step that has ended stays as it is."""
    folder = RunFolder.of(step_run.id.hex)
    if folder.path.exists():
        folder.request_stop(graceful=False)
        step_status(component, step_run)
