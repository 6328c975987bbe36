"""The place where a person watches a run or job: a table at a terminal, elsewhere lines, or nothing."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from lightning_native.engine.display.lines import ProgressLines
from lightning_native.engine.display.progress import Progress
from lightning_native.engine.display.table import ProgressTable
from lightning_native.terminal import ask, can_ask, clean, raw, show_output

_OURS = "lightning-native"


class ProgressView:
    """The view of one run or job on stderr; a `quiet` one shows nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        stream = raw(sys.stderr)
        is_terminal = not quiet and stream.isatty() and os.environ.get("TERM") != "dumb"
        self._table = ProgressTable() if is_terminal else None
        self._lines = ProgressLines(partial(self.show, _OURS))

    def output(self, name: str | None, line: str) -> None:
        """Show a line that a step or job has printed."""
        self._lines.heard()
        self.show(name, line)

    def show(self, name: str | None, line: str) -> None:
        """Show a line about a step, the run (an empty name), or a job by itself (None)."""
        if self._quiet:
            return
        if self._table is not None:
            self._table.output(_OURS if name == "" else name, line)
        else:
            prefix = "" if name is None else f"[{clean(name or _OURS)}] "
            show_output(sys.stderr, f"{prefix}{line}\n")

    def advance(self, progress: Progress) -> None:
        """Show the progress as it is now."""
        if self._quiet:
            return
        if self._table is not None:
            self._table.advance(progress)
        else:
            self._lines.advance(progress)

    def is_to_stop(self, what: str, detach: Callable[[], object]) -> bool:
        """Return whether a person who has pressed Ctrl-C wants a stop; another Ctrl-C while it is asked does.

        Args:
            what: what would be stopped: `run` or `job`.
            detach: called, with the view closed, for a person who wants to leave; does not return.
        """
        if not can_ask():
            return True
        with self._paused():
            try:
                answer = ask(f"Ctrl-C: stop the {what}, detach and let it go on, or keep watching? [s/d/G] ")
            except KeyboardInterrupt:
                sys.stderr.write("\n")
                return True
        if answer.startswith("d"):
            self.close()
            detach()
        return answer.startswith("s")

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """Leave the terminal to a question for the length of the block."""
        table, self._table = self._table, None
        if table is not None:
            table.close()
        try:
            yield
        finally:
            self._table = ProgressTable() if table is not None else None

    def close(self) -> None:
        """End the view; further lines are shown as they come."""
        if self._table is not None:
            self._table.close()
            self._table = None
