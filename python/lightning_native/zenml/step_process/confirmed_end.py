"""The confirmed end of a step's process: its exit code agrees with ZenML's record, whatever ends the process.

A child runs the step, and confirms that ZenML has recorded the completion. The parent waits for it and has the last
word, because a process cannot catch its own `os._exit` or the crash of a library at exit.
"""

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_native.zenml.variables import ENV_CONFIRMATION, ENV_RUN_ID, ENV_SCRATCH, ENV_WARM_STEPS

if TYPE_CHECKING:
    from lightning_native.zenml.step_process.warm_start import WarmChild

UNCONFIRMED = (
    "its process ended with exit code 0 before ZenML had recorded the step as completed, as os._exit(0) and "
    "sys.exit(0) do; return from the step instead"
)
# The exit code in place of 0, by which a controller knows the reason.
UNCONFIRMED_EXIT_CODE = 121
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_NAME = "zenml-has-the-end"
# The file whose existence is the confirmation; the process that compares has named it.
_file: str | None = None


def confirm() -> None:
    """Confirm that ZenML has recorded the end of what this process runs."""
    if _file is not None:
        os.close(os.open(_file, os.O_CREAT | os.O_WRONLY, 0o600))


@contextmanager
def confirmed() -> Iterator[None]:
    """Confirm the end of the block; `sys.exit(0)` is none, because ZenML has recorded it as a failure."""
    try:
        yield
    except SystemExit as end:
        if end.code in (None, 0):
            sys.stderr.write(f"lightning-native: {UNCONFIRMED}\n")
            raise SystemExit(UNCONFIRMED_EXIT_CODE) from end
        raise
    confirm()


def leave_step_to_child() -> None:
    """Return in a child process. This one waits for it, and ends with the code that agrees with ZenML's record.

    Nothing happens where another process compares, or without a folder of the step's own.
    """
    global _file  # noqa: PLW0603  one process runs one step
    # Not for the processes that the step starts.
    _file = os.environ.pop(ENV_CONFIRMATION, None)
    if _file is not None or ENV_SCRATCH not in os.environ:
        return
    _file = str(Path(os.environ[ENV_SCRATCH], _NAME))
    # The agent and Lightning signal both processes; a signal from before the fork is passed on.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    warm = _warm_child(_file)
    child = os.fork() if warm is None else warm.pid
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    received: list[int] = []

    def receive(number: int, _frame: object) -> None:
        received.append(number)
        if warm is not None:
            # It has a session of its own, which nobody else signals.
            warm.signal(number)

    for number in _SIGNALS:
        signal.signal(number, receive)
    if warm is None:
        for number in signal.sigpending().intersection(_SIGNALS):
            os.kill(child, number)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if warm is None else warm.wait()
    if warm is not None and received:
        # As the agent ends the session of a step that was told to stop.
        warm.signal(signal.SIGKILL)
    _end(_agreed(code, confirmed=Path(_file).exists(), told_to_end=signal.SIGTERM in received))


def confirm_with(file: str) -> None:
    """Confirm ends with a file that another process has named."""
    global _file  # noqa: PLW0603  as above
    _file = file


def _warm_child(confirmation: str) -> "WarmChild | None":
    """Return a process for the step that a warm one has forked, where the submitter wants that and it can be had."""
    if os.environ.pop(ENV_WARM_STEPS, None) is None:
        return None
    from lightning_native.zenml.step_process.warm_start import ColdError, start_warm

    try:
        return start_warm({"confirmation": confirmation})
    except (ColdError, OSError) as error:
        sys.stderr.write(f"lightning-native: a fresh process runs this step: {error}\n")
        return None


def _agreed(code: int, *, confirmed: bool, told_to_end: bool) -> int:
    """Return the exit code that agrees with ZenML's record."""
    if confirmed and code != 0:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        sys.stderr.write(
            f"lightning-native: the process ended by {how} after ZenML had recorded the step as completed\n"
        )
        return 0
    if code != 0 or confirmed:
        return code
    if told_to_end:
        # Its end by the signal is what the engine expects of a step that is stopped or loses its machine.
        return -signal.SIGTERM
    sys.stderr.write(f"lightning-native: {UNCONFIRMED}\n")
    if ENV_RUN_ID in os.environ and "--step_run_id" not in sys.argv:
        # The run's controller publishes the step, and has ZenML loaded sooner.
        return UNCONFIRMED_EXIT_CODE
    from lightning_native.zenml.step_process.unconfirmed_end import publish_unconfirmed

    return publish_unconfirmed(sys.argv[1:], UNCONFIRMED)


def _end(code: int) -> None:
    """End this process with an exit code, or by a signal where the code is negative."""
    sys.stdout.flush()
    sys.stderr.flush()
    if code < 0:
        # The child has left a core where one is wanted.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)
