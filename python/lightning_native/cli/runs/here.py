"""A run whose controller lives on this machine."""

import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from lightning_native.cli.options.cloud import credentials_of_run
from lightning_native.cli.runs.outputs import outputs_of, show_outputs
from lightning_native.cli.runs.view import RunView
from lightning_native.engine.display.follow_logs import LogFollower
from lightning_native.engine.leases import end_dead_run, had_ended
from lightning_native.engine.process.controller_process import ControllerProcess
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import RunRecord
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import LightningNativeError, PlanError
from lightning_native.terminal import clean, show_output

_REFRESH_SECONDS = 0.1
# Short, because a caller acts as soon as the run has ended.
_POLL_SECONDS = 0.02


class RunHere:
    """One run of this machine's journal that a process of this machine drives, or drove."""

    def __init__(self, journal: Journal, record: RunRecord) -> None:
        self._journal = journal
        self._folder = RunFolder.of(record.run_id)
        self.run_id = record.run_id
        self.name = record.name

    def _record(self) -> RunRecord:
        record = self._journal.run(self.run_id)
        if record is None:
            raise PlanError(f"run {self.run_id} is not in {self._journal.path} any more")
        return record

    def is_driven(self) -> bool:
        """Return whether a process drives the run now, or is about to."""
        return self._folder.is_driven()

    def view(self) -> RunView:
        """Return the run's records."""
        record = self._record()
        is_driven = self.is_driven()
        driven = f"driven by process {record.controller}" if is_driven else "not driven by any process"
        logs = str(self._folder.logs) if self._folder.path.exists() else "pruned, with its folder"
        view = RunView.of(self._journal, record, driven, logs, is_driven=is_driven)
        return replace(view, outputs=outputs_of(self._folder, [step.name for step in view.steps]))

    def wait(self, deadline: float) -> RunView:
        """Return the run's records when it has ended, is not driven any more, or at a monotonic time."""
        while self._record().state == "running" and self.is_driven() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return self.view()

    def print_logs(self, step: str | None, *, follow: bool) -> int:
        """Print the output of the steps, or that of one step without its name before each line."""
        steps = [record.name for record in self._journal.steps(self.run_id)]
        if step and step not in steps:
            raise PlanError(f"run {self.run_id} has no step {step!r}; its steps are {', '.join(steps)}")
        if not self._folder.path.exists():
            raise PlanError(f"run {self.run_id} has no logs any more: its folder was pruned")

        def show(name: str, line: str) -> None:
            show_output(sys.stdout, f"{line}\n" if step else f"[{clean(name)}] {line}\n")

        follower = LogFollower(self._folder, [step] if step else steps, show)
        while follow and self.is_driven():
            follower.advance()
            time.sleep(_REFRESH_SECONDS)
        follower.finish()
        return 0

    def print_outputs(self, step: str | None, *, to: Path | None, attempt: str | None, as_json: bool) -> int:
        """List the outputs of the steps, or copy them to a folder."""
        steps = [record.name for record in self._journal.steps(self.run_id)]
        return show_outputs(self._folder, steps, step, to=to, attempt=attempt, as_json=as_json)

    def stop(self, *, graceful: bool) -> None:
        """Stop the run, and return when it is not driven any more."""
        # While the question was open, the run may have ended, or another controller may drive it now.
        controller = self._record().controller
        if graceful or controller is None:
            # A controller that is being started checks this, too.
            self._folder.request_stop(graceful=graceful)
        elif self.is_driven():
            os.kill(controller, signal.SIGTERM)
        while self.is_driven():
            time.sleep(_REFRESH_SECONDS)

    def resume(self) -> None:
        """Drive the run on, and wait for its end.

        Raises:
            PlanError: it is driven, or has ended.
        """
        record = self._record()
        if self.is_driven():
            raise PlanError(f"run {self.run_id} is driven by process {record.controller}; follow it with: runs logs -f")
        if record.state in ("completed", "stopped") or (record.state == "failed" and not self._folder.has_variables()):
            again = "" if record.state == "completed" else f"; {retry_hint(self.run_id)}"
            raise PlanError(f"run {self.run_id} has ended: it is {record.state}; there is nothing to resume{again}")
        if not self._folder.has_variables() and had_ended(self._journal.steps(self.run_id)):
            sys.stderr.write("its steps had all ended when its controller died; the run's end is recorded now\n")
            end_dead_run(self._journal, self.run_id)
            return
        try:
            report = self._folder.complete()
        except LightningNativeError:
            # Nothing was created at Lightning yet, and nobody can drive the run.
            end_dead_run(self._journal, self.run_id)
            raise
        if report is not None:
            sys.stderr.write(f"its submission was killed; packed {report.files} files, as they are now\n")
        origin = self._folder.origin()
        with ExitStack() as stack:
            environ = {} if origin.local_cloud else stack.enter_context(credentials_of_run(origin.component))
            ControllerProcess(self._folder, self._folder.plan(), environ=environ, synchronous=True).wait()


def retry_hint(run_id: str) -> str:
    """Return the way on from a run that has failed or was stopped."""
    return f"run what did not succeed again with: lightning-native runs retry {run_id[:12]}"
