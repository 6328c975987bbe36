"""The view of a run while it goes on: the output of its steps, its events, and its progress."""

import time

from lightning_native.engine.display.follow_events import EventFollower
from lightning_native.engine.display.follow_logs import LogFollower
from lightning_native.engine.display.progress import read_progress
from lightning_native.engine.display.view import ProgressView
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder

_POLL_SECONDS = 0.5


class RunDisplay:
    """The display of one run on stderr, which shows nothing if it is `quiet`."""

    def __init__(self, folder: RunFolder, run_id: str, steps: list[str], *, quiet: bool = False) -> None:
        self._run_id, self._quiet = run_id, quiet
        self.view = ProgressView(quiet=quiet)
        self._follower = LogFollower(folder, steps, self.view.output)
        self._events = EventFollower(run_id, self.view.show)
        self._polled = 0.0

    def advance(self, *, last: bool = False) -> None:
        """Show what is new since the last call."""
        if last:
            self._follower.finish()
        else:
            self._follower.advance()
        self._events.advance(last=last)
        if self._quiet or (time.monotonic() < self._polled + _POLL_SECONDS and not last):
            return
        self._polled = time.monotonic()
        with Journal() as journal:
            self.view.advance(read_progress(journal, self._run_id))
