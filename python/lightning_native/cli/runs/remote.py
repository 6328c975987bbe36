"""A run whose controller lives in a studio, on the cloud that this process's variables name."""

import codecs
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from lightning_native.cli.runs.view import RunView
from lightning_native.engine.process.remote_controller import RemoteController
from lightning_native.engine.record.costs import CostSummary
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import Event, Lease, RunRecord, StepRecord
from lightning_native.errors import CloudError, ControllerGoneError, PlanError, RunStoppedError
from lightning_native.terminal import Cleaner, raw, shows_colour

_POLL_SECONDS = 0.2
# The longest that one request to the studio waits for the run's end.
_WAIT_SECONDS = 5.0
# The longest that a controller needs to publish, keep its log and delete its studio, once its run has ended.
_LEAVE_SECONDS = 180.0

T = TypeVar("T", RunRecord, StepRecord, Lease, Event)


class RunElsewhere:
    """One run that a controller in a studio drives.

    `journal` is this machine's; it records the end of the run if this machine submitted the run.
    """

    def __init__(self, controller: RemoteController, journal: Journal, record: RunRecord | None) -> None:
        self._controller = controller
        self._journal = journal
        self._known = record
        self.run_id = controller.run_id
        self.name = record.name if record else controller.location.studio

    @property
    def _studio(self) -> str:
        return self._controller.location.studio

    def view(self, wait: float = 0.0) -> RunView:
        """Return the run's records, as the controller's journal has them when it ends or after some seconds."""
        known = self._journal.run(self.run_id) if self._known else None
        if known is not None and known.state != "running":
            return self._view_of_journal(known)
        try:
            answer = self._controller.status(wait)
        except ControllerGoneError:
            return self._view_of_end()
        if "run_id" not in answer:
            # A dynamic pipeline has no journal, and another run has none before it begins.
            return self._view_without_journal()
        run = _read(RunRecord, answer)
        return RunView(
            run,
            run.state == "running",
            f"driven by studio {self._studio}",
            [_read(StepRecord, step) for step in answer["steps"]],
            [_read(Lease, lease) for lease in answer["leases"]],
            [_read(Event, event) for event in answer["events"]],
            self._logs(),
            self._studio,
            cost=CostSummary(**cost) if (cost := answer.get("cost")) else None,
        )

    def _logs(self) -> str:
        return f"lightning-native runs logs {self.run_id[:12]}"

    def _view_of_journal(self, run: RunRecord) -> RunView:
        driven = f"was driven by studio {self._studio}"
        return RunView.of(self._journal, run, driven, self._logs(), is_driven=False, studio=self._studio)

    def _view_without_journal(self) -> RunView:
        started = self._known.started if self._known else time.time()
        cloud = self._known.cloud if self._known else ""
        run = RunRecord(self.run_id, self.name, cloud, "running", started, None, None, "")
        return RunView(run, True, f"driven by studio {self._studio}", [], [], [], self._logs(), self._studio)

    def _view_of_end(self) -> RunView:
        """Return the records of a run whose controller is gone, and record in the journal the end that ZenML has."""
        known = self._known
        if known is None:
            raise ControllerGoneError(
                f"run {self.run_id} has ended: its controller in studio {self._studio} is gone; the machine that "
                "submitted it can tell how"
            )
        from lightning_native.cli.runs.end import record_end

        record_end(self._journal, known, self._controller.location)
        after = self._journal.run(self.run_id) or known
        return self._view_of_journal(after)

    def wait(self, deadline: float) -> RunView:
        """Return the run's records when it has ended and its controller is gone, or at a monotonic time."""
        while True:
            left = deadline - time.monotonic()
            view = self.view(max(0.0, min(left, _WAIT_SECONDS)))
            if view.run.state != "running" or left <= 0:
                return view
            # Without a journal there, the answer arrives at once.
            time.sleep(min(_POLL_SECONDS, max(left, 0.0)))

    def print_logs(self, step: str | None, *, follow: bool) -> int:
        """Print the controller's log, which has the output of the steps, or only the lines of one step."""
        target = raw(sys.stdout)
        # Both keep the sequence or character in which a piece of the log was cut.
        cleaner, decoder = Cleaner(colour=shows_colour(target)), codecs.getincrementaldecoder("utf-8")("replace")
        shown = _Lines(f"[{step}] ") if step else None
        printed = 0
        try:
            for data in self._controller.log(follow=follow):
                text = decoder.decode(data)
                printed += len(data)
                target.write(cleaner.feed(shown.feed(text) if shown else text))
                target.flush()
        except ControllerGoneError:
            return self._print_kept_log(step, printed)
        return 0

    def _print_kept_log(self, step: str | None, printed: int) -> int:
        """Print the rest of the log from the copy that the controller has kept."""
        from lightning_native.cli.runs.end import kept_log

        log = kept_log(self.run_id)
        if log is None:
            sys.stderr.write(f"the controller in studio {self._studio} is gone and left no log that is found here\n")
            return 1
        text = log.encode(errors="replace")[printed:].decode(errors="replace")
        target = raw(sys.stdout)
        target.write(Cleaner(colour=shows_colour(target)).feed(_Lines(f"[{step}] ").feed(text) if step else text))
        target.flush()
        return 0

    def print_outputs(self, step: str | None, *, to: Path | None, attempt: str | None, as_json: bool) -> int:
        """Refuse, because the outputs are in the studio of the controller.

        Raises:
            PlanError: always.
        """
        del step, to, attempt, as_json
        raise PlanError(
            f"the outputs of run {self.run_id} are with its controller in studio {self._studio}, and go with it; "
            "submit the run with synchronous=True to have them come back to this computer"
        )

    def stop(self, *, graceful: bool) -> None:
        """Stop the run, and return when its controller is gone.

        Raises:
            CloudError: it cannot be asked, or is still there after a long time.
        """
        try:
            self._controller.request_stop(graceful=graceful)
        except ControllerGoneError:
            return
        while self.view(_WAIT_SECONDS).run.state == "running":
            time.sleep(_POLL_SECONDS)
        if not self._controller.wait_until_gone(_LEAVE_SECONDS):
            raise CloudError(f"run {self.run_id} has ended, and its controller's studio {self._studio} is still there")

    def resume(self) -> None:
        """Refuse, because a controller in a studio resumes its run by itself.

        Raises:
            PlanError: the run is driven, or has completed.
            RunStoppedError: the run has ended otherwise.
        """
        run = self.view().run
        if run.state == "running":
            raise PlanError(
                f"run {self.run_id} is driven by studio {self._studio}; follow it with: runs logs -f {self.run_id[:12]}"
            )
        if run.state == "completed":
            raise PlanError(f"run {self.run_id} has completed; there is nothing to resume")
        raise RunStoppedError(
            f"run {self.run_id} is {run.state}, and its controller is gone; start the pipeline again: "
            "ZenML's cache repeats no step that has completed"
        )


class _Lines:
    """The lines of a text in pieces that begin with a mark, without it."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._rest = ""

    def feed(self, text: str) -> str:
        *lines, self._rest = (self._rest + text).split("\n")
        return "".join(f"{line.removeprefix(self._mark)}\n" for line in lines if line.startswith(self._mark))


def _read(kind: type[T], values: dict[str, Any]) -> T:
    """Read a record that `RunView.to_json` wrote, perhaps in another version."""
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in known})
