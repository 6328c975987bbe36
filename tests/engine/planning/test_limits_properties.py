"""Limits as extra dependencies: no limit is exceeded, and every order of a plan still holds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_native import Dag
from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.planning.limits import serialized


@st.composite
def plans(draw: st.DrawFn) -> tuple[RunPlan, dict[str, float]]:
    names = [f"s{number}" for number in range(draw(st.integers(1, 9)))]
    steps = [
        StepPlan(
            name,
            ("true",),
            machines=draw(st.sampled_from([(), ("L4",), ("lit-l4-1",), ("T4",)])),
            upstream=tuple(draw(st.lists(st.sampled_from(names[:number]), unique=True, max_size=3))) if number else (),
        )
        for number, name in enumerate(names)
    ]
    limits = draw(st.sampled_from([(), (("L4", 1),), (("L4", 2), ("CPU", 1))]))
    most = draw(st.none() | st.integers(1, 4))
    durations = {name: draw(st.sampled_from([0.0, 1.0, 5.0])) for name in names if draw(st.booleans())}
    plan = RunPlan("r", "run", tuple(draw(st.permutations(steps))), max_parallelism=most, machine_limits=limits)
    return plan, durations


def widest(waits: dict[str, tuple[str, ...]], counted: set[str]) -> int:
    """Return the most of these steps that may run at once: the size of the largest set without an order."""
    dag = Dag(waits)
    after = {step: set(dag.descendants(step)) for step in counted}
    # By Dilworth's theorem, this is the least number of chains: the number of steps less the largest matching.
    match: dict[str, str] = {}

    def assign(step: str, tried: set[str]) -> bool:
        for later in after[step] & counted - tried:
            tried.add(later)
            if later not in match or assign(match[later], tried):
                match[later] = step
                return True
        return False

    return len(counted) - sum(assign(step, set()) for step in counted)


@settings(deadline=None)
@given(plans())
def test_lanes_keep_limits_and_orders(case: tuple[RunPlan, dict[str, float]]) -> None:
    plan, durations = case
    waits = serialized(plan, durations)
    order = list(waits)
    assert sorted(order) == sorted(step.name for step in plan.steps)
    for step in plan.steps:
        assert set(step.upstream) <= set(waits[step.name])
        assert all(order.index(other) < order.index(step.name) for other in waits[step.name])
        if not plan.max_parallelism and not plan.machine_limits:
            assert set(waits[step.name]) == set(step.upstream)
    if plan.max_parallelism:
        assert widest(waits, set(waits)) <= plan.max_parallelism
    for machine, limit in plan.machine_limits:
        on_it = {step.name for step in plan.steps if (step.machine or "CPU") in {machine, f"lit-{machine.lower()}-1"}}
        assert widest(waits, on_it) <= limit
