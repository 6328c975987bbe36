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
from typing import Literal

from lightning_native.engine.cancellation import Cancellation, Cancelled
from lightning_native.engine.execution.run_plan import Abandon, run_plan
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunState
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.result import StepResult
from lightning_native.engine.retry import retry
from lightning_native.engine.step_records import StepRecords
from lightning_native.errors import StaleControllerError
from lightning_native.lightning.local import cloud_environ
from lightning_native.lightning.session import cloud_name, connect
from lightning_native.lightning.teamspace import LightningCloud

_POLL_SECONDS = 0.05


class RunObserver(StepRecords):
    """The observer of a run's start, stop and end, and of its steps' ends; this one does nothing.

    An error of a subclass is logged, and changes nothing about the run.

    Attributes:
        grace: the seconds that stopped steps have to save their work.
        forced_grace: the same for a forced stop; a caller that wants to give steps time asks for a graceful one.
    """

    grace = 10.0
    forced_grace = 2.0

    def on_drive(self) -> None:
        """Receive that this process drives the run from now on."""

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
            with contextlib.suppress(Exception):
                observer.on_drive()
            return (drive or _drive)(folder, local_cloud, cancellation, observer)
        except StaleControllerError:
            # Another controller drives the run now, and only that one records its end.
            traceback.print_exc()
        except Cancelled as stop:
            _end(folder, "stopped", str(stop), observer)
        except Exception as error:
            traceback.print_exc()
            _end(folder, "failed", f"{type(error).__name__}: {error}", observer)
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
            cloud=connect_patiently(cancellation),
            cloud_name=cloud_name(),
            journal=journal,
            cancellation=cancellation,
            step_ended=lambda name, step: _report_step(observer, name, step),
            on_start=observer.on_start,
            records=_SafeRecords(observer),
        )
    _report_run(observer, result.state, result.message)
    return 0 if result.state == "completed" and not result.left else 1


def connect_patiently(cancellation: Cancellation) -> LightningCloud:
    """Sign in, through an outage, with this process's variables.

    Raises:
        CloudError: the last failure.
        Cancelled: the run was stopped meanwhile.
    """

    def pause(seconds: float) -> None:
        if cancellation.wait(seconds):
            raise Cancelled(cancellation.reason)

    return retry(connect, pause=pause)


class _SafeRecords(StepRecords):
    """The records of an observer whose errors change nothing about the run."""

    def __init__(self, observer: RunObserver) -> None:
        self._observer = observer

    def known_end(self, step: str) -> StepResult | None:
        try:
            return self._observer.known_end(step)
        except Exception:
            traceback.print_exc()
            return None

    def compared(self, step: str, result: StepResult) -> StepResult:
        try:
            return self._observer.compared(step, result)
        except Exception:
            traceback.print_exc()
            return result


def _end(folder: RunFolder, state: Literal["failed", "stopped"], message: str, observer: RunObserver) -> None:
    """Record the end of a run that could not be driven, and of each of its steps that has not ended."""
    plan = folder.plan()
    steps = [step.name for step in plan.steps]
    try:
        open_steps = _end_in_journal(plan, steps, state, message)
    except Exception:
        # The journal itself may be the trouble; the observer skips the steps whose end it knows.
        traceback.print_exc()
        open_steps = steps
    folder.discard_secrets()
    for name in open_steps:
        _report_step(observer, name, StepResult(state, None, message))
    _report_run(observer, state, message)


def _end_in_journal(plan: RunPlan, steps: list[str], state: Literal["failed", "stopped"], message: str) -> list[str]:
    """Record the end of a run and of its steps that have not ended, and return these."""
    with Journal() as journal:
        run_journal = journal.drive(plan.run_id, plan.name, "", os.getpid(), [] if plan.schedule else steps)
        open_steps = [
            record.name for record in journal.steps(plan.run_id) if record.state in ("pending", "preparing", "running")
        ]
        for name in open_steps:
            run_journal.step_ended(name, state, None, message)
        run_journal.end(state, message)
        return open_steps


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
