"""Who tells ZenML how a run ended: who asked to stop it, and has ZenML loaded, or else its controller."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from lightning_native.engine.run_folder import RunFolder

_FILE = "end-published"


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
    with (folder.path / _FILE).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield EndPublication(file)


def is_promised(folder: RunFolder) -> bool:
    """Tell whether a process has the right to publish the run's end now."""
    return folder.is_locked(_FILE)
