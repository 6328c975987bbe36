"""A batch of jobs that start from one template studio: they share a file of specifications and a snapshot."""

import threading
import time
from collections.abc import Callable, Iterable
from uuid import uuid4

# The time that a snapshot of a template studio may take: 5 min 14 s were seen.
_SNAPSHOT_SECONDS = 315.0


class Batch:
    """The jobs of one batch, and what they need until they have begun.

    Lightning takes the snapshot after it has answered the submissions, so that the file with the specifications has to
    stay in the template studio until each job has begun.

    Attributes:
        snapshot: the id of the snapshot that the jobs share.
    """

    def __init__(self, names: Iterable[str], discard: Callable[[], object]) -> None:
        """Create the batch of the jobs of these names; `discard` removes their file."""
        self.snapshot = uuid4().hex
        self._waiting = set(names)
        self._discard = discard
        self._lock = threading.Lock()
        self._submitted = time.monotonic()
        self._taken: float | None = None

    @property
    def is_needed(self) -> bool:
        """Whether a job of the batch has not begun."""
        with self._lock:
            return bool(self._waiting)

    def begun(self, name: str) -> None:
        """Record that a job has its files, so that the snapshot is taken; the last one removes the file."""
        with self._lock:
            self._taken = self._taken or time.monotonic()
        self.ended(name)

    def ended(self, name: str) -> None:
        """Record that a job will not need the file any more; the last one removes it."""
        with self._lock:
            is_last = self._waiting == {name}
            self._waiting.discard(name)
        if is_last:
            self._discard()

    def has_waited(self, patience: float) -> bool:
        """Return whether the jobs have waited for their machines for so many seconds.

        The time of the snapshot does not count. As long as no job has begun, nobody knows whether it is taken; it is
        then given as much time as the machine, but no more than snapshots take.
        """
        with self._lock:
            begun = self._taken or self._submitted + min(patience, _SNAPSHOT_SECONDS)
        return time.monotonic() - begun > patience
