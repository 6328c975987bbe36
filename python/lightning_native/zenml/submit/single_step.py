"""A single step as a run of its own: for the step operator, and for the isolated steps of dynamic pipelines."""

import time
from typing import TYPE_CHECKING
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.logger import get_logger

from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.zenml.compiler.pipeline import compile_step
from lightning_native.zenml.compiler.step import StepSource
from lightning_native.zenml.config import settings_of
from lightning_native.zenml.publish.status import run_status
from lightning_native.zenml.submit.base import (
    compiler_context,
    start_again,
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


def submit_step(component: "StackComponent", step_run: UUID, pipeline: str, source: StepSource) -> None:
    """Have a step run on Lightning, and return without waiting for it.

    Args:
        component: the orchestrator or step operator that submits it.
        step_run: ZenML's id; the run is found again by it.
        pipeline: the name of the pipeline.
        source: the step.

    Raises:
        PlanError: the step cannot run as it is written.
        CredentialsError: credentials are missing.
        ArchiveError: the source root cannot be packed.
    """
    folder = RunFolder.of(step_run.hex)
    with compiler_context(component, source.settings, Client().active_stack) as context:
        run = compile_step(step_run.hex, pipeline, source, context)
        warn_of_python(run.plan, context.environ)
        write_folder(folder, run)
        start_controller(component, source.settings, folder)


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
            return run_status(journal, record, driven=driven)
    if not driven and _is_orphan(folder):
        logger.warning("The process that drove step `%s` died; another one continues it.", step_run.name)
        start_again(component, settings_of(component, step_run), folder)
    return ExecutionStatus.RUNNING


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
            return status
        time.sleep(_POLL_SECONDS)


def stop_step(component: "StackComponent", step_run: "StepRunResponse") -> None:
    """Ask the controller of a submitted step to stop it; a step that has ended stays as it is."""
    folder = RunFolder.of(step_run.id.hex)
    if folder.path.exists():
        folder.request_stop(graceful=False)
        step_status(component, step_run)
