"""The process that brings a controller to its studio: `python -m ….launch RUN_FOLDER --component ID …`.

A studio takes a while to start; when the controller is up, the submitting machine may be turned off.
"""

import argparse
import base64
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from lightning_native.agent_protocol import OperationSpec
from lightning_native.engine.cancellation import Cancellation
from lightning_native.engine.context import RunContext
from lightning_native.engine.leases import release_leases
from lightning_native.engine.planning.layout import studio_layout
from lightning_native.engine.process.controller import (
    RunObserver,
    connect_patiently,
    control,
    controller_arguments,
)
from lightning_native.engine.process.remote_controller import RemoteController
from lightning_native.engine.record.controller_location import CONTROLLER_HOME, CONTROLLER_STEP, ControllerLocation
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.retry import best_effort
from lightning_native.engine.studios.agent_client import POLL_SECONDS, Agent, upload_specification
from lightning_native.engine.studios.run_studio import RunStudio
from lightning_native.engine.studios.setup import report_difference
from lightning_native.errors import CloudError, ControllerGoneError, RunStoppedError
from lightning_native.lightning.local import cloud_environ
from lightning_native.lightning.machine_python import ENV_MACHINE_PYTHON
from lightning_native.lightning.session import cloud_name
from lightning_native.zenml.publish.observer import ZenMLObserver

_START_SECONDS = 300.0


def main() -> int:
    """Start the controller of the folder named on the command line and return 0 when it is up."""
    parser = controller_arguments(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--pipeline-run", type=UUID, help="the ZenML run to publish to")
    parser.add_argument("--component", required=True, help="ZenML's id of the orchestrator")
    arguments = parser.parse_args()
    observer = RunObserver()
    if arguments.pipeline_run:
        folder = RunFolder(arguments.folder)
        observer = ZenMLObserver(folder, arguments.pipeline_run, steps=False, inner_steps=folder.inner_steps())

    def launch(folder: RunFolder, local_cloud: Path | None, cancellation: Cancellation, observer: RunObserver) -> int:
        return _launch(folder, arguments.component, arguments.pipeline_run, local_cloud, cancellation, observer)

    return control(arguments.folder, arguments.local_cloud, observer, drive=launch)


def _launch(
    folder: RunFolder,
    component: str,
    pipeline_run: UUID | None,
    local_cloud: Path | None,
    cancellation: Cancellation,
    observer: RunObserver,
) -> int:
    with cloud_environ(local_cloud), Journal() as journal:
        cloud = connect_patiently(cancellation)
        plan = folder.plan()
        run_journal = journal.drive(plan.run_id, plan.name, cloud_name(), os.getpid(), [CONTROLLER_STEP])
        environments = folder.variables()
        context = RunContext(plan, cloud, cloud_name(), run_journal, folder, environments, cancellation)
        report_difference(context)
        (planned,) = studio_layout(plan)
        studio = RunStudio(context, planned)
        try:
            operation = _start(context, studio)
        except BaseException:
            folder.discard_inner()
            studio.close()
            release_leases(run_journal, cloud)
            if not cancellation.starts_nothing:
                raise
            run_journal.end("stopped", cancellation.reason)
            folder.discard_secrets()
            observer.run_ended("stopped", cancellation.reason)
            return 1
        published = str(pipeline_run) if pipeline_run else None
        root = str(local_cloud) if local_cloud else None
        location = ControllerLocation(planned.name, operation, component, published, folder.has_inner(), root)
        location.write(folder)
        run_journal.step_running(CONTROLLER_STEP)
        best_effort(studio.costs.close)
        run_journal.event(f"handed over to the controller in studio {planned.name}, which deletes it at the end")
        # The controller holds it now, and must not lose it to whoever collects what dead processes left here.
        run_journal.released("studio", planned.name)
        folder.discard_secrets()
        requested = folder.stop_requested()
        if requested != "no":
            # Requested during the handover, when there was no controller yet to pass the request to.
            with suppress(ControllerGoneError):
                RemoteController(cloud, location, plan.run_id).request_stop(graceful=requested == "graceful")
        return 0


def _start(context: RunContext, studio: RunStudio) -> str:
    """Start the controller in its studio, and return its operation id."""
    (step,) = context.plan.steps
    context.journal.step_preparing(CONTROLLER_STEP, 1, studio.plan.name, studio.machine)
    ready = studio.prepared.wait()
    _go_on(context)
    if context.folder.has_inner():
        context.folder.upload_inner(ready.agent.upload, CONTROLLER_HOME)
    operation = context.operation_id(CONTROLLER_STEP, 1)
    spec = OperationSpec(
        argv=step.argv,
        cwd=f"~/{ready.code}",
        # The controller's own journal knows no machine yet.
        env={**context.variables[CONTROLLER_STEP], ENV_MACHINE_PYTHON: ready.interpreter.python},
        scratch=step.scratch,
        bin=ready.interpreter.bin,
    )
    sha256 = upload_specification(ready.agent.upload, operation, spec.to_json())
    ready.agent.call("start", operation, "--spec-sha256", sha256, "--offset", "0", "--wait", "0.2")
    _wait_until_up(ready.agent, operation)
    return operation


def _go_on(context: RunContext) -> None:
    if context.cancellation.starts_nothing:
        raise RunStoppedError(context.cancellation.reason)


def _wait_until_up(agent: Agent, operation: str) -> None:
    """Wait for the controller's first line; from then on it can be left alone."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        answer = agent.call("poll", operation, "--offset", "0", "--wait", str(POLL_SECONDS))
        text = base64.b64decode(answer["data"]).decode(errors="replace")
        if answer["state"] != "running":
            raise CloudError(f"the controller did not come up: {text[-2000:] or answer['state']}")
        if text:
            return
    raise CloudError(f"the controller did not come up within {_START_SECONDS:g} s")


if __name__ == "__main__":
    sys.exit(main())
