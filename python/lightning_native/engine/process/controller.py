"""The process that drives one run: `python -m lightning_native.engine.process.controller RUN_FOLDER …`.

It is a process of its own so that the credentials, which the SDK reads from the environment, never enter the
user's process, and so that the run ends in order when the user's process does not.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path

from lightning_native.engine.cancellation import Cancellation
from lightning_native.engine.execution.run_plan import Abandon, run_plan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunState
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.result import StepResult
from lightning_native.errors import StaleControllerError
from lightning_native.lightning.local import cloud_environ
from lightning_native.lightning.session import cloud_name, connect

_LOOK_SECONDS = 0.05


class RunObserver:
    """Is told how steps and the run end. This one does nothing; what a subclass raises is logged and harms nobody.

    Attributes:
        grace: seconds that stopped steps have to save what they want to save.
        forced_grace: the same where they were not to be given time; who wants it asks for a graceful stop.
    """

    grace = 10.0
    forced_grace = 2.0

    def on_start(self, abandon: Abandon) -> None:
        """Hear that the run begins, and how to give up the running attempt at a step: `abandon(step, reason)`."""

    def on_stop(self) -> None:
        """Hear that the run is to be stopped; in a thread of its own, while the steps are being stopped."""

    def step_ended(self, name: str, result: StepResult) -> None:
        """Hear of a step's end."""

    def run_ended(self, state: RunState, message: str) -> None:
        """Hear of the run's end."""


Drive = Callable[[RunFolder, "Path | None", Cancellation, RunObserver], int]


def main() -> int:
    """Drive the run of the folder named on the command line and return 0 if it completed."""
    arguments = controller_arguments(argparse.ArgumentParser(description=__doc__)).parse_args()
    return control(arguments.folder, arguments.local_cloud, RunObserver())


def controller_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Declare what every controller takes, and return the parser."""
    parser.add_argument("folder", type=Path, help="the run's folder")
    parser.add_argument("--local-cloud", type=Path, help="run on the local cloud with this root")
    return parser


def control(path: Path, local_cloud: Path | None, observer: RunObserver, drive: "Drive | None" = None) -> int:
    """Drive the run of a folder to its end; SIGTERM and SIGINT stop it. Return 0 if it completed.

    Args:
        path: of the folder.
        local_cloud: root of the local cloud to run on; None: on Lightning.
        observer: hears what happens.
        drive: does it in another way, and returns the exit code.

    Raises:
        PlanError: another process drives it.
    """
    cancellation = Cancellation()
    cancellation.grace = observer.grace
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only noted: a handler must not touch locks that the thread it interrupts may hold.
        signal.signal(number, lambda number, _frame: signals.append(number))
    # Our parent had it blocked until here, so that an early request to stop is not lost.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    folder = RunFolder(path)
    threading.Thread(target=_watch_for_stop, args=(folder, cancellation, observer, signals), daemon=True).start()
    with folder.driven():
        try:
            return (drive or _drive)(folder, local_cloud, cancellation, observer)
        except StaleControllerError:
            # The run is another one's now, and so is what is written about it.
            traceback.print_exc()
        except Exception as error:
            traceback.print_exc()
            _fail(folder, f"{type(error).__name__}: {error}", observer)
    return 1


def _watch_for_stop(
    folder: RunFolder, cancellation: Cancellation, observer: RunObserver, signals: Collection[int]
) -> None:
    while not cancellation.requested:
        requested = folder.stop_requested()
        if requested == "forced":
            cancellation.grace = observer.forced_grace
            cancellation.request()
        elif signals:
            cancellation.request()
        elif requested == "graceful":
            cancellation.drain()
        time.sleep(_LOOK_SECONDS)
    with contextlib.suppress(Exception):
        observer.on_stop()


def _drive(folder: RunFolder, local_cloud: Path | None, cancellation: Cancellation, observer: RunObserver) -> int:
    with cloud_environ(local_cloud), Journal() as journal:
        result = run_plan(
            folder,
            cloud=connect(),
            cloud_name=cloud_name(),
            journal=journal,
            cancellation=cancellation,
            step_ended=lambda name, step: _tell_step(observer, name, step),
            on_start=observer.on_start,
        )
    _tell_run(observer, result.state, result.message)
    return 0 if result.state == "completed" else 1


def _fail(folder: RunFolder, message: str, observer: RunObserver) -> None:
    """Record a run that could not be driven at all."""
    plan = folder.plan()
    with Journal() as journal:
        steps = [step.name for step in plan.steps]
        journal.drive(plan.run_id, plan.name, "", os.getpid(), steps).end("failed", message)
    folder.discard_secrets()
    _tell_run(observer, "failed", message)


def _tell_step(observer: RunObserver, name: str, result: StepResult) -> None:
    try:
        observer.step_ended(name, result)
    except Exception:
        # The observer's trouble must not keep the other steps from running.
        traceback.print_exc()


def _tell_run(observer: RunObserver, state: RunState, message: str) -> None:
    try:
        observer.run_ended(state, message)
    except Exception:
        traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
