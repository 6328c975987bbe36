"""A batch: requests of several threads that travel as one call."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Batcher(Generic[Q, A]):
    """Collects the requests that arrive during a call, and sends them as the next one.

    The requesting threads carry out the calls, so that no further thread is needed.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Q]], Sequence[A]],
        *,
        calls_at_once: int,
        largest: int,
        gather_seconds: float = 0.0,
    ) -> None:
        """Answer requests by `call`, in their order, at most `largest` in one call and `calls_at_once` calls at a time.

        A call waits `gather_seconds` for further requests.
        """
        self._gather_seconds = gather_seconds
        self._call = call
        self._free = calls_at_once
        self._largest = largest
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Q, A]] = deque()

    def ask(self, question: Q) -> A:
        """Return the answer to one request; an error of its call is raised in every thread with a request in it."""
        ticket: _Ticket[Q, A] = _Ticket(question)
        with self._lock:
            self._waiting.append(ticket)
            if self._free:
                self._free -= 1
                ticket.calls += 1
        while True:
            # `done` is read before `calls`, because a ticket gets a call only until it is done.
            done = ticket.done
            if ticket.calls:
                with self._lock:
                    ticket.calls -= 1
                self._call_for_all()
            elif done:
                break
            else:
                ticket.event.wait()
                ticket.event.clear()
        if ticket.error is not None:
            raise ticket.error
        return ticket.answers[0]

    def _call_for_all(self) -> None:
        """Send the oldest requests as one batch, then hand the role of sender to the next waiting thread."""
        if self._gather_seconds:
            time.sleep(self._gather_seconds)
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._largest))]
        try:
            answers = self._call([ticket.question for ticket in batch]) if batch else ()
            for ticket, answer in zip(batch, answers, strict=True):
                ticket.answers.append(answer)
        except BaseException as error:
            for ticket in batch:
                ticket.error = error
        with self._lock:
            heir = self._waiting[0] if self._waiting else None
            if heir is None:
                self._free += 1
            else:
                heir.calls += 1
                heir.event.set()
        for ticket in batch:
            ticket.done = True
            ticket.event.set()


class _Ticket(Generic[Q, A]):
    """One request: `answers` holds its answer, or `error` its error; its thread carries out the next `calls` calls."""

    def __init__(self, question: Q) -> None:
        self.question = question
        self.event = threading.Event()
        self.answers: list[A] = []
        self.error: BaseException | None = None
        self.calls = 0
        self.done = False
