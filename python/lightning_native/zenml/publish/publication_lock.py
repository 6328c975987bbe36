"""Who tells ZenML how a run ended: who asked to stop it, and has ZenML loaded, or else its controller."""

import fcntl
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from lightning_native.engine.run_folder import RunFolder
from lightning_native.home import private

_FILE = "end-published"
# Is put into the folder by who is on another machine, and cannot lock a file in it.
PROMISE = "end-promised"
# A promise is renewed this often while the end is waited for, and no longer counts after so many seconds.
RENEWAL_SECONDS = 5.0
_PROMISE_SECONDS = 15.0
_LOOK_SECONDS = 0.1


class EndPublication:
    """What its holder knows of the publication of one run's end."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    @property
    def is_done(self) -> bool:
        """Whether the end is published."""
        self._file.seek(0)
        return self._file.read() != ""

    def done(self) -> None:
        """Say that the end is published."""
        self._file.write("yes\n")


@contextmanager
def end_publication(folder: RunFolder) -> Iterator[EndPublication]:
    """Have the right to publish a run's end, which one process has at a time; wait until nobody else has it.

    A process that dies gives it back, and the next one sees that nothing is done.
    """
    with open(folder.path / _FILE, "a+", opener=private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield EndPublication(file)


def is_promised(folder: RunFolder) -> bool:
    """Tell whether somebody else has the right to publish the run's end now."""
    return folder.is_locked(_FILE) or is_promised_elsewhere(folder)


def is_promised_elsewhere(folder: RunFolder) -> bool:
    """Tell whether somebody on another machine will publish the run's end, and then delete the studio this runs in."""
    try:
        return time.time() - (folder.path / PROMISE).stat().st_mtime < _PROMISE_SECONDS
    except FileNotFoundError:
        return False


def wait_for_promise(folder: RunFolder) -> None:
    """Wait until the studio is deleted by whom that was promised by, or not any longer."""
    while is_promised_elsewhere(folder):
        # There is nothing left to do in order.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(_LOOK_SECONDS)
