"""The money of a run of the suite: price by time of the machines that it uses, with a limit."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Spending:
    """The dollars that the machines of a run have cost so far, by the clock and not by the platform's word.

    Args:
        limit: the most dollars.
        clock: returns seconds.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._ended = 0.0
        self._open: dict[int, tuple[float, float]] = {}
        self._next = 0

    @contextmanager
    def of(self, hourly: float) -> Iterator[None]:
        """Count machines of so many dollars an hour for the length of the block."""
        with self._lock:
            key, self._next = self._next, self._next + 1
            self._open[key] = (hourly, self._clock())
        try:
            yield
        finally:
            with self._lock:
                price, since = self._open.pop(key)
                self._ended += price * (self._clock() - since) / 3600

    @property
    def dollars(self) -> float:
        """The dollars so far."""
        with self._lock:
            now = self._clock()
            return self._ended + sum(price * (now - since) / 3600 for price, since in self._open.values())

    @property
    def is_over(self) -> bool:
        """Whether the limit is passed."""
        return self.dollars > self.limit
