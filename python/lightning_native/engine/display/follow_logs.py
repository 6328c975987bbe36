"""The output of a run's steps, shown line by line with the step's name while they run."""

import time
from collections.abc import Callable, Iterable

from lightning_native.engine.record.run_folder import RunFolder

# A line is shown when it is complete or has this size, as a progress bar that only prints carriage returns.
_LONGEST_LINE = 64 * 1024
# After so long, a line without an end is shown, too: the end of a job's last line comes with its next line.
_PATIENCE_SECONDS = 1.0


class LogFollower:
    """Reads the logs of a run's steps, each from the position that it has reached."""

    def __init__(self, folder: RunFolder, steps: Iterable[str], show: Callable[[str, str], object]) -> None:
        self._folder = folder
        self._show = show
        self._attempts = dict.fromkeys(steps, 1)
        self._offsets = dict.fromkeys(self._attempts, 0)
        self._partial = dict.fromkeys(self._attempts, b"")
        # When the partial line last grew, and how much of it was shown.
        self._grown = dict.fromkeys(self._attempts, 0.0)
        self._shown = dict.fromkeys(self._attempts, 0)

    def advance(self) -> None:
        """Show every line that is new since the last call."""
        for step in self._attempts:
            self._advance_step(step)
            while self._folder.log(step, self._attempts[step] + 1).exists():
                # The earlier attempt may have written its last output after the read above.
                self._advance_step(step)
                self._finish_step(step)
                self._attempts[step] += 1
                self._offsets[step] = 0
                self._advance_step(step)

    def _advance_step(self, step: str) -> None:
        try:
            with self._folder.log(step, self._attempts[step]).open("rb") as log:
                log.seek(self._offsets[step])
                data = log.read()
        except FileNotFoundError:
            return
        if not data:
            self._show_waiting(step)
            return
        self._offsets[step] += len(data)
        *lines, rest = (self._partial[step] + data).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines.append(rest)
            rest = b""
        self._partial[step], self._grown[step] = rest, time.monotonic()
        for line in lines:
            self._show_rest(step, line)

    def _show_waiting(self, step: str) -> None:
        """Show a line that has had no end for a while, unless it is a progress bar, whose next state replaces it."""
        partial = self._partial[step]
        is_waiting = len(partial) > self._shown[step] and time.monotonic() > self._grown[step] + _PATIENCE_SECONDS
        if is_waiting and b"\r" not in partial:
            self._show_line(step, partial[self._shown[step] :])
            self._shown[step] = len(partial)

    def _show_rest(self, step: str, line: bytes) -> None:
        """Show a complete line without the part that was shown before."""
        shown, self._shown[step] = self._shown[step], 0
        if shown == 0 or len(line) > shown:
            self._show_line(step, line[shown:])

    def finish(self) -> None:
        """Show the remaining output, also lines without an end."""
        self.advance()
        for step in self._attempts:
            self._finish_step(step)

    def _finish_step(self, step: str) -> None:
        rest, self._partial[step] = self._partial[step], b""
        if rest:
            self._show_rest(step, rest)

    def _show_line(self, step: str, line: bytes) -> None:
        # Text that a progress bar has overwritten is not shown.
        self._show(step, line.rstrip(b"\r").split(b"\r")[-1].decode(errors="replace"))
