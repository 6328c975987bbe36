"""The supervisor of a run in a studio: `python -m lightning_native.zenml.remote_controller.supervisor JSON`.

It starts the process that drives the run, again if that dies, and prints the steps' output. At the end, unless the
submitting machine does so, it keeps its log beside ZenML's artifacts and deletes its own studio. One that is killed is
started again by its command, and goes on.
"""

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import UUID

from lightning_native.agent_protocol import REMOTE_HOME
from lightning_native.child_process import module_arguments
from lightning_native.engine.display.follow_logs import LogFollower
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunState
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.engine.retry import THROUGH_AN_OUTAGE, retry
from lightning_native.home import home, private_folder, write_private
from lightning_native.zenml.publish.publication_lock import is_billed, is_promised_elsewhere, wait_for_promise
from lightning_native.zenml.remote_controller.supervisor_spec import SupervisorSpec
from lightning_native.zenml.variables import ENV_CONFIRMATION

# How often the process that drives the run may die before the run is given up.
_MOST_LIVES = 3
_POLL_SECONDS = 0.2
_FIRST_STOP_CHECK_SECONDS = 10.0
_RELEASE_SECONDS = 120.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
# Two threads that load ZenML at once each find modules half loaded.
_LOADING = threading.Lock()
_UNCONFIRMED = (
    "the pipeline's process ended with exit code 0 before ZenML had recorded its end, as os._exit(0) does; return from "
    "the pipeline and its inline steps instead"
)


def main() -> int:
    """Run what the command line says, and return 0 if the run completed."""
    spec = SupervisorSpec.from_json(sys.argv[1])
    stop = _Stop()
    signal.signal(signal.SIGTERM, lambda *_: stop.request())
    sys.stderr.write(f"the controller of run {spec.run_id} is up\n")
    logs = _Logs()
    if spec.argv and spec.delete and spec.pipeline_run:
        # Only the controller of a static run, or the submitting machine, watches by itself.
        watch = threading.Timer(_FIRST_STOP_CHECK_SECONDS, _watch_for_stop, [UUID(spec.pipeline_run), stop])
        watch.daemon = True
        watch.start()
    try:
        code = _drive(spec, stop, logs)
        _release_isolated_steps(logs)
        if spec.argv:
            _publish_bills()
    except Exception:
        traceback.print_exc()
        code = 1
    logs.show()
    if spec.delete:
        _leave(spec, code, stop)
    return code


class _Stop:
    """A request to stop. Safe to make in a signal handler while it is waited for, which that of an event is not."""

    def __init__(self) -> None:
        self.requested = False
        # The reason, if the request is not a person's.
        self.reason = ""
        self._requests: queue.SimpleQueue[None] = queue.SimpleQueue()

    def request(self, reason: str = "") -> None:
        """Make it; the first reason stays."""
        if not self.requested:
            self.reason = reason
        self.requested = True
        self._requests.put(None)

    def wait(self, seconds: float) -> None:
        """Wait for it, at most so long."""
        with contextlib.suppress(queue.Empty):
            self._requests.get(timeout=seconds)


class _Progress:
    """The progress of a run, for the supervisor that follows a killed one in the same studio."""

    def __init__(self, run_id: str) -> None:
        folder = private_folder(private_folder(home() / "supervised") / run_id)
        self._begun, self._code = folder / "begun", folder / "exit-code"
        # Made by a dynamic pipeline's process once ZenML has its completion.
        self.confirmation = folder / "zenml-has-the-end"
        if not self._begun.exists():
            write_private(self._begun, str(time.time()))

    def seconds(self) -> float:
        """Return the seconds since the first supervisor began."""
        with contextlib.suppress(ValueError):
            return max(0.0, time.time() - float(self._begun.read_text()))
        return 0.0

    def end(self) -> int | None:
        """Return the exit code with which the run ended under an earlier supervisor; None: it has not ended."""
        with contextlib.suppress(OSError, ValueError):
            return int(self._code.read_text())
        return 0 if self.confirmation.exists() else None

    def ended(self, code: int) -> None:
        """Keep the run's exit code."""
        write_private(self._code, str(code))


def _drive(spec: SupervisorSpec, stop: _Stop, logs: "_Logs") -> int:
    progress = _Progress(spec.run_id)
    code = progress.end()
    if code is None:
        code = _run_lives(spec, stop, logs, progress)
        if spec.delete:
            # The submitting machine may have another try at a run that it watches.
            progress.ended(code)
    return code


def _run_lives(spec: SupervisorSpec, stop: _Stop, logs: "_Logs", progress: _Progress) -> int:
    """Run the process that drives the run, again if it dies; a dynamic pipeline's confirms its end by a file."""
    argv = spec.argv or _uploaded_run(spec)
    folder, confirmation = RunFolder.of(spec.run_id), progress.confirmation
    while folder.is_driven() and not stop.requested:
        # A process that dies with its supervisor may take a moment.
        stop.wait(_POLL_SECONDS)
    deadline = time.monotonic() + spec.timeout - progress.seconds() if spec.timeout else float("inf")
    # A controller of the engine's judges its run itself.
    environ = {**os.environ, ENV_CONFIRMATION: str(confirmation)} if spec.argv else None
    for life in range(1, _MOST_LIVES + 1):
        if stop.requested:
            return 1
        child = subprocess.Popen([sys.executable, *argv], env=environ, preexec_fn=_die_with_parent)  # noqa: PLW1509  it calls one function of the system
        while child.poll() is None:
            if folder.stop_requested() != "no" and not stop.requested and spec.argv:
                # A controller of the engine's looks for itself; anything else knows only signals.
                stop.request()
            if time.monotonic() > deadline:
                stop.request(f"it ran longer than its limit of {spec.timeout:g} s")
            if stop.requested:
                child.send_signal(signal.SIGTERM)
                _wait(child)
            logs.show()
            stop.wait(_POLL_SECONDS)
        if child.returncode == 0 and spec.argv and not confirmation.exists() and not stop.requested:
            sys.stderr.write(f"{_UNCONFIRMED}\n")
            _publish_end(spec, "failed", _UNCONFIRMED)
            return 1
        if child.returncode >= 0 or stop.requested:
            return child.returncode if child.returncode >= 0 else 1
        sys.stderr.write(f"the process that drives the run died of signal {-child.returncode} (life {life})\n")
    return 1


def _die_with_parent() -> None:
    """Have the kernel kill this process with the supervisor, because the next one starts it again."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(child: "subprocess.Popen[bytes]") -> None:
    try:
        child.wait(_RELEASE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


def _uploaded_run(spec: SupervisorSpec) -> tuple[str, ...]:
    """Complete the folder of the run that was uploaded, and return the command that drives it."""
    folder = RunFolder.of(spec.run_id)
    folder.adopt_uploaded()
    published = ("--pipeline-run", spec.pipeline_run) if spec.pipeline_run else ()
    cached = ("--may-be-cached",) if spec.may_be_cached else ()
    return module_arguments("lightning_native.zenml.controller", str(folder.path), *published, *cached)


class _Logs:
    """Shows what the steps of all runs that are driven from here print."""

    def __init__(self) -> None:
        self._followers: dict[str, LogFollower] = {}

    def show(self) -> None:
        """Show what has come since the last call."""
        for folder in RunFolder.all():
            if folder.has_plan() and folder.path.name not in self._followers:
                with contextlib.suppress(Exception):
                    # A plan that is just being written is read the next time.
                    steps = [step.name for step in folder.plan().steps]
                    self._followers[folder.path.name] = LogFollower(folder, steps, _show)
        for follower in self._followers.values():
            follower.advance()


def _show(step: str, line: str) -> None:
    sys.stderr.write(f"[{step}] {line}\n")


def _release_isolated_steps(logs: _Logs) -> None:
    """Stop the runs that are still driven from here, and wait until they have released what they hold."""
    deadline = time.monotonic() + _RELEASE_SECONDS
    while time.monotonic() < deadline:
        driven = [folder for folder in RunFolder.all() if folder.is_driven()]
        if not driven:
            return
        for folder in driven:
            folder.request_stop(graceful=False)
        logs.show()
        time.sleep(_POLL_SECONDS)


def _publish_bills() -> None:
    """Publish what isolated steps have cost whose release the pipeline's process has not seen."""
    folders = [folder for folder in RunFolder.all() if not is_billed(folder)]
    if not folders:
        return
    with _LOADING:
        from lightning_native.zenml.publish.bills import publish_bill
    with Journal() as journal:
        for folder in folders:
            publish_bill(folder, journal)


def _watch_for_stop(pipeline_run: UUID, stop: _Stop) -> None:
    with _LOADING:
        from lightning_native.zenml.publish.stop_requests import wait_for_stop

    wait_for_stop(pipeline_run)
    stop.request()


def _leave(spec: SupervisorSpec, code: int, stop: _Stop) -> None:
    """Publish what nobody published, keep the log, and delete the studio this runs in, unless somebody else does."""
    folder = RunFolder.of(spec.run_id)
    stopped = stop.requested and not stop.reason
    if stopped and is_promised_elsewhere(folder):
        # It is being deleted.
        return
    wait_for_promise(folder)
    if code != 0:
        message = "the run was stopped" if stopped else stop.reason or "its controller failed; see its log"
        _publish_end(spec, "stopped" if stopped else "failed", message)
    with _logged():
        with _LOADING:
            from lightning_native.zenml.remote_controller.log import log_keeper

        sys.stderr.flush()
        log_keeper(spec.run_id)((Path.home() / REMOTE_HOME / "ops" / spec.operation_id / "log").read_bytes())
    with _logged():
        from lightning_native.lightning.session import connect

        # Nobody else deletes it, so that an outage would leave it running.
        studio = retry(lambda: connect().find_studio(str(spec.delete)), THROUGH_AN_OUTAGE)
        # The studio ends its processes first, and answers when they have ended.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if studio is not None:
            kept = spec.keep == "always" or (spec.keep == "on_failure" and code != 0)
            retry(partial(studio.release, delete=not kept), THROUGH_AN_OUTAGE)


def _publish_end(spec: SupervisorSpec, state: RunState, message: str) -> None:
    """Publish the end of the run, unless ZenML knows it."""
    if not spec.pipeline_run:
        return
    with _logged():
        with _LOADING:
            from lightning_native.zenml.publish.publisher import RunPublisher

        # A run of the engine's publishes its steps itself; of a dynamic pipeline, nobody does.
        RunPublisher(UUID(spec.pipeline_run)).run_ended(state, message, settle_steps=bool(spec.argv))


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except Exception:
        traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
