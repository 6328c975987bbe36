"""What runs where: a run as data, checked before anything is created."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lightning_native import Dag, merge_requirements, unique_studio_name
from lightning_native.errors import PlanError
from lightning_native.lightning.machines import DEFAULT_MACHINE, canonical_machine, same_machine

FailureMode = Literal["continue", "stop", "fail_fast"]
RequirementSource = tuple[str, str]


@dataclass(frozen=True)
class StepPlan:
    """One command of a run.

    Attributes:
        name: unique within the run.
        argv: the command; nothing of it is read by a shell.
        machine: the SDK's name of the machine it needs; None: the main studio's.
        upstream: names of the steps that must succeed first.
        requirements: (name of the source, its text) of each requirements file, in order.
        timeout: seconds it may run; None: no limit.
        scratch: environment variables that get a fresh private folder, removed when the step ends.

    """

    name: str
    argv: tuple[str, ...]
    machine: str | None = None
    upstream: tuple[str, ...] = ()
    requirements: tuple[RequirementSource, ...] = ()
    timeout: float | None = None
    scratch: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunPlan:
    """A whole run.

    Attributes:
        run_id: names the run for ever; letters, digits and `-`.
        name: for people.
        main_studio: an existing or new studio of the user's to run in, which is kept; None: one of our own.
        main_machine: the SDK's name of the main studio's machine; None: what it runs on, else the default.
        custom_commands: shell commands run once in each studio, in the code's folder, after the requirements.
        max_parallelism: the most steps at the same time; None: no limit.
        on_failure: what happens to the other steps when one fails.

    """

    run_id: str
    name: str
    steps: tuple[StepPlan, ...]
    main_studio: str | None = None
    main_machine: str | None = None
    custom_commands: tuple[str, ...] = ()
    max_parallelism: int | None = None
    on_failure: FailureMode = "continue"

    def to_json(self) -> str:
        """Return the plan as JSON. It holds no secrets: environments travel apart from it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "RunPlan":
        """Read what `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        steps = tuple(_step_from(step) for step in data.pop("steps"))
        data["custom_commands"] = tuple(data["custom_commands"])
        return cls(steps=steps, **data)

    def step(self, name: str) -> StepPlan:
        """Return the step of this name."""
        return next(step for step in self.steps if step.name == name)

    def dag(self) -> Dag:
        """Return the graph of the steps.

        Raises:
            CycleError, UnknownNodeError: the steps cannot be ordered.

        """
        return Dag({step.name: step.upstream for step in self.steps})


@dataclass(frozen=True)
class StudioPlan:
    """One studio of a run and the steps that run in it."""

    name: str
    machine: str | None
    keep: bool
    steps: tuple[str, ...]
    requirements: str


def check_plan(plan: RunPlan) -> tuple[StudioPlan, ...]:
    """Find every mistake that can be found without Lightning, and say in which studios the steps run.

    Raises:
        PlanError: a name twice, an empty command, a limit that is not positive.
        UnknownMachineError: a machine that Lightning does not offer.
        CycleError, UnknownNodeError: the steps cannot be ordered.
        RequirementError, ConflictError: requirements that do not parse or cannot hold together.

    """
    names = [step.name for step in plan.steps]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PlanError(f"two steps are called {twice[0]!r}; step names must be unique")
    for step in plan.steps:
        if not step.argv:
            raise PlanError(f"step {step.name!r} has no command")
        if step.timeout is not None and step.timeout <= 0:
            raise PlanError(f"step {step.name!r} has a timeout of {step.timeout} s; it must be positive")
    if plan.max_parallelism is not None and plan.max_parallelism < 1:
        raise PlanError(f"max_parallelism is {plan.max_parallelism}; it must be at least 1, or None for no limit")
    plan.dag().order()
    main_machine = canonical_machine(plan.main_machine) if plan.main_machine else None
    in_main = [step for step in plan.steps if _runs_in_main(step, main_machine)]
    apart = [step for step in plan.steps if not _runs_in_main(step, main_machine)]
    studios = []
    short_id = plan.run_id[:12]
    if in_main:
        name = plan.main_studio or unique_studio_name(plan.name, short_id)
        kept = plan.main_studio is not None
        steps = tuple(step.name for step in in_main)
        studios.append(StudioPlan(name, main_machine, kept, steps, _merged(in_main)))
    studios += [
        StudioPlan(
            unique_studio_name(plan.name, step.name, short_id),
            canonical_machine(step.machine or DEFAULT_MACHINE),
            False,
            (step.name,),
            _merged([step]),
        )
        for step in apart
    ]
    return tuple(studios)


def _runs_in_main(step: StepPlan, main_machine: str | None) -> bool:
    return step.machine is None or same_machine(step.machine, main_machine or DEFAULT_MACHINE)


def _merged(steps: Iterable[StepPlan]) -> str:
    # Steps of one studio often bring the same files; each distinct one is read once.
    sources = list(dict.fromkeys(source for step in steps for source in step.requirements))
    return merge_requirements(sources).to_text() if sources else ""


def _step_from(data: dict[str, Any]) -> StepPlan:
    tuples = {name: tuple(data[name]) for name in ("argv", "upstream", "scratch")}
    requirements = tuple((name, text) for name, text in data["requirements"])
    return StepPlan(**{**data, **tuples, "requirements": requirements})


def load_plan(folder: Path) -> RunPlan:
    """Read the plan that `RunFolder` keeps.

    Raises:
        PlanError: it is not there or not readable.

    """
    path = folder / "plan.json"
    try:
        return RunPlan.from_json(path.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlanError(f"{path} cannot be read as a plan: {error}") from error
