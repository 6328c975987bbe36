"""Who tells ZenML how a run ended: who asked to stop it, and has ZenML loaded, or else its controller."""

import fcntl
from types import TracebackType

from lightning_native.engine.run_folder import RunFolder


class EndPublication:
    """The right to publish one run's end, which one process has at a time, for the length of a `with` block.

    A process that dies gives it back, and the next one sees that nothing `is_done`.
    """

    def __init__(self, folder: RunFolder) -> None:
        """Open what the right is kept in, in the run's folder."""
        self._file = (folder.path / "end-published").open("a+")

    def __enter__(self) -> "EndPublication":
        """Wait until nobody else has the right."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        self._file.close()

    @property
    def is_done(self) -> bool:
        """Whether the end is published."""
        self._file.seek(0)
        return self._file.read() != ""

    def done(self) -> None:
        """Say that the end is published."""
        self._file.write("yes\n")
        self._file.flush()


def is_promised(folder: RunFolder) -> bool:
    """Tell whether a process has the right to publish the run's end now."""
    publication = EndPublication(folder)
    try:
        fcntl.flock(publication._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        publication._file.close()
