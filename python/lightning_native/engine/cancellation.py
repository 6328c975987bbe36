"""The request to stop a run, and what waiting threads raise because of it."""

import threading
import time
from collections.abc import Callable


class Cancelled(Exception):  # noqa: N818  not an error: the user's wish
    """The run was stopped while something was being prepared."""


class Cancellation:
    """A request to stop, seen by every thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._calls: list[Callable[[], object]] = []
        self._draining = False
        self.reason = ""
        # Seconds that stopped steps have to save what they want to save.
        self.grace = 10.0

    def drain(self, reason: str = "the run was stopped") -> None:
        """Ask that no step is started any more; those that run go on to their end."""
        self.reason = self.reason or reason
        self._draining = True

    @property
    def starts_nothing(self) -> bool:
        """Whether no step, and no further attempt at one, is to be started any more."""
        return self._draining or self._event.is_set()

    def request(self, reason: str = "the run was stopped") -> None:
        """Ask everything to stop. Safe to call more than once; the first reason stays. Not for signal handlers."""
        self.reason = self.reason or reason
        self._event.set()
        for call in tuple(self._calls):
            call()

    def on_request(self, call: Callable[[], object]) -> None:
        """Have something done, which must not block, when stopping is asked for, or now if it is; perhaps twice."""
        self._calls.append(call)
        if self.requested:
            call()

    @property
    def requested(self) -> bool:
        """Whether stopping was asked for."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but not longer than until stopping is asked for; tell whether it is."""
        return self._event.wait(seconds)

    def pause(self, seconds: float) -> bool:
        """Sleep between two looks at what goes on while all is stopped; tell whether that was cut short by a stop."""
        if not self.requested:
            return self.wait(seconds)
        time.sleep(seconds)
        return False
