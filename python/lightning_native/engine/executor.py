"""Drives the native scheduler: starts what is ready, as much at once as is allowed, until nothing is left."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from lightning_native import Scheduler
from lightning_native.engine.journal import StepState
from lightning_native.engine.plan import RunPlan, StepPlan


@dataclass(frozen=True)
class StepResult:
    """How a step ended. `state` is a terminal one."""

    state: StepState
    exit_code: int | None = None
    message: str = ""


class Cancellation:
    """A request to stop, seen by every thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def request(self) -> None:
        """Ask everything to stop. Safe to call from a signal handler and more than once."""
        self._event.set()

    @property
    def requested(self) -> bool:
        """Whether stopping was asked for."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but not longer than until stopping is asked for; tell whether it is."""
        return self._event.wait(seconds)


def execute(
    plan: RunPlan,
    *,
    run_step: Callable[[StepPlan], StepResult],
    stop_running: Callable[[], object],
    ended: Callable[[str, StepResult], object],
    cancellation: Cancellation,
) -> dict[str, StepResult]:
    """Run every step of a plan after its upstream steps, and return how each ended.

    Args:
        plan: what to run.
        run_step: runs one step to its end; called in a thread of its own; never raises.
        stop_running: asks all running steps to end; called at most once, must not block.
        ended: told of each step's end, in this thread.
        cancellation: when requested, no step is started any more and the running ones are stopped.

    """
    scheduler = Scheduler(plan.dag(), max_parallel=plan.max_parallelism, on_failure=plan.on_failure)
    steps = {step.name: step for step in plan.steps}
    finished: queue.SimpleQueue[tuple[str, StepResult]] = queue.SimpleQueue()
    results: dict[str, StepResult] = {}
    running = 0
    stopping = False

    def settle(name: str, result: StepResult) -> None:
        results[name] = result
        ended(name, result)

    def work(name: str) -> None:
        finished.put((name, run_step(steps[name])))

    while True:
        if not cancellation.requested and not stopping:
            for name in scheduler.ready():
                scheduler.start(name)
                running += 1
                # Daemon threads: a call that hangs in the SDK must not keep a cancelled run alive.
                threading.Thread(target=work, args=(name,), name=f"step {name}", daemon=True).start()
        if running == 0:
            break
        try:
            name, result = finished.get(timeout=0.1)
        except queue.Empty:
            if cancellation.requested and not stopping:
                stopping = True
                stop_running()
            continue
        running -= 1
        if result.state == "succeeded":
            scheduler.succeed(name)
        else:
            scheduler.fail(name)
            if plan.on_failure == "fail_fast" and not stopping:
                stopping = True
                stop_running()
        settle(name, result)

    reason = "the run was stopped" if cancellation.requested else "an upstream step failed"
    if plan.on_failure != "continue" and not cancellation.requested:
        reason = "another step failed"
    for name in plan.dag().order():
        if name not in results:
            settle(name, StepResult("stopped" if cancellation.requested else "skipped", None, reason))
    return results
