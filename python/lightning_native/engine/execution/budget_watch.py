"""The watch over a run's budget: it stops the run when the budget is used."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_native.engine.context import RunContext
from lightning_native.errors import StaleControllerError

_LOOK_SECONDS = 0.25
# Seconds of Lightning's clock between two readings of what it reports.
_READ_SECONDS = 15.0


@contextmanager
def budget_watched(context: RunContext) -> Iterator[None]:
    """Stop the run of the block when it has used its budget; nothing starts if that is so at its begin."""
    if not context.budget.is_limited:
        yield
        return
    if context.budget.is_used():
        context.cancellation.request(context.budget.reason())
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(context, ended), name="budget", daemon=True)
    reader = threading.Thread(target=_read, args=(context, ended), name="costs", daemon=True)
    watch.start()
    reader.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def _watch(context: RunContext, ended: threading.Event) -> None:
    while not ended.wait(_LOOK_SECONDS):
        if context.budget.is_used():
            context.cancellation.request(context.budget.reason())
            return


def _read(context: RunContext, ended: threading.Event) -> None:
    # Apart from the watch, because a call that hangs must not keep a run from being stopped.
    while not ended.wait(max(_READ_SECONDS / context.spending.clock_rate, _LOOK_SECONDS)):
        try:
            context.spending.refresh()
        except StaleControllerError:
            return
