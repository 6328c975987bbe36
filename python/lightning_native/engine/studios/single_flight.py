"""A single flight: a value that is prepared once, in the background, for all threads that wait for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from lightning_native.engine.cancellation import Cancellation, Cancelled

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """The result of `prepare`, which runs at most once, in a thread of its own."""

    def __init__(self, name: str, prepare: Callable[[], T], cancellation: Cancellation) -> None:
        self._name = name
        self._prepare = prepare
        self._cancellation = cancellation
        self._begun = threading.Lock()
        self._result: Future[T] = Future()
        cancellation.on_request(lambda: self._settle(partial(self._result.set_exception, Cancelled())))

    def begin(self) -> None:
        """Begin to prepare, without waiting; only the first call has an effect."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._run, name=f"prepare {self._name}", daemon=True).start()

    @property
    def has_failed(self) -> bool:
        """Whether `prepare` has raised an error."""
        return self._result.done() and self._result.exception() is not None

    def wait(self) -> T:
        """Begin unless another thread has, and wait for the result; an error of `prepare` is raised in every thread.

        Raises:
            Cancelled: the run was stopped meanwhile.
        """
        self.begin()
        wait([self._result])
        if self._cancellation.requested:
            raise Cancelled
        return self._result.result()

    def _run(self) -> None:
        try:
            settle = partial(self._result.set_result, self._prepare())
        except BaseException as error:
            settle = partial(self._result.set_exception, error)
        self._settle(settle)

    def _settle(self, settle: Callable[[], None]) -> None:
        # After a stop, no thread waits for the result.
        with suppress(InvalidStateError):
            settle()
