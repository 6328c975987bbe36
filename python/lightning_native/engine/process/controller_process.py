"""The controller process: its start, and the wait for its end while the steps' output is shown."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from lightning_native.engine.cancellation import STOPPED
from lightning_native.engine.display.run_display import RunDisplay
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.process.client_signals import ENDING, die_of, handle, restore
from lightning_native.engine.process.credentialed import start
from lightning_native.engine.reasons import last_traceback
from lightning_native.engine.record.controller_location import ControllerLocation
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.left_over import left_over
from lightning_native.engine.record.records import StepRecord
from lightning_native.engine.record.run_folder import RunFolder, StepLog
from lightning_native.engine.retry import best_effort
from lightning_native.errors import RunFailedError, RunStoppedError
from lightning_native.home import private
from lightning_native.terminal import clean

_REFRESH_SECONDS = 0.1
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP, the end of its terminal"}
# Of the steps that failed; the logs have the others.
_MOST_TRACEBACKS = 3


class ControllerProcess:
    """The controller process of one run, from its start on."""

    def __init__(
        self,
        folder: RunFolder,
        plan: RunPlan,
        *,
        environ: Mapping[str, str],
        synchronous: bool,
        on_stop: Callable[[], object] = lambda: None,
    ) -> None:
        """Start the controller.

        Args:
            folder: the run folder.
            plan: the plan in the folder.
            environ: the credentials, which are variables of the controller and of no other process.
            synchronous: whether `wait` will be called.
            on_stop: called when the user stops the run, before the controller receives the request.
        """
        self._folder = folder
        self._plan = plan
        self._on_stop = on_stop
        self._interrupted: signal.Signals | None = None
        self._leaving: int | None = None
        self._waiting = False
        self._earlier_handlers: dict[signal.Signals, Any] = {}
        self._controller: subprocess.Popen[Any] | None = None
        # Set before the controller exists, so that a Ctrl-C from now on stops it, also one before `wait`.
        if synchronous:
            detaches = folder.origin().on_terminate == "detach"
            self._earlier_handlers = {
                **handle((signal.SIGINT,), self._interrupt),
                **handle(ENDING, self._leave if detaches else self._interrupt),
            }
        controller, local_cloud = folder.controller()
        arguments = (*controller, str(folder.path), *(("--local-cloud", str(local_cloud)) if local_cloud else ()))
        path = folder.controller_log
        with open(path, "wb", opener=private) as log, _sigterm_blocked():
            # A session of its own: Ctrl-C in the terminal reaches it through this process, so that it ends in order.
            self._controller = start(
                *arguments,
                environ=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=folder.submission_files(),
            )
        folder.end_submission()
        if self._leaving is not None:
            self._leave(self._leaving, None)

    @property
    def pid(self) -> int:
        """The controller's process id."""
        return self._process.pid

    @property
    def _process(self) -> "subprocess.Popen[Any]":
        assert self._controller is not None  # noqa: S101  only `_leave` can come before it exists
        return self._controller

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        again = self._interrupted is not None
        self._interrupted = self._interrupted or signal.Signals(number)
        # Before `wait`, the caller is still submitting. It waits in a moment, and `wait` handles the request.
        if self._waiting or again:
            raise KeyboardInterrupt

    def _leave(self, number: int, _frame: FrameType | None) -> None:
        """Leave the run to its controller, and end this process by the signal."""
        self._leaving = number
        if self._controller is not None:
            # Not sys.stderr, because the signal may have come in the middle of one of its writes.
            os.write(2, f"{signal.Signals(number).name}: {self._goes_on()}".encode())
            die_of(number)

    def _goes_on(self) -> str:
        run_id = self._plan.run_id[:12]
        return (
            f"the run goes on, driven by process {self._process.pid}; "
            f"see it with: lightning-native runs show {run_id}; stop it with: lightning-native runs stop {run_id}\n"
        )

    def wait(self, *, quiet: bool = False) -> None:
        """Show the steps' output and the run's progress, unless it is `quiet`, until the run has ended.

        Raises:
            RunFailedError: steps failed, or the controller died.
            RunStoppedError: the run was stopped, by Ctrl-C or on request.
        """
        display = RunDisplay(self._folder, self._plan.run_id, [step.name for step in self._plan.steps], quiet=quiet)
        try:
            self._wait(display)
        finally:
            display.view.close()
            restore(self._earlier_handlers)
        self._raise_unless_completed()

    def _wait(self, display: RunDisplay) -> None:
        announced = False
        while self._process.poll() is None:
            try:
                self._waiting = True
                if self._interrupted is not None and not announced:
                    announced = True
                    best_effort(self._on_stop)
                    self._process.send_signal(signal.SIGTERM)
                    # After the request, because a terminal that is gone refuses every word.
                    sys.stderr.write("stopping the run and releasing its studios …\n")
                display.advance()
                time.sleep(_REFRESH_SECONDS)
            except KeyboardInterrupt:
                self._interrupted = self._interrupted or signal.SIGINT
                if announced:
                    self._process.send_signal(signal.SIGTERM)
                elif self._interrupted == signal.SIGINT and not display.view.is_to_stop("run", self._detach):
                    self._interrupted = None
        self._waiting = False
        display.advance(last=True)

    def _detach(self) -> NoReturn:
        """Leave the run to its controller."""
        sys.stderr.write(self._goes_on())
        sys.stderr.flush()
        # Whoever waits for the run must not take it for ended.
        os._exit(0)

    def _raise_unless_completed(self) -> None:
        with Journal() as journal:
            record, steps = journal.run(self._plan.run_id), journal.steps(self._plan.run_id)
            left = left_over(journal, self._plan.run_id)
        if self._process.returncode == 0 and ControllerLocation.read(self._folder) is not None:
            # The process was a launcher, and a controller in a studio drives the run now.
            return
        if record is None or record.state == "running":
            tail = self._folder.controller_log.read_text(errors="replace")[-2000:]
            raise RunFailedError(
                f"the process that drove run {self._plan.run_id} died; {left or 'nothing of it is left'}; go on with: "
                f"lightning-native runs resume {self._plan.run_id}\n{clean(tail)}"
            )
        if record.state == "failed":
            logs = f"the logs are in {self._folder.logs}"
            reason = "; ".join(filter(None, [clean(record.message), left, logs]))
            raise RunFailedError(f"{reason}{tracebacks_of(self._folder, steps)}")
        if record.state == "stopped":
            by = _why(record.message) if self._interrupted is None else f"by {_NAMES[self._interrupted]}"
            rest = left or "none of its studios is left"
            raise RunStoppedError(f"run {self._plan.run_id} was stopped {by}; {rest}")
        if left:
            raise RunFailedError(f"every step of run {self._plan.run_id} succeeded, but {left}")


def tracebacks_of(folder: RunFolder, steps: Sequence[StepRecord]) -> str:
    """Return the tracebacks with which failed steps ended, as the last lines of a message; empty without any.

    In the output of a run, the lines of other steps may follow them.
    """
    failed = [step for step in steps if step.state == "failed" and step.exit_code]
    logs = {step.name: StepLog(folder.log(step.name, step.attempt)).end() for step in failed}
    found = {name: traceback for name, log in logs.items() if (traceback := last_traceback(clean(log)))}
    return "".join(f"\n\nstep {name}:\n{text}" for name, text in list(found.items())[:_MOST_TRACEBACKS])


def _why(message: str) -> str:
    return "on request" if message in ("", STOPPED) else f"because {clean(message)}"


@contextmanager
def _sigterm_blocked() -> Iterator[None]:
    """Start processes inside with SIGTERM blocked, so that they can handle it as soon as they are ready."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
