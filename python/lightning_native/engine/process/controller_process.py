"""The controller process: its start, and the wait for its end while the steps' output is shown."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from lightning_native.engine.cancellation import STOPPED
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.process.credentialed import start
from lightning_native.engine.process.follow_logs import LogFollower
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import RunFailedError, RunStoppedError
from lightning_native.home import private
from lightning_native.terminal import clean, show_output

_REFRESH_SECONDS = 0.1


class ControllerProcess:
    """The controller process of one run, from its start on."""

    def __init__(
        self,
        folder: RunFolder,
        plan: RunPlan,
        *,
        local_cloud: Path | None,
        environ: Mapping[str, str],
        synchronous: bool,
        controller: Sequence[str] = ("lightning_native.engine.process.controller",),
        on_stop: Callable[[], object] = lambda: None,
    ) -> None:
        """Start the controller.

        Args:
            folder: the run folder.
            plan: the plan in the folder.
            local_cloud: the root of the local cloud to run on; None: on Lightning.
            environ: the credentials, which are variables of the controller and of no other process.
            synchronous: whether `wait` will be called.
            controller: the controller's module, and arguments of its own.
            on_stop: called when the user stops the run, before the controller receives the request.
        """
        self._folder = folder
        self._plan = plan
        self._on_stop = on_stop
        self._interrupted = False
        self._waiting = False
        self._previous_handler: Any = None
        # Set before the controller exists, so that a Ctrl-C from now on stops it, also one before `wait`.
        if synchronous and threading.current_thread() is threading.main_thread():
            self._previous_handler = signal.signal(signal.SIGINT, self._interrupt)
        folder.remember_controller(controller, local_cloud)
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

    @property
    def pid(self) -> int:
        """The controller's process id."""
        return self._controller.pid

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        again, self._interrupted = self._interrupted, True
        # Before `wait`, the caller is still submitting. It waits in a moment, and `wait` handles the request.
        if self._waiting or again:
            raise KeyboardInterrupt

    def wait(self) -> None:
        """Show the steps' output until the run has ended.

        Raises:
            RunFailedError: steps failed, or the controller died.
            RunStoppedError: the run was stopped, by Ctrl-C or on request.
        """
        try:
            self._wait()
        finally:
            if self._previous_handler is not None:
                signal.signal(signal.SIGINT, self._previous_handler)
        self._raise_unless_completed()

    def _wait(self) -> None:
        follower = LogFollower(self._folder, [step.name for step in self._plan.steps], _show)
        announced = False
        while self._controller.poll() is None:
            try:
                self._waiting = True
                if self._interrupted and not announced:
                    announced = True
                    sys.stderr.write("stopping the run and releasing its studios …\n")
                    self._on_stop()
                    self._controller.send_signal(signal.SIGTERM)
                follower.advance()
                time.sleep(_REFRESH_SECONDS)
            except KeyboardInterrupt:
                self._interrupted = True
                if announced:
                    self._controller.send_signal(signal.SIGTERM)
        self._waiting = False
        follower.finish()

    def _raise_unless_completed(self) -> None:
        with Journal() as journal:
            record = journal.run(self._plan.run_id)
        if record is None or record.state == "running":
            tail = self._folder.controller_log.read_text(errors="replace")[-2000:]
            raise RunFailedError(
                f"the process that drove run {self._plan.run_id} died; release what it held with: "
                f"lightning-native gc\n{clean(tail)}"
            )
        if record.state == "failed":
            raise RunFailedError(f"{clean(record.message)}; the logs are in {self._folder.logs}")
        if record.state == "stopped":
            by = "by Ctrl-C" if self._interrupted else _why(record.message)
            raise RunStoppedError(f"run {self._plan.run_id} was stopped {by}; none of its studios is left")


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


def _show(step: str, line: str) -> None:
    show_output(sys.stderr, f"[{clean(step)}] {line}\n")
