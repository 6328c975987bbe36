"""The steps of an ended run that a new run of the same workflow need not run again."""

import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from lightning_native.engine.plan import Retry, RunPlan, StepPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.engine.record.records import StepState
from lightning_native.errors import PlanError


def reusable_steps(
    earlier: RunPlan, states: Mapping[str, StepState], plan: RunPlan, *, again_from: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the steps of a new plan that are not run again, in its order.

    They succeeded in the earlier run, do the same in the new plan, and so do all their upstream steps. The code may
    have changed, because that is how most failures are mended.

    Args:
        earlier: the plan of the run that ended.
        states: the states of its steps.
        plan: the new plan.
        again_from: steps that run again with all that depends on them.

    Raises:
        PlanError: one of these is not in the plan.
    """
    for name in again_from:
        if name not in {step.name for step in plan.steps}:
            names = ", ".join(step.name for step in plan.steps)
            raise PlanError(f"the workflow has no step {name!r} to begin from; its steps are {names}")
    dag = plan.dag()
    again = set(again_from) | {below for name in again_from for below in dag.descendants(name)}
    before = {step.name: _work(step) for step in earlier.steps}
    reused: list[str] = []
    for name in dag.order():
        step = plan.step(name)
        same = states.get(name) == "succeeded" and before.get(name) == _work(step)
        if same and name not in again and all(other in reused for other in step.upstream):
            reused.append(name)
    return tuple(reused)


def _work(step: StepPlan) -> StepPlan:
    """Return a step without what has no effect on what it does."""
    return replace(step, machines=(), timeout=None, retry=Retry(), interruptible=False, outputs_every=None)


def reuse_steps(journal: Journal, run_id: str, steps: Collection[str], earlier: str) -> None:
    """Record steps of a run that is about to begin as succeeded, because they did in an earlier run."""
    now = time.time()
    with journal.transaction() as connection:
        connection.executemany(
            "UPDATE steps SET state = 'succeeded', exit_code = 0, message = ? WHERE run_id = ? AND name = ?",
            [(f"reused from run {earlier[:12]}", run_id, step) for step in steps],
        )
        connection.execute(
            "INSERT INTO events (run_id, at, step, text) VALUES (?, ?, NULL, ?)",
            (run_id, now, f"{len(steps)} steps of run {earlier[:12]} are reused"),
        )
