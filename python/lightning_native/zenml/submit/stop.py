"""The stop of a run for `zenml pipeline runs stop`, which also publishes the run's end."""

import atexit
import gc
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from zenml.client import Client
from zenml.logger import get_logger

from lightning_native.engine.execution.run_plan import RunResult
from lightning_native.engine.record.controller_location import CONTROLLER_STEP, ControllerLocation
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.result import StepResult
from lightning_native.errors import RunStoppedError
from lightning_native.zenml.publish.publication_lock import end_publication
from lightning_native.zenml.publish.publisher import RunPublisher
from lightning_native.zenml.publish.stop_requests import request_forced_stop
from lightning_native.zenml.remote_controller import client
from lightning_native.zenml.remote_controller.log import log_keeper
from lightning_native.zenml.submit.base import start_controller
from lightning_native.zenml.submit.run_parts import is_unfinished, newest_folder

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse
    from zenml.stack import StackComponent

    from lightning_native.zenml.config import LightningNativeOrchestratorSettings

logger = get_logger(__name__)

# The longest that a stop request waits for the run to end.
_PATIENCE_SECONDS = 300.0
_POLL_SECONDS = 0.02
_ZENML_POLL_SECONDS = 1.0
# How often the controller is checked for: a new one takes a while to start, and a surplus one refuses to drive.
_DRIVEN_CHECK_SECONDS = 10.0


def stop_run(
    component: "StackComponent",
    run: "PipelineRunResponse",
    settings: "LightningNativeOrchestratorSettings",
    *,
    graceful: bool,
) -> None:
    """Stop a run: at once, and wait for its end; or, if graceful, when its running steps have ended, without waiting.

    A run whose controller died gets another one, which stops it and releases what it held. The controller of a run that
    another machine has submitted sees in ZenML that its run is to stop.

    Raises:
        RunStoppedError: it is one of a schedule.
    """
    # The user waits for this process, and collecting garbage in all of ZenML at its end takes more than a second.
    atexit.register(gc.freeze)
    folder = newest_folder(str(run.orchestrator_run_id))
    run_id = folder.path.name
    if not folder.path.exists():
        _stop_elsewhere(run, graceful=graceful)
        return
    driven = folder.is_driven()
    has_controller_there = [step.name for step in folder.plan().steps] == [CONTROLLER_STEP]
    if graceful or has_controller_there:
        folder.request_stop(graceful=graceful)
        if not driven and ControllerLocation.read(folder) is None:
            _drive_again(component, folder, settings)
        if has_controller_there:
            _stop_controller_there(component, folder, run, graceful=graceful)
        return
    with end_publication(folder) as publication:
        folder.request_stop(graceful=False)
        keep_driven = partial(_drive_again, component, folder, settings)
        if not driven:
            keep_driven()
        logger.info("Stopping run %s and releasing what it holds …", run_id)
        publisher = RunPublisher(run.id)
        result = _wait_for_end(run_id, publisher.steps_ended, keep_driven)
        if result is None:
            logger.info("Run %s is still being stopped.", run_id)
            return
        publisher.run_ended(result.state, result.message)
        publication.done()


def _stop_elsewhere(run: "PipelineRunResponse", *, graceful: bool) -> None:
    """Stop a run that another machine has submitted, and, unless graceful, wait for its end.

    Raises:
        RunStoppedError: it has no controller that could be asked.
    """
    if run.schedule is not None:
        raise RunStoppedError(
            f"run {run.orchestrator_run_id} is one of a schedule, which Lightning drives; stop its pipeline there"
        )
    if graceful:
        return
    request_forced_stop(run.id)
    logger.info("The controller of run %s is asked through ZenML to stop it …", run.orchestrator_run_id)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if Client().get_pipeline_run(run.id, hydrate=False).status.is_finished:
            return
        time.sleep(_ZENML_POLL_SECONDS)
    logger.warning(
        "Run %s is still being stopped. If its controller has died, run on the machine that submitted it: "
        "lightning-native gc",
        run.orchestrator_run_id,
    )


def _stop_controller_there(
    component: "StackComponent", folder: RunFolder, run: "PipelineRunResponse", *, graceful: bool
) -> None:
    """Stop a run whose controller is on Lightning, or about to be; return when it has ended, unless graceful."""
    run_id = folder.path.name
    deadline = time.monotonic() + _PATIENCE_SECONDS
    # The launching process watches for the stop request itself, so there is nobody to notify yet.
    while (
        not graceful and ControllerLocation.read(folder) is None and folder.is_driven() and time.monotonic() < deadline
    ):
        time.sleep(_POLL_SECONDS)
    where = ControllerLocation.read(folder)
    if where is None:
        return
    if graceful or not where.keeps_journal:
        client.stop(component, run_id, graceful=graceful)
        # The controller of a dynamic pipeline publishes the end and deletes its studio itself.
        while not graceful and client.status(component, run_id) is not None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return
    logger.info("Stopping run %s and releasing what it holds …", run_id)
    with client.ending(component, run_id) as ending:
        # Both are needed after the end, and take a while to prepare.
        publisher, keep_log = RunPublisher(run.id), log_keeper(run_id)
        end = ending.wait()
        if end is None:
            return
        publisher.steps_ended(end.steps)
        publisher.run_ended(end.state, end.message)
        log = ending.log()
        if log is not None:
            keep_log(log)


def _drive_again(
    component: "StackComponent", folder: RunFolder, settings: "LightningNativeOrchestratorSettings"
) -> None:
    if is_unfinished(folder) and not folder.is_driven():
        logger.info("The process that drove run %s died; another one stops it.", folder.path.name)
        start_controller(component, settings, folder)


def _wait_for_end(
    run_id: str, steps_ended: Callable[[dict[str, StepResult]], object], keep_driven: Callable[[], object]
) -> RunResult | None:
    """Return the result of a run; None if it does not end in time.

    `steps_ended` receives the steps as they end, while the run still releases what they held. `keep_driven` is called
    now and then, and replaces a controller that died.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    checked = time.monotonic()
    published: set[str] = set()
    with Journal() as journal:
        while time.monotonic() < deadline:
            record = journal.run(run_id)
            # A run without a record is just being started.
            has_ended = record is not None and record.state != "running"
            result = RunResult.of(journal, run_id, "")
            # The controller itself publishes a step that fails while the run continues.
            ended = {
                name: step
                for name, step in result.steps.items()
                if name not in published and (has_ended or step.state == "stopped")
            }
            if ended:
                steps_ended(ended)
                published.update(ended)
            if has_ended:
                return result
            if time.monotonic() > checked + _DRIVEN_CHECK_SECONDS:
                keep_driven()
                checked = time.monotonic()
            time.sleep(_POLL_SECONDS)
    return None
