"""A plan describes a run, and one that cannot run is refused before anything exists."""

import pytest

from lightning_native.engine.plan import Retry, RunPlan, Setup, StepPlan
from lightning_native.engine.planning.checks import check_plan
from lightning_native.engine.planning.layout import studio_layout
from lightning_native.errors import ConflictError, CycleError, PlanError, RequirementError, UnknownMachineError


def plan(*steps: StepPlan, **options: object) -> RunPlan:
    return RunPlan(run_id="0123", name="a run", steps=steps, **options)


def step(name: str, machine: str | None = None, **options: object) -> StepPlan:
    machines = (machine,) if machine is not None else ()
    return StepPlan(name=name, argv=("true",), machines=machines, **options)


def test_steps_share_the_main_studio_unless_they_ask_for_another_machine() -> None:
    main, apart = studio_layout(plan(step("a"), step("b", machine="CPU"), step("c", machine="l4"), step("d")))
    assert main.steps == ("a", "b", "d")
    assert (apart.steps, apart.machines) == (("c",), ("L4",))
    assert main.name != apart.name


def test_names_for_the_same_hardware_do_not_make_a_studio_of_their_own() -> None:
    (main,) = studio_layout(plan(step("a", machine="CPU_X_4"), step("b", machine="cpu-4"), main_machine="CPU"))
    assert main.steps == ("a", "b")


def test_a_studio_of_the_user_is_kept_and_ours_are_not() -> None:
    kept, apart = studio_layout(plan(step("a"), step("b", machine="T4"), main_studio="mine"))
    assert (kept.name, kept.keep) == ("mine", True)
    assert not apart.keep


def test_two_runs_of_one_pipeline_get_different_studios() -> None:
    (one,) = studio_layout(RunPlan("1", "x; touch F #", (step("a"),)))
    (two,) = studio_layout(RunPlan("2", "x; touch F #", (step("a"),)))
    assert one.name != two.name
    assert len(one.name) <= 63


def test_a_plan_survives_json() -> None:
    original = plan(
        step("a", requirements=(("r.txt", "numpy\n"),), timeout=3.5, scratch=("X",), retry=Retry(2, 1.0)),
        step("c", setup=Setup(packages=("tree",), installer="pip", variables=("X",))),
        step("b", upstream=("a",), machine="L4"),
        custom_commands=("echo 'a b'",),
        max_parallelism=3,
        machine_limits=(("L4", 2),),
        on_failure="fail_fast",
        tags=("a", "b"),
    )
    assert RunPlan.from_json(original.to_json()) == original


def test_a_cycle_is_named() -> None:
    with pytest.raises(CycleError) as error:
        check_plan(plan(step("a", upstream=("c",)), step("b", upstream=("a",)), step("c", upstream=("b",))))
    assert set(error.value.cycle) == {"a", "b", "c"}
    for name in "abc":
        assert name in str(error.value)


@pytest.mark.parametrize("name", ["A10G", "gpu", "", "L4_X_16"])
def test_an_unknown_machine_is_refused_with_other_names(name: str) -> None:
    if not name:
        with pytest.raises(UnknownMachineError, match="the machines are: "):
            check_plan(plan(step("a", machine="?")))
        return
    with pytest.raises(UnknownMachineError, match=f"unknown machine '{name}'"):
        check_plan(plan(step("a", machine=name)))


def test_a_requirement_that_does_not_parse_is_named_with_file_line_and_text() -> None:
    with pytest.raises(RequirementError) as error:
        studio_layout(plan(step("a", requirements=(("requirements.txt", "numpy\nnot a requirement!\n"),))))
    for part in ("requirements.txt", "2", "not a requirement!"):
        assert part in str(error.value)


def test_requirements_of_steps_in_one_studio_must_hold_together() -> None:
    one = step("a", requirements=(("a.txt", "numpy==1.26"),))
    two = step("b", requirements=(("b.txt", "numpy>=2"),))
    with pytest.raises(ConflictError) as error:
        studio_layout(plan(one, two))
    for part in ("a.txt", "b.txt", "numpy"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("steps", "options", "words"),
    [
        ((step("a"), step("a")), {}, "'a'"),
        ((StepPlan("a", ()),), {}, "no command"),
        ((step("a", timeout=0),), {}, "timeout"),
        ((step("a"),), {"max_parallelism": 0}, "max_parallelism"),
        ((step("a"),), {"machine_limits": (("L4", 0),)}, "L4"),
        ((step("a"),), {"timeout": -1}, "timeout"),
        ((step("a", retry=Retry(-1)),), {}, "count"),
    ],
)
def test_what_makes_no_sense_is_refused(steps: tuple[StepPlan, ...], options: dict[str, object], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        check_plan(plan(*steps, **options))
