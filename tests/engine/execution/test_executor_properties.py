"""The executor starts a step after its upstream steps succeeded, once, and ends it in one state."""

import graphlib
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_native.engine.cancellation import Cancellation
from lightning_native.engine.execution.executor import execute
from lightning_native.engine.plan import FailureMode, RunPlan, StepPlan
from lightning_native.engine.result import StepResult


@st.composite
def runs(draw: st.DrawFn) -> tuple[RunPlan, set[str]]:
    count = draw(st.integers(1, 9))
    steps = []
    for number in range(count):
        upstream = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        steps.append(StepPlan(f"s{number}", ("true",), upstream=tuple(f"s{other}" for other in sorted(upstream))))
    failing = draw(st.sets(st.sampled_from([step.name for step in steps]), max_size=2))
    mode: FailureMode = draw(st.sampled_from(["continue", "stop", "fail_fast"]))
    limit = draw(st.none() | st.integers(1, 4))
    steps = draw(st.permutations(steps))
    return RunPlan("r", "run", tuple(steps), max_parallelism=limit, on_failure=mode), failing


@settings(deadline=None)
@given(runs())
def test_order_parallelism_and_states(case: tuple[RunPlan, set[str]]) -> None:
    plan, failing = case
    lock = threading.Lock()
    succeeded: set[str] = set()
    started: list[str] = []
    running = 0
    most = 0

    def run_step(step: StepPlan) -> StepResult:
        nonlocal running, most
        with lock:
            assert set(step.upstream) <= succeeded
            started.append(step.name)
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
            if step.name in failing:
                return StepResult("failed", 1)
            succeeded.add(step.name)
            return StepResult("succeeded", 0)

    ended: list[str] = []
    results = execute(
        plan,
        run_step=run_step,
        stop_running=lambda: None,
        ended=lambda name, _result: ended.append(name),
        cancellation=Cancellation(),
    )
    names = [step.name for step in plan.steps]
    assert sorted(results) == sorted(names)
    assert sorted(ended) == sorted(names)
    assert len(started) == len(set(started))
    assert plan.max_parallelism is None or most <= plan.max_parallelism
    doomed = set(failing)
    for name in graphlib.TopologicalSorter({step.name: step.upstream for step in plan.steps}).static_order():
        if doomed & set(plan.step(name).upstream):
            doomed.add(name)
    if plan.on_failure == "continue":
        assert succeeded == set(names) - doomed
    for name in names:
        if name in started:
            assert results[name].state == ("failed" if name in failing else "succeeded")
        else:
            assert results[name].state == "skipped"


def test_cancelling_stops_the_running_steps_and_starts_no_other() -> None:
    plan = RunPlan("r", "run", (StepPlan("a", ("true",)), StepPlan("b", ("true",), upstream=("a",))))
    cancellation = Cancellation()
    stopped = threading.Event()

    def run_step(_step: StepPlan) -> StepResult:
        cancellation.request()
        assert stopped.wait(10)
        return StepResult("stopped")

    results = execute(
        plan,
        run_step=run_step,
        stop_running=stopped.set,
        ended=lambda *_: None,
        cancellation=cancellation,
    )
    assert {name: result.state for name, result in results.items()} == {"a": "stopped", "b": "stopped"}
