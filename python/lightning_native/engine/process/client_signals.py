"""The signals that end a process from outside, such as a cancelled CI job's, `timeout`'s, or a closed terminal's."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, "FrameType | None"], Any]
ENDING = (signal.SIGTERM, signal.SIGHUP)


def handle(numbers: tuple[signal.Signals, ...], handler: Handler) -> dict[signal.Signals, Any]:
    """Install a handler for signals, and return the earlier ones; only the main thread can.

    A signal that is ignored stays so, because `nohup` asks for that.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    wanted = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in wanted}


def restore(earlier: dict[signal.Signals, Any]) -> None:
    """Install the earlier handlers again."""
    for number, handler in earlier.items():
        signal.signal(number, handler)


@contextmanager
def ending_signals_interrupt() -> Iterator[None]:
    """Turn the signals into KeyboardInterrupt within the block, so that it ends as after Ctrl-C."""
    earlier = handle(ENDING, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        restore(earlier)


def die_of(number: int) -> None:
    """End this process by a signal, as if it had no handler."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(signal.Signals(number))
