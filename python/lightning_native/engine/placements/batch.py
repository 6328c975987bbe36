"""A batch of jobs that start from one template studio: they share a file of specifications and a snapshot."""

import threading
import time
from collections.abc import Callable, Iterable
from uuid import uuid4

# The longest that the snapshot of a template studio is expected to take: 5 min 14 s were seen.
_SNAPSHOT_SECONDS = 600.0


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

    def waited(self) -> float:
        """Return the seconds that the jobs have waited for their machines, so without the time of the snapshot."""
        with self._lock:
            begun = self._taken or self._submitted + _SNAPSHOT_SECONDS
        return max(0.0, time.monotonic() - begun)
