"""The cancellation: the request to end a run, and the exception that waiting threads raise because of it."""

import threading
import time
from collections.abc import Callable

# The longest that calls which fail are repeated after a stop request, besides the grace.
LAST_SECONDS = 20.0
# The reason of a stop that a person asked for.
STOPPED = "the run was stopped"


class Cancelled(Exception):  # noqa: N818  not an error: the user's wish
    """The run was stopped while a step or a studio was being prepared."""


class Cancellation:
    """The request to end a run, as its threads see it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._calls: list[Callable[[], object]] = []
        self._draining = False
        self._requested_at: float | None = None
        self.reason = ""
        # Whether the run has failed by it, as at its time limit, rather than been stopped.
        self.is_failure = False
        # The seconds that stopped steps have to save their work.
        self.grace = 10.0

    def drain(self, reason: str = STOPPED) -> None:
        """Request that no further step starts; the running steps go on to their end."""
        self.reason = self.reason or reason
        self._draining = True

    @property
    def starts_nothing(self) -> bool:
        """Whether no step, and no further attempt at one, may start any more."""
        return self._draining or self._event.is_set()

    def request(self, reason: str = STOPPED, *, is_failure: bool = False) -> None:
        """Request that everything stops. Safe to repeat; the first reason stays. Not for signal handlers.

        `is_failure`: the run has failed for that reason; else it was stopped.
        """
        if not self.reason:
            self.reason, self.is_failure = reason, is_failure
        self._requested_at = self._requested_at or time.monotonic()
        self._event.set()
        for call in tuple(self._calls):
            call()

    def on_request(self, call: Callable[[], object]) -> None:
        """Register a call for the request, or call it now after one. It must not block, and may be called twice."""
        self._calls.append(call)
        if self.requested:
            call()

    @property
    def requested(self) -> bool:
        """Whether a stop was requested."""
        return self._event.is_set()

    @property
    def is_overdue(self) -> bool:
        """Whether the run should have ended by now, so that a call that fails is not repeated any more."""
        return self._requested_at is not None and time.monotonic() > self._requested_at + self.grace + LAST_SECONDS

    def wait(self, seconds: float) -> bool:
        """Sleep, at most until a stop is requested; return whether one is."""
        return self._event.wait(seconds)

    def pause(self, seconds: float) -> bool:
        """Sleep between two polls, also after a stop request; return whether a new request cut the sleep short."""
        if not self.requested:
            return self.wait(seconds)
        time.sleep(seconds)
        return False
