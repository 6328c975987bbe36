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

_POLL_SECONDS = 0.05


class RunObserver:
    """The observer of a run's start, stop and end, and of its steps' ends; this one does nothing.

    An error of a subclass is logged, and changes nothing about the run.

    Attributes:
        grace: the seconds that stopped steps have to save their work.
        forced_grace: the same for a forced stop; a caller that wants to give steps time asks for a graceful one.
    """

    grace = 10.0
    forced_grace = 2.0

    def on_start(self, abandon: Abandon) -> None:
        """Receive the run's start, and the function that abandons a step's running attempt: `abandon(step, reason)`."""

    def on_stop(self) -> None:
        """Receive the request to stop the run, in a thread of its own, while the steps are being stopped."""

    def step_ended(self, name: str, result: StepResult) -> None:
        """Receive a step's end."""

    def run_ended(self, state: RunState, message: str) -> None:
        """Receive the run's end."""


Drive = Callable[[RunFolder, "Path | None", Cancellation, RunObserver], int]


def main() -> int:
    """Drive the run of the folder named on the command line and return 0 if it completed."""
    arguments = controller_arguments(argparse.ArgumentParser(description=__doc__)).parse_args()
    return control(arguments.folder, arguments.local_cloud, RunObserver())


def controller_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Declare the arguments of every controller, and return the parser."""
    parser.add_argument("folder", type=Path, help="the run's folder")
    parser.add_argument("--local-cloud", type=Path, help="run on the local cloud with this root")
    return parser


def control(path: Path, local_cloud: Path | None, observer: RunObserver, drive: "Drive | None" = None) -> int:
    """Drive the run of a folder to its end; SIGTERM and SIGINT stop it. Return 0 if it completed.

    Args:
        path: the run folder.
        local_cloud: the root of the local cloud to run on; None: on Lightning.
        observer: the run's observer.
        drive: drives the run in another way, and returns the exit code.

    Raises:
        PlanError: another process drives the run.
    """
    cancellation = Cancellation()
    cancellation.grace = observer.grace
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only noted, because a handler must not use locks that the interrupted thread may hold.
        signal.signal(number, lambda number, _frame: signals.append(number))
    # The parent process had SIGTERM blocked until here, so that an early stop request is not lost.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    folder = RunFolder(path)
    threading.Thread(target=_watch_for_stop, args=(folder, cancellation, observer, signals), daemon=True).start()
    with folder.driven():
        try:
            return (drive or _drive)(folder, local_cloud, cancellation, observer)
        except StaleControllerError:
            # Another controller drives the run now, and only that one records its end.
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
        time.sleep(_POLL_SECONDS)
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
            step_ended=lambda name, step: _report_step(observer, name, step),
            on_start=observer.on_start,
        )
    _report_run(observer, result.state, result.message)
    return 0 if result.state == "completed" else 1


def _fail(folder: RunFolder, message: str, observer: RunObserver) -> None:
    """Record the failure of a run that could not be driven at all."""
    plan = folder.plan()
    with Journal() as journal:
        steps = [step.name for step in plan.steps]
        journal.drive(plan.run_id, plan.name, "", os.getpid(), steps).end("failed", message)
    folder.discard_secrets()
    _report_run(observer, "failed", message)


def _report_step(observer: RunObserver, name: str, result: StepResult) -> None:
    try:
        observer.step_ended(name, result)
    except Exception:
        # An error of the observer must not keep the other steps from running.
        traceback.print_exc()


def _report_run(observer: RunObserver, state: RunState, message: str) -> None:
    try:
        observer.run_ended(state, message)
    except Exception:
        traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
