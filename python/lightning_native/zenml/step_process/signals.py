"""What a step does that is told to end while it runs: it has been stopped, or its machine is being taken away."""

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.logger import get_logger

from lightning_native.zenml.compat import (
    RunInterruptedException,
    RunStoppedException,
    handle_signals_with,
    publish_failures_with,
)

logger = get_logger(__name__)


class _MachineInterrupted(BaseException):
    """Ends the step's process in order, past all that would tell ZenML of a failure."""


@contextmanager
def interruption_is_no_failure(*, interruptible: bool, driven: bool) -> Iterator[None]:
    """Keep ZenML from publishing a step as failed that got SIGTERM. The process is expected to end after the block.

    A step that is stopped ends; where its run is `driven` by a controller, that knows why and tells ZenML. One that is
    `interruptible`, and whose run is not being stopped, loses its machine: it ends by the signal and stays running in
    ZenML, which would count it as one of its retries otherwise. In both cases its code can save what it wants to save,
    as ZenML raises an exception in it, once: all processes of a job get the signal from Lightning, and again from
    what they were started by.
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

    # Otherwise each step would ask ZenML, and tell it, by itself.
    stopped = driven and not interruptible
    handle_signals_with(_once, (lambda _handler: RunStoppedException("The step is stopped.")) if stopped else None)
    publish_failures_with(publish_with)
    if interruptible:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except RunStoppedException:
        # Where it was when it was stopped interests nobody, and takes a second to print.
        logger.info("The step was stopped.")
        _run_exit_handlers()
        # Python takes the whole of ZenML apart otherwise, which takes longer than stopping.
        os._exit(128 + signal.SIGTERM)
    except (_MachineInterrupted, RunInterruptedException):
        if not interruptible:
            raise
        logger.info("The step's machine is being taken away.")
        _run_exit_handlers()
        # So that the engine sees why, and does not count it as a retry.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


def _once(handle: Callable[..., None]) -> Callable[..., None]:
    def handle_once(*arguments: Any) -> None:
        # First of all: what the next signal raises, logging would catch, and print.
        _ignore_further_signals()
        handle(*arguments)

    return handle_once


def _ignore_further_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not SIG_IGN, which processes that are started for the last things to do would inherit.
        signal.signal(number, lambda *_: None)


def _run_exit_handlers() -> None:
    """Do what Python does at the end of a process, for the code that counts on it."""
    _ignore_further_signals()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()


def _interrupt(_number: int, _frame: object) -> None:
    # ZenML's handler calls this one while it raises its own exception.
    if not isinstance(sys.exc_info()[1], (RunInterruptedException, RunStoppedException)):
        raise RunInterruptedException("The machine is being taken away.")


def interrupted_step_run(name: str) -> UUID | None:
    """Return the run of a step that an earlier attempt left running when it lost its machine.

    The next attempt goes on with it: ZenML would count one of its own as one of the step's retries.
    """
    orchestrator_run_id = Client().active_stack.orchestrator.get_orchestrator_run_id()
    runs = Client().list_pipeline_runs(orchestrator_run_id=orchestrator_run_id, size=1)
    if not runs.items:
        return None
    left = Client().list_run_steps(
        name=name, pipeline_run_id=runs.items[0].id, status=ExecutionStatus.RUNNING, size=1, hydrate=False
    )
    return left.items[0].id if left.items else None
