"""Concurrency limits as extra dependencies, for schedulers such as Lightning's that support only dependencies."""

from collections.abc import Mapping

from lightning_native.defaults import DEFAULT_MACHINE
from lightning_native.engine.plan import RunPlan
from lightning_native.engine.planning.estimate import estimate
from lightning_native.lightning.machines import machine_slug


def serialize_limits(plan: RunPlan, durations: Mapping[str, float]) -> dict[str, tuple[str, ...]] | None:
    """Return the dependencies of each step of a plan with limits, as `serialized`; None for a plan without limits."""
    return serialized(plan, durations) if plan.max_parallelism or plan.machine_limits else None


def serialized(plan: RunPlan, durations: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    """Return the steps that each step waits for, so that no limit of the plan is exceeded, in an order of the steps.

    A limit of n steps turns into n chains, in which each step also waits for the one before it. The steps are
    distributed over the chains in the order in which they would run with their expected durations.

    Args:
        plan: a plan with or without limits.
        durations: the expected seconds of steps.
    """
    rows = sorted(estimate(plan, durations=durations).steps, key=lambda row: row.start)
    steps = {step.name: step for step in plan.steps}
    machine_of = {step.name: machine_slug(step.machine or plan.main_machine or DEFAULT_MACHINE) for step in plan.steps}
    waits = {row.step: list(steps[row.step].upstream) for row in rows}
    limits = [(None, plan.max_parallelism)] if plan.max_parallelism else []
    for machine, limit in [*limits, *((machine_slug(name), most) for name, most in plan.machine_limits)]:
        in_lanes = [row for row in rows if machine in (None, machine_of[row.step])]
        # The expected end of each chain, and its last step.
        lanes: list[tuple[float, str]] = []
        for row in in_lanes:
            free = [lane for lane in lanes if lane[0] <= row.start]
            if len(lanes) >= limit:
                # A step that it waits for anyway adds no dependency.
                chosen = next((lane for lane in free if lane[1] in waits[row.step]), min(free or lanes))
                lanes.remove(chosen)
                if chosen[1] not in waits[row.step]:
                    waits[row.step].append(chosen[1])
            lanes.append((row.end, row.step))
    return {step: tuple(others) for step, others in waits.items()}
