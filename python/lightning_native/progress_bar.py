"""A progress bar on stderr for work that takes longer than a moment."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from lightning_native.read_position import bytes_read
from lightning_native.terminal import raw
from lightning_native.units import human_bytes

WIDTH = 24
MOMENT = 0.5
# Between two lines where there is no terminal.
_SILENT_SECONDS = 20.0


class ProgressBar:
    """A bar of the bytes done, invisible if the work ends in a moment; without a terminal, a line now and then."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._started = self._told = time.monotonic()
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
        share = done / total if total else 0.0
        if not self._is_terminal:
            if time.monotonic() - self._told > _SILENT_SECONDS:
                self._told = time.monotonic()
                self._stream.write(f"{self._label}: {share:.0%} of {human_bytes(total)}\n")
                self._stream.flush()
            return
        if time.monotonic() - self._started < MOMENT:
            return
        self._is_shown = True
        bar = "#" * int(share * WIDTH)
        self._stream.write(f"\r{self._label} [{bar:<{WIDTH}}] {share:4.0%} of {human_bytes(total)}\x1b[K")
        self._stream.flush()


@contextmanager
def upload_bar(path: Path, label: str) -> Iterator[None]:
    """Show a bar of the bytes of a file that this process uploads in the block."""
    ended = threading.Event()

    def watch() -> None:
        with ProgressBar(label) as bar:
            while not ended.wait(MOMENT / 2):
                done = bytes_read(os.getpid(), path)
                if done is not None:
                    bar(done, path.stat().st_size)

    watcher = threading.Thread(target=watch, name="progress of an upload", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
