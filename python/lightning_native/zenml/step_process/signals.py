"""The handler of SIGTERM in a running step, which means either "stop" or "this machine is being interrupted"."""

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from zenml.logger import get_logger

from lightning_native.zenml.compat import (
    RunInterruptedException,
    RunStoppedException,
    handle_signals_with,
    publish_failures_with,
)

logger = get_logger(__name__)


class _MachineInterrupted(BaseException):
    """Ends the step's process in order, past all code that would report a failure to ZenML."""


@contextmanager
def interruption_is_no_failure(*, interruptible: bool, driven: bool) -> Iterator[None]:
    """Keep ZenML from publishing a step that receives SIGTERM as failed; the process is to end after the block.

    A stopped step ends, and the controller of a `driven` run reports the reason to ZenML. An `interruptible` step whose
    run is not being stopped loses its machine. It ends by the signal and stays running in ZenML, because ZenML would
    count a failure as one of the step's retries. In both cases ZenML raises an exception in the step's code, which can
    then save its work. It is raised once, although the processes of a job receive the signal twice: from Lightning and
    from their parents.
    """

    def publish_with(own: Callable[[UUID], Any]) -> Callable[[UUID], Any]:
        def publish(step_run_id: UUID) -> Any:
            error = sys.exc_info()[1]
            if isinstance(error, RunStoppedException):
                raise error
            if interruptible and isinstance(error, (RunInterruptedException, _MachineInterrupted)):
                raise _MachineInterrupted
            return own(step_run_id)

        return publish

    # Without this, each step would ask ZenML for the reason, and report it.
    stopped = driven and not interruptible
    handle_signals_with(_once, (lambda _handler: RunStoppedException("The step is stopped.")) if stopped else None)
    publish_failures_with(publish_with)
    if interruptible:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except RunStoppedException:
        # A traceback of the stop is of no use, and takes a second to print.
        logger.info("The step was stopped.")
        _run_exit_handlers()
        # Python would tear down all of ZenML, which takes longer than the stop.
        os._exit(128 + signal.SIGTERM)
    except (_MachineInterrupted, RunInterruptedException):
        if not interruptible:
            raise
        logger.info("The step's machine is being interrupted.")
        _run_exit_handlers()
        # The engine recognizes the signal, and does not count a retry.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


def _once(handle: Callable[..., None]) -> Callable[..., None]:
    def handle_once(*arguments: Any) -> None:
        # Before anything is logged: logging would catch and print an exception of the next signal.
        _ignore_further_signals()
        handle(*arguments)

    return handle_once


def _ignore_further_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not SIG_IGN, which the processes that the step starts at its end would inherit.
        signal.signal(number, lambda *_: None)


def _run_exit_handlers() -> None:
    """Run the exit handlers and flush the output, as Python does at the end of a process."""
    _ignore_further_signals()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()


def _interrupt(_number: int, _frame: object) -> None:
    # ZenML's handler calls this one while it raises its own exception.
    if not isinstance(sys.exc_info()[1], (RunInterruptedException, RunStoppedException)):
        raise RunInterruptedException("The machine is being interrupted.")
