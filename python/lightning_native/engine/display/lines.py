"""The progress of a run as lines, where no terminal shows a table: one for each phase, and one after a silent while."""

import time
from collections.abc import Callable

from lightning_native.engine.display.progress import UNDER_WAY, Phase, Progress, StepProgress
from lightning_native.units import human_dollars, human_seconds

_SILENT_SECONDS = 30.0
# After them, work of the controller is shown; most of it is done in less.
_LONG_SECONDS = 2.0
# Of the steps under way that one line names.
_MOST_NAMED = 4


class ProgressLines:
    """The lines about a run; `show` gets each, which is apart from what steps print."""

    def __init__(self, show: Callable[[str], object]) -> None:
        self._show = show
        self._phases: dict[str, tuple[Phase, int]] = {}
        self._activities: set[tuple[str, float]] = set()
        self._last = time.monotonic()

    def heard(self) -> None:
        """Record that something else about the run was shown."""
        self._last = time.monotonic()

    def advance(self, progress: Progress) -> None:
        """Show what has changed since the last call."""
        for step in progress.steps:
            before = self._phases.get(step.name, ("waiting", step.attempt))
            now = step.phase, step.attempt
            self._phases[step.name] = now
            if now != before and step.phase != "waiting":
                self._show(f"{step.name}: {_line(step)}")
                self.heard()
        for activity in progress.activities:
            known = activity.text, activity.began
            if known not in self._activities and time.time() > activity.began + _LONG_SECONDS:
                self._activities.add(known)
                self._show(activity.line())
                self.heard()
        if time.monotonic() > self._last + _SILENT_SECONDS:
            self._show(still(progress))
            self.heard()


def _line(step: StepProgress) -> str:
    if step.phase in ("booting", "preparing"):
        return f"{step.phase} {step.machine or 'its machine'}{_of_attempt(step)}"
    if step.phase == "running":
        return f"running{_of_attempt(step)}"
    took = "" if step.seconds is None else f" after {human_seconds(step.seconds)}"
    cost = "" if step.dollars is None else f", {human_dollars(step.dollars)}"
    return f"{step.phase}{took}{cost}{f': {step.reason}' if step.reason else ''}"


def _of_attempt(step: StepProgress) -> str:
    return f" (attempt {step.attempt})" if step.attempt > 1 else ""


def still(progress: Progress) -> str:
    """Return a line about a run that goes on: what is under way, how much waits, and the money so far."""
    under_way = [step for step in progress.steps if step.phase in UNDER_WAY]
    named = [
        f"{step.name} {step.phase}{f' for {human_seconds(step.seconds)}' if step.seconds is not None else ''}"
        for step in under_way[:_MOST_NAMED]
    ]
    more = [f"{len(under_way) - _MOST_NAMED} more"] if len(under_way) > _MOST_NAMED else []
    waiting = progress.counts().get("waiting", 0)
    activities = [activity.line() for activity in progress.activities[:_MOST_NAMED]]
    parts = [
        ", ".join([*named, *more]),
        *activities,
        f"{waiting} waiting" if waiting else "",
        f"{human_seconds(progress.seconds)}",
    ]
    cost = "" if progress.dollars is None else f"{human_dollars(progress.dollars)} so far"
    return "; ".join(filter(None, [*parts, cost]))
