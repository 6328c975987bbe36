"""The view of a job by itself while it goes on: its output, its state, its time and its cost so far."""

import time

from lightning_native.engine.display.progress import Phase, Progress, StepProgress
from lightning_native.engine.display.view import ProgressView
from lightning_native.lightning.cloud import JobState

_SLICE_SECONDS = 0.5
# Lightning's states of jobs as phases of steps.
_PHASES: dict[JobState, Phase] = {
    "pending": "waiting",
    "running": "running",
    "completed": "succeeded",
    "failed": "failed",
    "stopped": "stopped",
}


class JobDisplay:
    """The display of one job on stderr, which shows nothing if it is `quiet`."""

    def __init__(self, name: str, machine: str, hourly_cost: float | None, *, quiet: bool = False) -> None:
        """Begin.

        Args:
            name: the job.
            machine: its machine, with the number of machines if there are several.
            hourly_cost: dollars for an hour of all its machines; None: not known.
            quiet: whether nothing is shown.
        """
        self._name, self._machine, self._hourly_cost = name, machine, hourly_cost
        self._began = time.time()
        self._running_since: float | None = None
        self._ended: float | None = None
        self._state: JobState = "pending"
        self.view = ProgressView(quiet=quiet)
        self.view.advance(self._progress())

    def output(self, line: str) -> None:
        """Show a line that the job has printed."""
        self.view.output(None, line)

    def seen(self, state: JobState) -> None:
        """Show the job's state."""
        if state != self._state:
            self._state = state
            if state == "running":
                self._running_since = time.time()
            elif state != "pending":
                self._ended = time.time()
        self.view.advance(self._progress())

    def pause(self, seconds: float) -> None:
        """Wait for some seconds, during which the time goes on in the view."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))
            self.view.advance(self._progress())

    def _progress(self) -> Progress:
        now = self._ended or time.time()
        since = self._running_since or self._began
        dollars = None
        if self._hourly_cost is not None and self._running_since is not None:
            dollars = self._hourly_cost * (now - since) / 3600
        step = StepProgress(self._name, _PHASES[self._state], 1, self._machine, now - since, dollars, "")
        return Progress((step,), now - self._began, dollars)
