"""The supervisor of a run in a studio: `python -m lightning_native.zenml.remote_controller.supervisor JSON`.

It starts the process that drives the run, again if that dies, and prints the steps' output. At the end, unless the
submitting machine does so, it keeps its log beside ZenML's artifacts and deletes its own studio.
"""

import contextlib
import queue
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from lightning_native.agent_protocol import REMOTE_HOME
from lightning_native.child_process import module_arguments
from lightning_native.engine.process.follow_logs import LogFollower
from lightning_native.engine.record.records import RunState
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.zenml.publish.publication_lock import is_promised_elsewhere, wait_for_promise
from lightning_native.zenml.remote_controller.supervisor_spec import SupervisorSpec

# How often the process that drives the run may die before the run is given up.
_MOST_LIVES = 3
_POLL_SECONDS = 0.2
_RELEASE_SECONDS = 120.0


def main() -> int:
    """Run what the command line says, and return 0 if the run completed."""
    spec = SupervisorSpec.from_json(sys.argv[1])
    stop = _Stop()
    signal.signal(signal.SIGTERM, lambda *_: stop.request())
    sys.stderr.write(f"the controller of run {spec.run_id} is up\n")
    logs = _Logs()
    try:
        code = _drive(spec, stop, logs)
        _release_isolated_steps(logs)
    except Exception:
        traceback.print_exc()
        code = 1
    logs.show()
    if spec.delete:
        _leave(spec, code, stopped=stop.requested)
    return code


class _Stop:
    """A request to stop. Safe to make in a signal handler while it is waited for, which that of an event is not."""

    def __init__(self) -> None:
        self.requested = False
        self._requests: queue.SimpleQueue[None] = queue.SimpleQueue()

    def request(self) -> None:
        """Make it."""
        self.requested = True
        self._requests.put(None)

    def wait(self, seconds: float) -> None:
        """Wait for it, at most so long."""
        with contextlib.suppress(queue.Empty):
            self._requests.get(timeout=seconds)


def _drive(spec: SupervisorSpec, stop: _Stop, logs: "_Logs") -> int:
    argv = spec.argv or _uploaded_run(spec)
    folder = RunFolder.of(spec.run_id)
    for life in range(1, _MOST_LIVES + 1):
        if stop.requested:
            return 1
        child = subprocess.Popen([sys.executable, *argv])
        while child.poll() is None:
            if folder.stop_requested() != "no" and not stop.requested and spec.argv:
                # A controller of the engine's looks for itself; anything else knows only signals.
                stop.request()
            if stop.requested:
                child.send_signal(signal.SIGTERM)
                _wait(child)
            logs.show()
            stop.wait(_POLL_SECONDS)
        if child.returncode >= 0 or stop.requested:
            return child.returncode if child.returncode >= 0 else 1
        sys.stderr.write(f"the process that drives the run died of signal {-child.returncode} (life {life})\n")
    return 1


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
    return module_arguments("lightning_native.zenml.controller", str(folder.path), *published)


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


def _leave(spec: SupervisorSpec, code: int, *, stopped: bool) -> None:
    """Publish what nobody published, keep the log, and delete the studio this runs in, unless somebody else does."""
    folder = RunFolder.of(spec.run_id)
    if stopped and is_promised_elsewhere(folder):
        # It is being deleted.
        return
    wait_for_promise(folder)
    if spec.pipeline_run and code != 0:
        with _logged():
            from lightning_native.zenml.publish.publisher import RunPublisher

            message = "the run was stopped" if stopped else "its controller failed; see its log"
            state: RunState = "stopped" if stopped else "failed"
            # A run of the engine's publishes its steps itself; of a dynamic pipeline, nobody does.
            RunPublisher(UUID(spec.pipeline_run)).run_ended(state, message, settle_steps=bool(spec.argv))
    with _logged():
        from lightning_native.zenml.remote_controller.log import log_keeper

        sys.stderr.flush()
        log_keeper(spec.run_id)((Path.home() / REMOTE_HOME / "ops" / spec.operation_id / "log").read_bytes())
    with _logged():
        from lightning_native.lightning.session import connect

        studio = connect().find_studio(str(spec.delete))
        # The studio ends its processes first, and answers when they have ended.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if studio is not None:
            studio.release(delete=True)


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except Exception:
        traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
