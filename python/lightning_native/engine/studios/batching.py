"""Answers what many threads ask at about the same time in few calls."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Batcher(Generic[Q, A]):
    """Gathers what is asked while a call is under way, and asks it in the next one.

    The threads that ask do the calls, so that there is no thread more than there are askers.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Q]], Sequence[A]],
        *,
        calls_at_once: int,
        largest: int,
        gather_seconds: float = 0.0,
    ) -> None:
        """Answer questions by `call`, in their order, at most `largest` in one and `calls_at_once` at a time.

        A call waits `gather_seconds` for others to ask.
        """
        self._gather_seconds = gather_seconds
        self._call = call
        self._free = calls_at_once
        self._largest = largest
        self._lock = threading.Lock()
        self._waiting: deque[_Ticket[Q, A]] = deque()

    def ask(self, question: Q) -> A:
        """Return the answer to one question; whatever the call that it was part of raises, each asker gets."""
        ticket: _Ticket[Q, A] = _Ticket(question)
        with self._lock:
            self._waiting.append(ticket)
            if self._free:
                self._free -= 1
                ticket.calls += 1
        while True:
            # In this order: a ticket is made to call only while it waits, which it does not when it is done.
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
        """Answer the questions that came first, and let who asked the next make the next call."""
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
    """One question: `answers` holds its answer, or `error` what was raised; who asked makes the next `calls` calls."""

    def __init__(self, question: Q) -> None:
        self.question = question
        self.event = threading.Event()
        self.answers: list[A] = []
        self.error: BaseException | None = None
        self.calls = 0
        self.done = False
