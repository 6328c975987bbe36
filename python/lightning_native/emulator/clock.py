"""Simulated time: the emulator's boots, queues, schedules, sleeps and prices run on this clock."""

import asyncio
import time
from datetime import datetime, timezone


class Clock:
    """A clock on which `rate` seconds pass in one real second.

    Args:
        rate: simulated seconds for each real second; more than 0.
        start: simulated time to start from, in seconds since the epoch; now when None.

    """

    def __init__(self, rate: float = 1.0, start: float | None = None) -> None:
        self.rate = rate
        self._origin = time.time() if start is None else start
        self._started = time.monotonic()

    def now(self) -> float:
        """Return the simulated time, in seconds since the epoch."""
        return self._origin + (time.monotonic() - self._started) * self.rate

    async def sleep(self, seconds: float) -> None:
        """Wait until so many simulated seconds passed."""
        await asyncio.sleep(max(0.0, seconds) / self.rate)


def timestamp(seconds: float | None) -> str | None:
    """Return a time as the API writes it, such as `2026-11-21T13:10:38.120Z`."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
