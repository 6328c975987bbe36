"""The retry of calls that may fail for a while, the patience with them, and the back-off between polls.

`waits` is the only switch that turns the pauses between two tries off, for tests.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lightning_native.errors import AccessRefusedError, CloudError, RateLimitedError, RefusedError, UnreachableError

T = TypeVar("T")
# Seconds that calls may fail in a row: longer than an outage that heals by itself.
PATIENCE_SECONDS = 300.0
waits = True
# Polls without any pause would keep the processor from what they wait for.
_SPEED_WITHOUT_WAITS, _LONGEST_WITHOUT_WAITS = 50, 0.02


@dataclass(frozen=True)
class RetryPolicy:
    """The pauses between tries: `shortest` seconds, then twice as long each time, up to `longest`.

    Attributes:
        shortest: seconds after the first try.
        longest: seconds that no pause exceeds.
        tries: the most calls; None: no limit.
        seconds: the time after which no call is repeated; None: no limit. The first that does not get through is
            repeated all the same.
        outage_seconds: the same for calls that do not get through, whatever their number; None: as for others.
        limit_seconds: the same for calls that Lightning takes too many of, which fail only for now.
    """

    shortest: float = 0.5
    longest: float = 15.0
    tries: int | None = None
    seconds: float | None = None
    outage_seconds: float | None = None
    limit_seconds: float | None = PATIENCE_SECONDS


# For calls that a step depends on: what fails by itself does not heal, and an outage does.
PATIENTLY = RetryPolicy(tries=4, outage_seconds=PATIENCE_SECONDS)
# For the start of a machine: one that fails to start is replaced, and not asked for again.
BOOTING = RetryPolicy(tries=1, outage_seconds=PATIENCE_SECONDS)
# For submissions, of which a large run may have more than Lightning takes in minutes.
AS_LIGHTNING_TAKES_THEM = RetryPolicy(longest=60.0, tries=4, outage_seconds=PATIENCE_SECONDS, limit_seconds=None)
# For calls that a whole run depends on.
THROUGH_AN_OUTAGE = RetryPolicy(seconds=PATIENCE_SECONDS)
# The pause after which a refused key is tried once more, because a single refusal may be a mistake.
_KEY_PAUSE = 1.0


def retry(
    action: Callable[[], T],
    policy: RetryPolicy = PATIENTLY,
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
        CloudError: the last failure. RefusedError is never repeated, because the answer would be the same, apart from
            a refused key's first; RateLimitedError is repeated for longer, because it ends by itself.
    """
    begun = time.monotonic()
    delay, failures, refused, calls = policy.shortest, 0, False, 0
    # The pauses that tests leave out count, because a call that fails for ever would be repeated without end.
    skipped = 0.0
    while True:
        pause_seconds = delay
        calls += 1
        try:
            return action()
        except AccessRefusedError:
            if refused or not goes_on():
                raise
            refused, pause_seconds = True, _KEY_PAUSE
        except RefusedError:
            raise
        except CloudError as error:
            is_outage = policy.outage_seconds is not None and isinstance(error, UnreachableError)
            seconds = policy.outage_seconds if is_outage else policy.seconds
            if isinstance(error, RateLimitedError):
                seconds, pause_seconds = policy.limit_seconds, max(delay, error.retry_after)
            elif not is_outage:
                failures += 1
            # One call may take as long, because the SDK has repeated it by itself, with pauses of minutes.
            is_first = isinstance(error, UnreachableError) and calls == 1
            elapsed = time.monotonic() + skipped - begun
            too_late = seconds is not None and elapsed + pause_seconds > seconds and not is_first
            if failures == policy.tries or too_late or not goes_on():
                raise
            refused = False
        if waits:
            pause(pause_seconds)
        else:
            skipped += pause_seconds
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
        self._refusals = 0

    def succeeded(self) -> None:
        """Record a call that succeeded."""
        self._failing_since = None
        self._refusals = 0

    def failed(self, error: Exception) -> bool:
        """Record a call that failed, and return whether calls have failed for too long, or will fail for ever."""
        if isinstance(error, AccessRefusedError):
            self._refusals += 1
            return self._refusals > 1
        self._refusals = 0
        self._failing_since = self._failing_since or time.monotonic()
        return time.monotonic() - self._failing_since > self._seconds


class Backoff:
    """The delay between two polls, in seconds: it grows while nothing happens."""

    def __init__(self, shortest: float = 0.1, longest: float = 5.0) -> None:
        self._shortest = shortest
        self._longest = longest
        self._delay = shortest

    @property
    def delay(self) -> float:
        """The seconds until the next poll."""
        return self._delay if waits else min(self._delay / _SPEED_WITHOUT_WAITS, _LONGEST_WITHOUT_WAITS)

    def reset(self) -> None:
        """Poll soon again, because something has happened."""
        self._delay = self._shortest

    def grow(self) -> None:
        """Poll less often, because nothing has happened."""
        self._delay = min(self._delay * 1.3, self._longest)
