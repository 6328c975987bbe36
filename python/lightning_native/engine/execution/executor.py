"""The executor: it starts the steps that the native scheduler reports as ready, within the limits, until all ended."""

import queue
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping

from lightning_native import Scheduler
from lightning_native.defaults import DEFAULT_MACHINE
from lightning_native.engine.cancellation import Cancellation
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.result import StepResult
from lightning_native.lightning.machines import canonical_machine


def execute(
    plan: RunPlan,
    *,
    run_step: Callable[[StepPlan], StepResult],
    stop_running: Callable[[], object],
    ended: Callable[[str, StepResult], object],
    cancellation: Cancellation,
    done: Mapping[str, StepResult] | None = None,
    begun: Collection[str] = (),
    durations: Mapping[str, float] | None = None,
) -> dict[str, StepResult]:
    """Run every step of a plan after its upstream steps, and return the result of each.

    Args:
        plan: the plan.
        run_step: runs one step to its end; called in a thread of its own; an error of it ends the execution.
        stop_running: asks all running steps to end; called at most once, must not block.
        ended: called at each step's end, in this thread.
        cancellation: when requested, no step is started any more and the running ones are stopped, unless it drains.
        done: the results of the steps that ended before.
        begun: steps that a dead controller may have started; they run first, even if others have failed.
        durations: the expected seconds of steps; the longest remaining path goes first.
    """
    return _Execution(plan, run_step, stop_running, ended, cancellation, dict(done or {}), begun, durations).run()


class _Execution:
    def __init__(
        self,
        plan: RunPlan,
        run_step: Callable[[StepPlan], StepResult],
        stop_running: Callable[[], object],
        ended: Callable[[str, StepResult], object],
        cancellation: Cancellation,
        done: dict[str, StepResult],
        begun: Collection[str],
        durations: Mapping[str, float] | None,
    ) -> None:
        self._plan = plan
        self._run_step = run_step
        self._stop_running = stop_running
        self._ended = ended
        self._cancellation = cancellation
        self._results = done
        self._begun = begun
        self._steps = {step.name: step for step in plan.steps}
        self._dag = plan.dag()
        self._limits = {canonical_machine(machine): limit for machine, limit in plan.machine_limits}
        self._scheduler = Scheduler(
            self._dag,
            # No overall limit if machines have limits, because then the most urgent steps may wait while others start.
            max_parallel=None if self._limits else plan.max_parallelism,
            durations={step: seconds for step, seconds in (durations or {}).items() if step in self._steps},
            on_failure=plan.on_failure,
        )
        # None is the request to stop everything.
        self._finished: queue.SimpleQueue[tuple[str, StepResult | BaseException] | None] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[StepPlan | None] = queue.SimpleQueue()
        self._workers = 0
        self._running: Counter[str] = Counter()
        self._stopping = False
        # The running steps go on to their end, and no other starts.
        self._finishing = False
        cancellation.on_request(lambda: self._finished.put(None))

    def run(self) -> dict[str, StepResult]:
        done = [name for name in self._dag.order() if name in self._results]
        succeeded = [name for name in done if self._results[name].state == "succeeded"]
        for name in succeeded:
            self._scheduler.start(name)
            self._scheduler.succeed(name)
        failed = [name for name in done if name not in succeeded]
        if self._plan.on_failure == "continue":
            for name in failed:
                self._scheduler.start(name)
                self._scheduler.fail(name)
        # Also after a failure, because these steps began before it.
        for name in self._begun:
            if self._scheduler.state(name) == "ready" and name not in self._results:
                self._start(name)
        self._finishing = bool(failed) and self._plan.on_failure != "continue"
        if self._finishing and self._plan.on_failure == "fail_fast":
            self._stop()
        try:
            self._run()
        finally:
            for _ in range(self._workers):
                self._orders.put(None)
        self._settle_the_rest()
        return self._results

    def _run(self) -> None:
        while True:
            if not (self._cancellation.starts_nothing or self._stopping or self._finishing):
                for name in self._startable():
                    self._start(name)
            if not self._running.total():
                return
            finished = self._finished.get()
            if finished is None:
                self._stop()
                continue
            name, result = finished
            if isinstance(result, BaseException):
                raise result
            self._settle(name, result)

    def _startable(self) -> list[str]:
        ready = self._scheduler.ready()
        if not self._limits:
            return ready
        places = (self._plan.max_parallelism or len(self._steps)) - self._running.total()
        taken = Counter(self._running)
        chosen: list[str] = []
        for name in ready:
            machine = self._machine(name)
            if len(chosen) < places and taken[machine] < self._limits.get(machine, len(self._steps)):
                taken[machine] += 1
                chosen.append(name)
        return chosen

    def _machine(self, name: str) -> str:
        return canonical_machine(self._steps[name].machine or self._plan.main_machine or DEFAULT_MACHINE)

    def _start(self, name: str) -> None:
        self._scheduler.start(name)
        self._running[self._machine(name)] += 1
        if self._workers < self._running.total():
            self._workers += 1
            # Daemon threads, because a call that hangs in the SDK must not keep a stopped run alive.
            threading.Thread(target=self._work, name=f"steps {self._workers}", daemon=True).start()
        self._orders.put(self._steps[name])

    def _work(self) -> None:
        while (step := self._orders.get()) is not None:
            try:
                self._finished.put((step.name, self._run_step(step)))
            except BaseException as error:
                self._finished.put((step.name, error))

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._stop_running()

    def _settle(self, name: str, result: StepResult) -> None:
        self._running[self._machine(name)] -= 1
        if result.state == "succeeded":
            self._scheduler.succeed(name)
        else:
            self._scheduler.fail(name)
        if result.state != "succeeded" and self._plan.on_failure == "fail_fast":
            self._stop()
        self._results[name] = result
        self._ended(name, result)

    def _settle_the_rest(self) -> None:
        if self._cancellation.starts_nothing:
            never_ran = StepResult("stopped", None, self._cancellation.reason)
        elif self._plan.on_failure == "continue":
            never_ran = StepResult("skipped", None, "an upstream step failed")
        else:
            never_ran = StepResult("skipped", None, "another step failed")
        for name in self._dag.order():
            if name not in self._results:
                self._results[name] = never_ran
                self._ended(name, never_ran)
