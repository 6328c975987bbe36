"""Gives a run to a controller in a studio: `python -m lightning_native.zenml.remote_controller.launch RUN_FOLDER --component ID …`.

A process of its own, because a studio takes a while to start; when the controller is up, this machine may go.
"""

import argparse
import base64
import os
import shutil
import sys
import time
from pathlib import Path
from uuid import UUID

from lightning_native.engine.controller import RunObserver, control, controller_arguments
from lightning_native.engine.executor import Cancellation
from lightning_native.engine.journal import Journal
from lightning_native.engine.layout import studio_layout
from lightning_native.engine.operation import POLL_SECONDS, Agent, upload_specification
from lightning_native.engine.placements.base import RunContext
from lightning_native.engine.reconcile import release_leases
from lightning_native.engine.run_folder import RunFolder
from lightning_native.engine.setup import report_difference, set_up
from lightning_native.errors import CloudError, RunStoppedError
from lightning_native.lightning.local import cloud_environ
from lightning_native.lightning.machine_python import ENV_MACHINE_PYTHON
from lightning_native.lightning.session import cloud_name, connect
from lightning_native.zenml.publish.observer import ZenMLObserver
from lightning_native.zenml.remote_controller.command import request_stop
from lightning_native.zenml.remote_controller.plan import INNER
from lightning_native.zenml.remote_controller.supervisor_spec import HOME, STEP, HandedOver

# What the controller needs of a run's folder besides the packed code.
_FILES = ("plan.json", "code.json", "environments.json")
_START_SECONDS = 300.0


def main() -> int:
    """Start the controller of the folder named on the command line and return 0 when it is up."""
    parser = controller_arguments(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--pipeline-run", type=UUID, help="the ZenML run to publish to")
    parser.add_argument("--component", required=True, help="ZenML's id of the orchestrator")
    arguments = parser.parse_args()
    observer = (
        ZenMLObserver(RunFolder(arguments.folder), arguments.pipeline_run, steps=False)
        if arguments.pipeline_run
        else RunObserver()
    )

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
        cloud = connect()
        plan = folder.plan()
        run_journal = journal.drive(plan.run_id, plan.name, cloud_name(), os.getpid(), [STEP])
        environments = folder.environments()
        context = RunContext(plan, cloud, cloud_name(), run_journal, folder, environments, cancellation)
        report_difference(context)
        try:
            studio, operation = _start(context)
        except BaseException:
            shutil.rmtree(folder.path / INNER, ignore_errors=True)
            release_leases(run_journal, cloud)
            if not cancellation.starts_nothing:
                raise
            run_journal.end("stopped", cancellation.reason)
            folder.discard_secrets()
            observer.run_ended("stopped", cancellation.reason)
            return 1
        published = str(pipeline_run) if pipeline_run else None
        HandedOver(studio, operation, component, published, (folder.path / INNER).exists()).write(folder)
        run_journal.step_running(STEP)
        run_journal.event(f"handed over to the controller in studio {studio}, which deletes it at the end")
        # The controller holds it now, and must not lose it to whoever collects what dead processes left here.
        run_journal.released("studio", studio)
        folder.discard_secrets()
        requested = folder.stop_requested()
        handle = cloud.find_studio(studio)
        if requested != "no" and handle is not None:
            # Asked for while we handed over: who asked saw no controller to tell.
            request_stop(handle, plan.run_id, graceful=requested == "graceful")
        return 0


def _start(context: RunContext) -> tuple[str, str]:
    """Start the controller; return its studio and its operation id."""
    (step,) = context.plan.steps
    (studio,) = studio_layout(context.plan)
    context.journal.step_preparing(STEP, 1, studio.name, studio.machines[0] if studio.machines else None)
    context.journal.lease("studio", studio.name, on_release="delete")
    handle = context.cloud.create_studio(studio.name)
    handle.start(studio.machines[0] if studio.machines else None)
    _go_on(context)
    ready = set_up(
        handle,
        context,
        name=studio.name,
        steps=studio.steps,
        requirements=studio.requirements,
        setup=studio.setup,
    )
    _go_on(context)
    inner = context.folder.path / INNER
    if inner.exists():
        archive = context.folder.code().archive
        ready.agent.upload(archive, f"{HOME}/runs/{context.plan.run_id}/{archive.name}")
    for name in _FILES if inner.exists() else ():
        ready.agent.upload(inner / name, f"{HOME}/runs/{context.plan.run_id}/{name}")
        (inner / name).unlink()
    operation = context.operation_id(STEP, 1)
    specification = {
        "argv": list(step.argv),
        "cwd": f"~/{ready.code}",
        # The controller's own journal knows no machine yet.
        "env": {**context.environments[STEP], ENV_MACHINE_PYTHON: ready.interpreter.python},
        "scratch": list(step.scratch),
        "timeout": None,
        "bin": ready.interpreter.bin,
    }
    sha256 = upload_specification(ready.agent.upload, operation, specification)
    ready.agent.call("start", operation, "--spec-sha256", sha256, "--offset", "0", "--wait", "0.2")
    _wait_until_up(ready.agent, operation)
    return studio.name, operation


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
