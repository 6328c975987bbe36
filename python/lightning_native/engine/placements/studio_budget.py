"""The budget of a run in its studios: a guard in each stops its steps and the studio when the budget is used.

The controller stops the run before; the guards are for a controller that is gone. What a machine costs is shared anew
whenever a step begins, and every few seconds.
"""

import threading
import time
from functools import partial

from lightning_native.engine.context import RunContext
from lightning_native.engine.retry import best_effort
from lightning_native.engine.studios.setup import ReadyStudio

_GIVE_SECONDS = 10.0
# A guard whose end changes by less is not told.
_TOLERANCE_SECONDS = 1.0


class StudioBudgets:
    """The guards of the studios of one run."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._studios: dict[str, tuple[ReadyStudio, bool]] = {}
        self._ends: dict[str, float] = {}
        self._closed = threading.Event()
        self._giver: threading.Thread | None = None

    def add(self, name: str, studio: ReadyStudio, *, ours: bool) -> None:
        """Guard a studio in which a step is about to run; only one that is ours may be stopped."""
        if not self._context.budget.is_limited:
            return
        with self._lock:
            self._studios[name] = (studio, ours)
            if self._giver is None:
                self._giver = threading.Thread(target=self._give_again, name="budgets of studios", daemon=True)
                self._giver.start()
        self._give()

    def remove(self, name: str) -> None:
        """Forget a studio that is about to be released."""
        with self._lock:
            self._studios.pop(name, None)

    def close(self) -> None:
        """Forget all studios."""
        self._closed.set()

    def _give_again(self) -> None:
        while not self._closed.wait(_GIVE_SECONDS):
            self._give()

    def _give(self) -> None:
        seconds = self._context.budget.seconds_of_studios()
        if seconds is None:
            return
        with self._lock:
            studios = list(self._studios.items())
        for name, (studio, ours) in studios:
            end = time.monotonic() + seconds
            if abs(self._ends.get(name, 0.0) - end) > _TOLERANCE_SECONDS:
                stops = ("--stop-studio",) if ours else ()
                given = (self._context.plan.run_id, f"{seconds:.3f}", *stops)
                if best_effort(partial(studio.agent.call, "budget", *given)):
                    self._ends[name] = end
