"""A single step as a run of its own: for the step operator, and for the isolated steps of dynamic pipelines."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.logger import get_logger

from lightning_native.engine.journal import Journal
from lightning_native.engine.run_folder import RunFolder
from lightning_native.zenml.access import cloud_variables, settings_of
from lightning_native.zenml.compiler.pipeline import compile_step
from lightning_native.zenml.price_list import read_price_list
from lightning_native.zenml.publish.metadata import step_variables
from lightning_native.zenml.publish.status import run_status
from lightning_native.zenml.submit.base import (
    start_again,
    start_controller,
    step_environment,
    warn_of_python,
    write_folder,
)

if TYPE_CHECKING:
    from zenml.config.step_configurations import StepConfiguration
    from zenml.config.step_run_info import StepRunInfo
    from zenml.models import StepRunResponse
    from zenml.stack import StackComponent

logger = get_logger(__name__)

_POLL_SECONDS = 0.2
_START_SECONDS = 30.0


def submit_step(
    component: "StackComponent",
    container: "StepRunInfo | StepRunResponse",
    *,
    step_run: UUID,
    name: str,
    pipeline: str,
    argv: Sequence[str],
    environment: dict[str, str],
    image_of: Callable[[str], str],
) -> None:
    """Have a step run on Lightning, and return without waiting for it.

    Args:
        component: the orchestrator or step operator that was asked.
        container: has the step's configuration and settings.
        step_run: of ZenML; its run is found again by it.
        name: of the step.
        pipeline: its name.
        argv: the command.
        environment: of the command.
        image_of: the image of a step; asked only where steps run in images.

    Raises:
        PlanError: the step cannot run as it is written.
        CredentialsError: credentials are missing.
        ArchiveError: the source root cannot be packed.
    """
    config: StepConfiguration = container.config
    settings = settings_of(component, container)
    folder = RunFolder.of(step_run.hex)
    with cloud_variables(component, settings) as environ:
        plan = compile_step(
            step_run.hex,
            pipeline,
            name,
            config,
            settings,
            argv,
            Client().active_stack,
            lambda: read_price_list(environ),
            image_of,
        )
        warn_of_python(plan, environ)
        variables = step_variables(plan, name, environ)
        all_variables = {**step_environment(config.docker_settings, environment, settings), **variables}
        write_folder(folder, plan, settings, {name: all_variables})
        start_controller(component, folder, plan, settings)


def step_status(component: "StackComponent", step_run: "StepRunResponse") -> ExecutionStatus | None:
    """Return how a submitted step stands, None if it was not submitted here.

    One whose controller died gets another, which goes on where the dead one was.
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
        logger.warning("The process that drove step `%s` died; another one goes on.", step_run.name)
        start_again(component, folder, settings_of(component, step_run))
    return ExecutionStatus.RUNNING


def _is_orphan(folder: RunFolder) -> bool:
    """Tell whether nobody drives a run that is not over; a controller that has just been started needs a moment."""
    if time.time() - (folder.path / "controller.json").stat().st_mtime < _START_SECONDS:
        return False
    with Journal() as journal:
        record = journal.run(folder.path.name)
    return not folder.is_driven() and (record is None or record.state == "running")


def wait_for_step(component: "StackComponent", step_run: "StepRunResponse") -> ExecutionStatus:
    """Wait until a submitted step has ended, and return how."""
    while True:
        status = step_status(component, step_run) or Client().get_run_step(step_run.id, hydrate=False).status
        if status.is_finished or status == ExecutionStatus.RETRYING:
            return status
        time.sleep(_POLL_SECONDS)


def stop_step(component: "StackComponent", step_run: "StepRunResponse") -> None:
    """Ask whoever drives a submitted step to stop it; one that has ended stays as it is."""
    folder = RunFolder.of(step_run.id.hex)
    if folder.path.exists():
        folder.request_stop(graceful=False)
        step_status(component, step_run)
