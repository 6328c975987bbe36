"""The lock on the publication of a run's end.

The process that asked for the stop holds it, because it has ZenML loaded; without one, the run's controller does.
"""

import fcntl
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.home import private

_FILE = "end-published"
# Uploaded into the folder by a process on another machine, which cannot lock a file there.
PROMISE = "end-promised"
# The process that waits for the end renews its promise this often; without that, the promise expires.
RENEWAL_SECONDS = 5.0
_PROMISE_SECONDS = 15.0
_BILLED = "billed"
_POLL_SECONDS = 0.1


class EndPublication:
    """The publication of one run's end, for the holder of the lock."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    @property
    def is_done(self) -> bool:
        """Whether the end is published."""
        self._file.seek(0)
        return self._file.read() != ""

    def done(self) -> None:
        """Record that the end is published."""
        self._file.write("yes\n")


@contextmanager
def end_publication(folder: RunFolder) -> Iterator[EndPublication]:
    """Acquire the right to publish a run's end, which one process has at a time; wait until it is free.

    A process that dies releases it, and the next holder sees that the end is not published.
    """
    with open(folder.path / _FILE, "a+", opener=private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield EndPublication(file)


def is_promised(folder: RunFolder) -> bool:
    """Return whether another process has the right to publish the run's end now."""
    return folder.is_locked(_FILE) or is_promised_elsewhere(folder)


def is_promised_elsewhere(folder: RunFolder) -> bool:
    """Return whether a process on another machine will publish the run's end, and then delete this studio."""
    try:
        return time.time() - (folder.path / PROMISE).stat().st_mtime < _PROMISE_SECONDS
    except FileNotFoundError:
        return False


def wait_for_promise(folder: RunFolder) -> None:
    """Wait until the process that promised to delete this studio does so, or its promise expires."""
    while is_promised_elsewhere(folder):
        # Nothing is left to be ended in order.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(_POLL_SECONDS)


def is_billed(folder: RunFolder) -> bool:
    """Return whether ZenML has what a step has cost that was a run of its own."""
    return (folder.path / _BILLED).exists()


def billed(folder: RunFolder) -> None:
    """Record that ZenML has it."""
    (folder.path / _BILLED).touch(mode=0o600)
