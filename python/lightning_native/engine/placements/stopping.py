"""A stop at Lightning that is asked for until it is confirmed, and after a while by the harder means."""

import threading
import time
from collections.abc import Callable

from lightning_native.engine.context import RunContext
from lightning_native.engine.retry import Backoff, best_effort

# A stop that is on its way is confirmed within this time.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 2.0, 15.0
# The time after which whatever does not stop is deleted, and the pause between two lines about the wait.
HARDER_SECONDS = 60.0


def stop_until_over(
    context: RunContext,
    what: str,
    *,
    stop: Callable[[], object],
    harder: Callable[[], object] | None,
    is_over: Callable[[], bool],
    grace: float = 0.0,
) -> None:
    """Ask for a stop again and again until it is over, without waiting for that.

    Args:
        context: the run, whose journal gets a line about each failure and about each minute of waiting.
        what: what is stopped, such as `job x`.
        stop: asks for the stop.
        harder: ends it by force, once the stop has not helped for a minute; None: that would touch what is not ours.
        is_over: whether Lightning has confirmed the end.
        grace: the seconds that it may take besides.
    """
    begun = time.monotonic()

    def note(text: str) -> None:
        # Another controller may have taken the run over, which then asks itself.
        best_effort(lambda: context.journal.event(text))

    def ask(way: Callable[[], object]) -> None:
        backoff, told = Backoff(_SHORTEST_PAUSE, _LONGEST_PAUSE), -HARDER_SECONDS
        while not is_over():
            try:
                way()
                problem = ""
            except Exception as error:
                problem = f": {error}"
            now = time.monotonic()
            if not is_over() and (problem or now - begun > HARDER_SECONDS) and now - told > HARDER_SECONDS:
                told = now
                note(f"waiting for Lightning to stop {what}, and asking again{problem}")
            if way is harder and not problem:
                return
            time.sleep(backoff.delay)
            backoff.grow()

    def force(end: Callable[[], object]) -> None:
        deadline = begun + HARDER_SECONDS + grace
        while not is_over():
            if time.monotonic() > deadline:
                note(f"{what} has not stopped for {deadline - begun:g} s; it is ended by force")
                ask(end)
                return
            time.sleep(_SHORTEST_PAUSE)

    threading.Thread(target=ask, args=(stop,), name=f"stop {what}", daemon=True).start()
    if harder is not None:
        threading.Thread(target=force, args=(harder,), name=f"end {what}", daemon=True).start()
