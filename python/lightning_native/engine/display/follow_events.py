"""The events of a run, shown as lines while it goes on."""

import time
from collections.abc import Callable

from lightning_native.engine.record.journal import Journal

_POLL_SECONDS = 0.5


class EventFollower:
    """Shows the events that the journal gets about a run from now on."""

    def __init__(self, run_id: str, show: Callable[[str, str], object]) -> None:
        """Begin; `show` gets the event's step, or an empty text, and its text."""
        self._run_id = run_id
        self._show = show
        self._polled = 0.0
        with Journal() as journal:
            self._known = len(journal.events(run_id))

    def advance(self, *, last: bool = False) -> None:
        """Show the new events, at most twice a second but for the last call."""
        if time.monotonic() < self._polled + _POLL_SECONDS and not last:
            return
        self._polled = time.monotonic()
        with Journal() as journal:
            events = journal.events(self._run_id)
        for event in events[self._known :]:
            self._show(event.step or "", event.text)
        self._known = max(self._known, len(events))
