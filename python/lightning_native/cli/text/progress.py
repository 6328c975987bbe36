"""A progress bar on stderr for work that takes longer than a moment."""

import os
import sys
import time
from types import TracebackType

from lightning_native.terminal import raw
from lightning_native.units import human_bytes

WIDTH = 24
MOMENT = 0.5


class ProgressBar:
    """A bar of the bytes done; invisible if stderr is no terminal, or if the work ends in a moment."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._started = time.monotonic()
        # The raw stream, because a clean one would remove our own cursor movements.
        self._stream = raw(sys.stderr)
        self._is_terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._is_shown = False

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` bytes are done."""
        if not self._is_terminal or time.monotonic() - self._started < MOMENT:
            return
        self._is_shown = True
        share = done / total if total else 0.0
        bar = "#" * int(share * WIDTH)
        self._stream.write(f"\r{self._label} [{bar:<{WIDTH}}] {share:4.0%} of {human_bytes(total)}\x1b[K")
        self._stream.flush()
