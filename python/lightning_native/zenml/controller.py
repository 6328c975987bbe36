"""The process that drives one ZenML run: `python -m lightning_native.zenml.controller RUN_FOLDER …`.

It is a process of its own so that the credentials, which the SDK reads from the environment, never enter the
user's process, and so that the run ends in order when the user's process does not.
"""

import argparse
import os
import signal
import sys
import traceback
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from uuid import UUID

from lightning_native.emulator.attach import attach
from lightning_native.engine.executor import Cancellation, StepResult
from lightning_native.engine.journal import Journal, RunState
from lightning_native.engine.run import run
from lightning_native.engine.run_folder import RunFolder
from lightning_native.lightning.session import cloud_name, connect


def main() -> int:
    """Drive the run of the folder named on the command line and return 0 if it completed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pipeline-run", type=UUID, help="the ZenML run to publish to")
    parser.add_argument("--local-cloud", type=Path, help="run on the local cloud with this root")
    arguments = parser.parse_args()
    cancellation = Cancellation()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: cancellation.request())
    # Our parent had it blocked until here, so that an early request to stop is not lost.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    folder = RunFolder(arguments.folder)
    try:
        with folder.driven():
            return _drive(folder, arguments.pipeline_run, arguments.local_cloud, cancellation)
    except Exception as error:
        traceback.print_exc()
        _fail(folder, arguments.pipeline_run, f"{type(error).__name__}: {error}")
        return 1


def _drive(folder: RunFolder, pipeline_run: UUID | None, local_cloud: Path | None, cancellation: Cancellation) -> int:
    cloud: AbstractContextManager[dict[str, str]] = attach(local_cloud) if local_cloud else nullcontext({})
    with cloud as environ, Journal() as journal:
        os.environ.update(environ)
        result = run(
            folder,
            cloud=connect(),
            cloud_name=cloud_name(),
            journal=journal,
            cancellation=cancellation,
            step_ended=lambda name, step: _publish_step(pipeline_run, name, step),
        )
    _publish_run(pipeline_run, result.state, result.message)
    return 0 if result.state == "completed" else 1


def _fail(folder: RunFolder, pipeline_run: UUID | None, message: str) -> None:
    """Record a run that could not be driven at all."""
    plan = folder.plan()
    with Journal() as journal:
        steps = [step.name for step in plan.steps]
        journal.drive(plan.run_id, plan.name, "", os.getpid(), steps).end("failed", message)
    folder.discard_secrets()
    _publish_run(pipeline_run, "failed", message)


def _publish_step(pipeline_run: UUID | None, name: str, result: StepResult) -> None:
    if pipeline_run is None or result.state in ("succeeded", "skipped"):
        return
    try:
        # ZenML takes a second to import and is needed only when something goes wrong.
        from lightning_native.zenml.publish import RunPublisher

        RunPublisher(pipeline_run).step_ended(name, result)
    except Exception:
        # The store's trouble must not keep the other steps from running.
        traceback.print_exc()


def _publish_run(pipeline_run: UUID | None, state: RunState, message: str) -> None:
    if pipeline_run is None or state == "completed":
        return
    try:
        from lightning_native.zenml.publish import RunPublisher

        RunPublisher(pipeline_run).run_ended(state, message)
    except Exception:
        traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
