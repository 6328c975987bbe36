"""The retry of calls that may fail for a while, the patience with them, and the back-off between polls.

`waits` is the only switch that turns the pauses between two tries off, for tests.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lightning_native.errors import CloudError, RateLimitedError, RefusedError

T = TypeVar("T")
# Seconds that calls may fail in a row: longer than an outage that heals by itself.
PATIENCE_SECONDS = 300.0
waits = True


@dataclass(frozen=True)
class RetryPolicy:
    """The pauses between tries: `shortest` seconds, then twice as long each time, up to `longest`.

    Attributes:
        shortest: seconds after the first try.
        longest: seconds that no pause exceeds.
        tries: the most calls; None: no limit.
        seconds: the time after which no call is repeated; None: no limit.
        limit_seconds: the same for calls that Lightning takes too many of, which fail only for now.
    """

    shortest: float = 0.5
    longest: float = 15.0
    tries: int | None = None
    seconds: float | None = None
    limit_seconds: float | None = PATIENCE_SECONDS


# For calls whose failure can be reported at once.
BRIEFLY = RetryPolicy(tries=4)
# For submissions, of which a large run may have more than Lightning takes in minutes.
AS_LIGHTNING_TAKES_THEM = RetryPolicy(longest=60.0, tries=4, limit_seconds=None)
# For calls that a whole run depends on.
THROUGH_AN_OUTAGE = RetryPolicy(seconds=PATIENCE_SECONDS)


def retry(
    action: Callable[[], T],
    policy: RetryPolicy = BRIEFLY,
    *,
    pause: Callable[[float], object] = time.sleep,
    goes_on: Callable[[], bool] = lambda: True,
) -> T:
    """Repeat a call until it succeeds, and return its result.

    Args:
        action: the call.
        policy: the pauses and the limits of the tries.
        pause: waits so many seconds between two tries.
        goes_on: returns, after a failure, whether another try can succeed.

    Raises:
        CloudError: the last failure. RefusedError is never repeated, because the answer would be the same;
            RateLimitedError is repeated for longer, because it ends by itself.
    """
    begun = time.monotonic()
    delay, failures = policy.shortest, 0
    while True:
        try:
            return action()
        except RefusedError:
            raise
        except CloudError as error:
            is_limit = isinstance(error, RateLimitedError)
            failures += not is_limit
            seconds = policy.limit_seconds if is_limit else policy.seconds
            too_late = seconds is not None and time.monotonic() + delay > begun + seconds
            if (failures == policy.tries and not is_limit) or too_late or not goes_on():
                raise
        if waits:
            pause(delay)
        delay = min(delay * 2, policy.longest)


def best_effort(action: Callable[[], object]) -> bool:
    """Return whether a call succeeded; its failure changes nothing, because the journal keeps the remaining work."""
    try:
        action()
    except Exception:
        return False
    return True


class Patience:
    """The time for which the calls of a loop may fail in a row."""

    def __init__(self, seconds: float = PATIENCE_SECONDS) -> None:
        self._seconds = seconds
        self._failing_since: float | None = None

    def succeeded(self) -> None:
        """Record a call that succeeded."""
        self._failing_since = None

    def failed(self) -> bool:
        """Record a call that failed, and return whether calls have failed for too long."""
        self._failing_since = self._failing_since or time.monotonic()
        return time.monotonic() - self._failing_since > self._seconds


class Backoff:
    """The delay between two polls, in seconds: it grows while nothing happens."""

    def __init__(self, shortest: float = 0.1, longest: float = 5.0) -> None:
        self._shortest = shortest
        self._longest = longest
        self.delay = shortest

    def reset(self) -> None:
        """Poll soon again, because something has happened."""
        self.delay = self._shortest

    def grow(self) -> None:
        """Poll less often, because nothing has happened."""
        self.delay = min(self.delay * 1.3, self._longest)
