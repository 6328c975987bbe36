"""The view of a run while it goes on: the output of its steps, its events, and its progress."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from lightning_native.engine.display.follow_events import EventFollower
from lightning_native.engine.display.follow_logs import LogFollower
from lightning_native.engine.display.lines import ProgressLines
from lightning_native.engine.display.progress import read_progress
from lightning_native.engine.display.table import ProgressTable
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.terminal import clean, raw, show_output

_POLL_SECONDS = 0.5
_OF_RUN = "lightning-native"


class RunDisplay:
    """The display of one run on stderr; on a terminal a table, elsewhere lines, and nothing at all if it is `quiet`."""

    def __init__(self, folder: RunFolder, run_id: str, steps: list[str], *, quiet: bool = False) -> None:
        self._run_id, self._quiet = run_id, quiet
        stream = raw(sys.stderr)
        is_terminal = not quiet and stream.isatty() and os.environ.get("TERM") != "dumb"
        self._table = ProgressTable() if is_terminal else None
        self._lines = ProgressLines(partial(self._show, ""))
        self._follower = LogFollower(folder, steps, self._output)
        self._events = EventFollower(run_id, self._show)
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
            progress = read_progress(journal, self._run_id)
        if self._table is not None:
            self._table.advance(progress)
        else:
            self._lines.advance(progress)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to a question for the length of the block."""
        table, self._table = self._table, None
        if table is not None:
            table.close()
        try:
            yield
        finally:
            self._table = ProgressTable() if table is not None else None

    def close(self) -> None:
        """End the display; further lines are shown as they come."""
        if self._table is not None:
            self._table.close()
            self._table = None

    def _output(self, step: str, line: str) -> None:
        self._lines.heard()
        self._show(step, line)

    def _show(self, step: str, line: str) -> None:
        if self._quiet:
            return
        if self._table is not None:
            self._table.output(step or _OF_RUN, line)
        else:
            show_output(sys.stderr, f"[{clean(step or _OF_RUN)}] {line}\n")
