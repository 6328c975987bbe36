"""An estimate keeps every rule that the real run keeps."""

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lightning_native.engine.plan import RunPlan, StepPlan
from lightning_native.engine.planning.estimate import ASSUMED_SECONDS, Estimate, estimate
from lightning_native.engine.planning.machine_choice import MachineOffer

MACHINES = ["CPU", "L4", "A100"]
OFFERS = [
    MachineOffer("CPU", 0.36, 0.18, 4, 16),
    MachineOffer("L4", 0.72, None, 8, 32, 1, "L4", 24, wait_seconds=20.0),
    MachineOffer("A100", 3.6, 1.8, 12, 120, 1, "A100", 40),
]


@st.composite
def plans(draw: st.DrawFn) -> RunPlan:
    count = draw(st.integers(1, 12))
    steps = [
        StepPlan(
            f"s{number}",
            ("true",),
            tuple(draw(st.lists(st.sampled_from(MACHINES), max_size=2, unique=True))),
            tuple(f"s{before}" for before in sorted(draw(st.sets(st.integers(0, number - 1), max_size=3))))
            if number
            else (),
            interruptible=draw(st.booleans()),
        )
        for number in range(count)
    ]
    return RunPlan(
        "0123",
        "a run",
        tuple(steps),
        placement=draw(st.sampled_from(["studio", "job"])),
        max_parallelism=draw(st.none() | st.integers(1, 4)),
        machine_limits=tuple(draw(st.dictionaries(st.sampled_from(MACHINES), st.integers(1, 2))).items()),
    )


def most_at_once(spans: list[tuple[float, float]]) -> int:
    return max((sum(start <= at < end for start, end in spans) for at, _ in spans), default=0)


# Whole seconds, so that sums are exact.
known_durations = st.dictionaries(st.sampled_from([f"s{n}" for n in range(12)]), st.integers(1, 100).map(float))
seconds = st.integers(0, 50).map(float)


@given(plans(), known_durations, seconds, seconds)
def test_a_dry_run_keeps_limits_and_order_and_is_never_faster_than_the_critical_path(
    plan: RunPlan, durations: dict[str, float], prepare: float, boot: float
) -> None:
    result = estimate(plan, durations=durations, offers=OFFERS, prepare_seconds=prepare, boot_seconds=boot)
    rows = {row.step: row for row in result.steps}
    assert sorted(rows) == sorted(step.name for step in plan.steps)
    assert [row.start for row in result.steps] == sorted(row.start for row in result.steps)
    spans = [(row.start, row.end) for row in result.steps]
    assert most_at_once(spans) == result.most_at_once
    assert most_at_once(spans) <= (plan.max_parallelism or len(plan.steps))
    for machine, limit in plan.machine_limits:
        assert most_at_once([(row.start, row.end) for row in result.steps if row.machine == machine]) <= limit
    for step in plan.steps:
        row = rows[step.name]
        assert row.start <= row.begin < row.end
        assert all(rows[before].end <= row.start for before in step.upstream)
        assert row.known == (step.name in durations)
    lasts = {name: row.end - row.begin for name, row in rows.items()}
    on_path = sum(lasts[step] for step in result.critical_path)
    assert result.makespan >= on_path - 1e-6
    assert result.makespan == max(row.end for row in result.steps)
    for before, after in zip(result.critical_path, result.critical_path[1:], strict=False):
        assert before in plan.step(after).upstream


@given(plans(), known_durations)
def test_nothing_waits_while_there_is_room_for_it(plan: RunPlan, durations: dict[str, float]) -> None:
    result = estimate(plan, durations=durations, offers=OFFERS)
    rows = {row.step: row for row in result.steps}
    limits = dict(plan.machine_limits)
    for step in plan.steps:
        row = rows[step.name]
        could = max((rows[before].end for before in step.upstream), default=0.0)
        if row.start == could:
            continue
        # Until the step started, other steps held all places.
        others = [other for other in result.steps if other.start < row.start <= other.end]
        on_same = Counter(other.machine for other in others)[row.machine]
        assert len(others) >= (plan.max_parallelism or 99) or on_same >= limits.get(row.machine, 99)


@given(plans(), known_durations, seconds, seconds)
def test_the_cost_is_that_of_the_machines_time(
    plan: RunPlan, durations: dict[str, float], prepare: float, boot: float
) -> None:
    result = estimate(plan, durations=durations, offers=OFFERS, prepare_seconds=prepare, boot_seconds=boot)
    own = sum(row.cost for row in result.steps if row.cost is not None)
    shared = sum(each.cost for each in result.shared if each.cost is not None)
    assert result.total_cost is not None
    assert abs(result.total_cost - own - shared) < 1e-9
    if plan.placement != "studio":
        least = sum(
            OFFERS[MACHINES.index(row.machine)].cost(interruptible=plan.step(row.step).interruptible)
            * (row.end - row.begin)
            / 3600
            for row in result.steps
        )
        assert abs(own - least) < 1e-9


def run(*steps: StepPlan, durations: dict[str, float] | None = None, **options: Any) -> Estimate:
    placed = {"placement": options.pop("placement", "job")}
    return estimate(RunPlan("0123", "a run", steps, **placed), durations=durations or {}, **options)


def test_a_step_without_a_duration_counts_as_the_mean_and_is_named() -> None:
    steps = [StepPlan(name, ("true",)) for name in ("a", "b", "c")]
    result = run(*steps, durations={"a": 10.0, "b": 20.0})
    assert (result.assumed, result.assumed_seconds) == (("c",), 15.0)
    assert run(*steps).makespan == ASSUMED_SECONDS
    assert run(*steps).assumed == ("a", "b", "c")


def test_without_prices_there_is_no_cost_and_the_machines_are_named() -> None:
    result = run(StepPlan("a", ("true",), ("L4",)), StepPlan("b", ("true",)), offers=OFFERS[1:2])
    assert result.total_cost is None
    assert result.unpriced == ("CPU",)
    assert [row.cost is None for row in result.steps] == [False, True]


def test_steps_of_the_main_studio_pay_for_it_once() -> None:
    steps = [StepPlan(name, ("true",)) for name in "abcd"]
    durations = dict.fromkeys("abcd", 3600.0)
    result = run(*steps, durations=durations, offers=OFFERS, placement="studio", boot_seconds=100, prepare_seconds=360)
    assert result.makespan == 100 + 360 + 3600
    assert result.total_cost is not None
    assert abs(result.total_cost - 0.36 * 1.1) < 1e-9
    assert [each.purpose for each in result.shared] == ["main studio"]


def test_no_step_is_taken_to_last_longer_than_its_limit() -> None:
    assert run(StepPlan("a", ("true",), timeout=5.0)).makespan == 5.0


def test_environments_are_prepared_at_the_same_time_and_once_each() -> None:
    steps = [
        StepPlan(name, ("true",), requirements=(("r", text),))
        for name, text in (("a", "numpy"), ("b", "numpy"), ("c", "scipy"))
    ]
    result = run(*steps, durations=dict.fromkeys("abc", 10.0), offers=OFFERS, prepare_seconds=50, boot_seconds=7)
    assert [each.purpose for each in result.shared] == ["environment", "environment"]
    assert result.makespan == 7 + 50 + 7 + 10


def test_interruptible_steps_whose_machines_are_no_cheaper_so_are_named_and_cost_as_on_demand() -> None:
    steps = [
        StepPlan(machine, ("true",), machines=(machine,), interruptible=True)
        for machine in ("T4", "T4_SMALL", "L4", "A100")
    ]
    offers = [
        MachineOffer("T4", 0.69, 0.37, cloud_account="a"),
        MachineOffer("T4_SMALL", 0.55, 0.58, cloud_account="a"),
        MachineOffer("L4", 0.79, None, cloud_account="a"),
        # Cheaper in the other account, which counts unless the plan names one.
        MachineOffer("A100_80GB", 5.68, 9.0, cloud_account="a"),
        MachineOffer("A100_40GB", 2.19, 1.0, cloud_account="b"),
    ]
    plan = RunPlan("run", "plan", tuple(steps))
    result = estimate(plan, durations=dict.fromkeys(("T4", "T4_SMALL", "L4", "A100"), 3600.0), offers=offers)
    assert result.on_demand == ("T4_SMALL", "L4")
    assert {row.step: row.cost for row in result.steps} == {"T4": 0.37, "T4_SMALL": 0.55, "L4": 0.79, "A100": 1.0}
    named = estimate(replace(plan, cloud_account="a"), durations={}, offers=offers)
    assert named.on_demand == ("T4_SMALL", "L4", "A100")
