"""A new run reuses the steps that succeeded and do the same, below others that it reuses."""

from dataclasses import replace

import pytest

from lightning_native.engine.plan import ContainerImage, Retry, RunPlan, StepPlan
from lightning_native.engine.record.records import StepState
from lightning_native.engine.record.reuse import reusable_steps
from lightning_native.errors import PlanError

A, B = StepPlan("a", ("make", "a")), StepPlan("b", ("make", "b"), upstream=("a",))
C, D = StepPlan("c", ("make", "c"), upstream=("b",)), StepPlan("d", ("make", "d"))
PLAN = RunPlan("run", "name", (A, B, C, D))
STATES: dict[str, StepState] = {"a": "succeeded", "b": "failed", "c": "skipped", "d": "succeeded"}
DONE: dict[str, StepState] = dict.fromkeys("abcd", "succeeded")


def reused(states: dict[str, StepState], *steps: StepPlan, again_from: tuple[str, ...] = ()) -> set[str]:
    return set(reusable_steps(PLAN, states, replace(PLAN, steps=steps or PLAN.steps), again_from=again_from))


def test_what_succeeded_is_reused_and_what_was_named_runs_again_with_all_after_it() -> None:
    assert reused(STATES) == {"a", "d"}
    assert reused(DONE) == {"a", "b", "c", "d"}
    assert reused(DONE, again_from=("b",)) == {"a", "d"}
    assert reused(STATES, again_from=("a", "d")) == set()
    with pytest.raises(PlanError, match="no step 'x' to begin from; its steps are a, b, c, d"):
        reused(DONE, again_from=("x",))


@pytest.mark.parametrize(
    "changed",
    [
        replace(B, argv=("make", "better")),
        replace(B, upstream=("a", "d")),
        replace(B, requirements=(("r.txt", "numpy"),)),
        replace(B, image=ContainerImage("python:3.12")),
        replace(B, outputs=("model",)),
    ],
)
def test_a_changed_step_runs_again_and_so_does_all_after_it(changed: StepPlan) -> None:
    assert reused(DONE, A, changed, C, D) == {"a", "d"}


def test_another_machine_or_limit_changes_nothing_about_a_result() -> None:
    assert "b" in reused(DONE, A, replace(B, machines=("L4",), timeout=5.0, retry=Retry(3)), C, D)


def test_a_step_that_is_new_runs_and_one_that_is_gone_is_forgotten() -> None:
    assert reused(DONE, A, D, StepPlan("new", ("x",), upstream=("a",))) == {"a", "d"}
