"""The layout of a run's studios: the machines and the set-up of each, and the steps that run in it."""

from collections.abc import Iterable
from dataclasses import dataclass

from lightning_native import merge_requirements
from lightning_native.defaults import DEFAULT_MACHINE
from lightning_native.engine.plan import RunPlan, Setup, StepPlan
from lightning_native.engine.resource_names import studio_name
from lightning_native.errors import PlanError, RequirementError
from lightning_native.lightning.machines import canonical_machine, same_machine
from lightning_native.user_input.url_credentials import has_credentials, refusal


@dataclass(frozen=True)
class StudioPlan:
    """One studio of a run and the steps that run in it.

    `machines`: the first that is available is used; none: the machine that the studio runs on, else the default.
    """

    name: str
    machines: tuple[str, ...]
    keep: bool
    steps: tuple[str, ...]
    requirements: str
    setup: Setup


def studio_layout(plan: RunPlan) -> tuple[StudioPlan, ...]:
    """Assign every step to a studio: the main studio, or one of its own if the step asks for another machine.

    Raises:
        RequirementError: the requirements of steps in one studio do not parse, or contradict each other.
        PlanError: the setups of steps in one studio contradict each other.
    """
    main_machine = canonical_machine(plan.main_machine) if plan.main_machine else None
    in_main = [step for step in plan.steps if _runs_in_main(step, main_machine)]
    apart = [step for step in plan.steps if not _runs_in_main(step, main_machine)]
    studios = []
    if in_main:
        name = plan.main_studio or studio_name(plan)
        kept = plan.main_studio is not None
        steps = tuple(step.name for step in in_main)
        fallbacks = next((step.machines[1:] for step in in_main if len(step.machines) > 1), ())
        machines = tuple(map(canonical_machine, (main_machine, *fallbacks))) if main_machine else ()
        studios.append(StudioPlan(name, machines, kept, steps, merged_requirements(in_main), merged_setup(in_main)))
    studios += [
        StudioPlan(
            studio_name(plan, step.name),
            tuple(canonical_machine(machine) for machine in step.machines),
            False,
            (step.name,),
            merged_requirements([step]),
            step.setup,
        )
        for step in apart
    ]
    return tuple(studios)


def studio_of(plan: RunPlan, step: str) -> str:
    """Return the name of the studio that a step of a plan runs in."""
    return next(studio.name for studio in studio_layout(plan) if step in studio.steps)


def check_environments(plan: RunPlan) -> None:
    """Refuse a plan with contradictions in one environment.

    Raises:
        RequirementError, PlanError: as `studio_layout`.
    """
    if plan.capabilities.shares_machines:
        studio_layout(plan)
        return
    for step in {step.requirements: step for step in plan.steps}.values():
        merged_requirements([step])


def merged_requirements(steps: Iterable[StepPlan]) -> str:
    """Merge the requirements of steps that share an environment into the text of one requirements file.

    Raises:
        RequirementError: they do not parse, contradict each other, or have credentials written out.
    """
    # Each distinct file is read once, because steps often have the same files.
    sources = list(dict.fromkeys(source for step in steps for source in step.requirements))
    text = merge_requirements(sources).to_text() if sources else ""
    if has_credentials(text):
        # The credentials are in a file that another one includes.
        raise RequirementError(refusal("a requirements file", text))
    return text


def merged_setup(steps: Iterable[StepPlan]) -> Setup:
    """Merge the setups of steps that share an environment.

    Raises:
        PlanError: they ask for different installers.
    """
    setups = list(dict.fromkeys(step.setup for step in steps))
    installers = sorted({setup.installer for setup in setups})
    if len(installers) > 1:
        raise PlanError(
            f"steps that share a studio want their requirements installed by {' and by '.join(installers)}; "
            "let them agree, or give them machines of their own"
        )

    def union(values: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for several in values for value in several))

    return Setup(
        packages=union(setup.packages for setup in setups),
        installer=setups[0].installer if setups else "uv",
        installer_arguments=union(setup.installer_arguments for setup in setups),
        commands=union(setup.commands for setup in setups),
        variables=union(setup.variables for setup in setups),
    )


def _runs_in_main(step: StepPlan, main_machine: str | None) -> bool:
    return step.machine is None or same_machine(step.machine, main_machine or DEFAULT_MACHINE)
