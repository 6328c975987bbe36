"""The cost of a studio, divided among its steps: time times price, from the request of its machine to its release."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_native.engine.context import RunContext
from lightning_native.engine.spending import Meter


class StudioCosts:
    """The cost of one studio; steps that run at one time share it, and each second is borne once."""

    def __init__(self, context: RunContext, name: str, step: str | None) -> None:
        """Measure a studio; `step`: the only step that runs in it, if there is only one."""
        self._context = context
        self._name = name
        self._step = step
        self._lock = threading.Lock()
        self._meter: Meter | None = None
        self._shares: dict[str, float] = {}
        self._commands = 0
        self._divided = 0.0
        # Dollars for times without a step, which the next step bears, or else the last.
        self._idle = 0.0
        self._last: str | None = None

    def begin(self, machine: str, account: str | None = None) -> None:
        """Record that a machine is requested on a cloud account; None: the default one."""
        meter = self._context.spending.meter("studio", self._name, machine, step=self._step, account=account)
        with self._lock:
            if self._meter is None:
                # Earlier machines, also those of a dead controller, have their place in its steps' costs.
                self._divided = sum(
                    step.cost or 0.0
                    for step in self._context.journal.journal.steps(self._context.plan.run_id)
                    if step.place == self._name
                )
            self._meter = meter
        meter.begin()

    def booted(self) -> None:
        """Record that the machine runs, and is being set up."""
        if self._meter is not None:
            self._meter.enter("preparation")
            # At once, because whoever watches the run sees by it that the machine has booted.
            self._meter.save()

    def prepared(self) -> None:
        """Record that the machine waits for a command."""
        self._enter()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Record that a command runs for the length of the block."""
        with self._lock:
            self._commands += 1
        self._enter()
        try:
            yield
        finally:
            with self._lock:
                self._commands -= 1
            self._enter()

    def _enter(self) -> None:
        with self._lock:
            if self._meter is not None:
                self._meter.enter("steps" if self._commands else "idle")

    def enter(self, step: str) -> None:
        """Record that a step waits for the studio or runs in it."""
        with self._lock:
            self._divide()
            self._shares[step] = 0.0

    def leave(self, step: str) -> float | None:
        """Return the dollars that a step bears, which has ended; None if they are unknown."""
        with self._lock:
            self._divide()
            share = self._shares.pop(step, 0.0)
            self._last = step
            return share if self._meter is not None and self._meter.by_time is not None else None

    def close(self) -> None:
        """Record that the machine is released; the last step bears the time since its end."""
        with self._lock:
            if self._meter is None or not self._meter.is_running:
                return
            self._meter.end()
            self._divide()
            if self._last is not None and self._idle > 0:
                self._context.journal.cost_added(self._last, self._idle)
            self._idle = 0.0

    def _divide(self) -> None:
        cost = (self._meter.cost() or 0.0) if self._meter is not None else 0.0
        new = max(0.0, cost - self._divided) + self._idle
        self._divided = max(cost, self._divided)
        self._idle = 0.0 if self._shares else new
        for step in self._shares:
            self._shares[step] += new / len(self._shares)
