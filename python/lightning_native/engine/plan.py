"""What runs where: a run as data, checked before anything is created."""

import difflib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lightning_native import Dag
from lightning_native.errors import PlanError
from lightning_native.lightning.machines import canonical_machine
from lightning_native.lightning.time_zones import time_zones

FailureMode = Literal["continue", "stop", "fail_fast"]
PlacementName = Literal["studio", "job", "platform"]
RequirementSource = tuple[str, str]
Installer = Literal["uv", "pip"]
KeepPolicy = Literal["never", "on_failure", "always"]


@dataclass(frozen=True)
class Retry:
    """How often a failed step is tried again: `count` times, after `delay`, `delay * backoff`, … seconds."""

    count: int = 0
    delay: float = 0.0
    backoff: float = 1.0


@dataclass(frozen=True)
class Setup:
    """What a step's environment needs besides Python requirements.

    Attributes:
        packages: Debian packages, installed first.
        installer: installs the requirements.
        installer_arguments: of the installer, such as `--no-deps`.
        commands: shell commands, run in the code's folder after the requirements.
        variables: names of the step's environment variables that all of this sees.
    """

    packages: tuple[str, ...] = ()
    installer: Installer = "uv"
    installer_arguments: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContainerImage:
    """What a step's job runs in, instead of an environment that is prepared for it.

    Attributes:
        name: as a container registry knows it; it has Python 3.8 or later.
        credentials: name of the Lightning secret with which it is pulled; None: it is public.
        cloud_account_auth: whether the machine's cloud account pulls it, as from ECR.
    """

    name: str
    credentials: str | None = None
    cloud_account_auth: bool = False


@dataclass(frozen=True)
class Schedule:
    """When Lightning runs a plan again and again.

    Attributes:
        name: unique in the teamspace; a new schedule of a name takes the place of the old one.
        cron: minute, hour, day of the month, month, day of the week.
        timezone: of the expression, such as `Europe/Zurich`.
    """

    name: str
    cron: str
    timezone: str = "UTC"


@dataclass(frozen=True)
class StepPlan:
    """One command of a run.

    Attributes:
        name: unique within the run.
        argv: the command; nothing of it is read by a shell.
        machines: the SDK's names of machines, the first that can be had is used; none: the main machine.
        upstream: names of the steps that must succeed first.
        requirements: (name of the source, its text) of each requirements file, in order.
        timeout: seconds one attempt may run; None: no limit.
        retry: what happens when it fails.
        interruptible: run on a machine that may be reclaimed; a reclaimed attempt is repeated and does not count.
        scratch: environment variables that get a fresh private folder, removed when the step ends.
        setup: what its environment needs besides the requirements.
        image: it runs in a container of this image, in the image's working folder, not with placement `studio`.
    """

    name: str
    argv: tuple[str, ...]
    machines: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    requirements: tuple[RequirementSource, ...] = ()
    timeout: float | None = None
    retry: Retry = Retry()
    interruptible: bool = False
    scratch: tuple[str, ...] = ()
    setup: Setup = Setup()
    image: ContainerImage | None = None

    @property
    def machine(self) -> str | None:
        """The machine that is asked for first."""
        return self.machines[0] if self.machines else None


@dataclass(frozen=True)
class RunPlan:
    """A whole run.

    Attributes:
        run_id: names the run for ever; letters, digits and `-`.
        name: for people.
        placement: how steps run: as commands in studios, as jobs, or as the jobs of a pipeline that Lightning drives.
        main_studio: an existing or new studio of the user's to run in, which is kept; None: one of our own.
        main_machine: the SDK's name of the main machine; None: what the main studio runs on, else the default.
        custom_commands: shell commands run once in each environment, in the code's folder, after the requirements.
        max_parallelism: the most steps at the same time; None: no limit.
        machine_limits: the most steps at the same time for single machines, by the SDK's name.
        on_failure: what happens to the other steps when one fails.
        timeout: seconds the whole run may take; None: no limit.
        pending_timeout: seconds a job may wait for a machine before the next of its step's machines is tried.
        keep_studios: whether studios made for the run are stopped and kept at its end rather than deleted:
            `on_failure` keeps those in which a step failed.
        reuse_environments: take prepared environments of earlier runs, and keep those of this one.
        tags: of the run's jobs.
        schedule: when Lightning runs it, with placement `platform`; None: now, once.
    """

    run_id: str
    name: str
    steps: tuple[StepPlan, ...]
    placement: PlacementName = "studio"
    main_studio: str | None = None
    main_machine: str | None = None
    custom_commands: tuple[str, ...] = ()
    max_parallelism: int | None = None
    machine_limits: tuple[tuple[str, int], ...] = ()
    on_failure: FailureMode = "continue"
    timeout: float | None = None
    pending_timeout: float = 600.0
    keep_studios: KeepPolicy = "never"
    reuse_environments: bool = True
    tags: tuple[str, ...] = ()
    schedule: Schedule | None = None

    def to_json(self) -> str:
        """Return the plan as JSON. It holds no secrets: environments travel apart from it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "RunPlan":
        """Read what `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        steps = tuple(_step_from(step) for step in data.pop("steps"))
        data["custom_commands"] = tuple(data["custom_commands"])
        data["tags"] = tuple(data["tags"])
        data["machine_limits"] = tuple((machine, limit) for machine, limit in data["machine_limits"])
        data["schedule"] = Schedule(**data["schedule"]) if data.get("schedule") else None
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


def check_plan(plan: RunPlan) -> None:
    """Find every mistake that can be found without Lightning.

    Raises:
        PlanError: a name twice, an empty command, a limit that makes no sense.
        UnknownMachineError: a machine that Lightning does not offer.
        CycleError, UnknownNodeError: the steps cannot be ordered.
        RequirementError: requirements that do not parse or, in one environment, cannot hold together.
        PlanError: what else steps in one studio need cannot hold together.
    """
    names = Counter(step.name for step in plan.steps)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise PlanError(f"two steps are called {twice[0]!r}; step names must be unique")
    for step in plan.steps:
        _check_step(step)
        if step.image and plan.placement == "studio":
            raise PlanError(
                f"step {step.name!r} runs in image {step.image.name}, which needs placement 'job' or 'platform', "
                "not 'studio'"
            )
    if plan.max_parallelism is not None and plan.max_parallelism < 1:
        raise PlanError(f"max_parallelism is {plan.max_parallelism}; it must be at least 1, or None for no limit")
    for machine, limit in plan.machine_limits:
        canonical_machine(machine)
        if limit < 1:
            raise PlanError(f"the limit for machine {machine} is {limit}; it must be at least 1")
    if plan.timeout is not None and plan.timeout <= 0:
        raise PlanError(f"the run's timeout is {plan.timeout} s; it must be positive")
    if plan.main_machine:
        canonical_machine(plan.main_machine)
    if plan.schedule:
        if plan.placement != "platform":
            raise PlanError(
                f"schedule {plan.schedule.name!r} needs placement 'platform', not {plan.placement!r}: "
                "only Lightning itself is there whenever a schedule fires"
            )
        check_schedule(plan.schedule)
        _check_limits_on_schedule(plan, plan.schedule)
    plan.dag().order()
    # Layouts are made of plans.
    from lightning_native.engine.layout import check_environments

    check_environments(plan)


def _check_limits_on_schedule(plan: RunPlan, schedule: Schedule) -> None:
    """Refuse what only a process that watches the runs could keep."""
    if plan.timeout is not None:
        raise PlanError(
            f"schedule {schedule.name!r} cannot keep the run's timeout of {plan.timeout} s: nobody watches its runs; "
            "give the steps timeouts, which their jobs keep themselves"
        )
    if plan.on_failure == "continue" and (plan.max_parallelism is not None or plan.machine_limits):
        raise PlanError(
            f"schedule {schedule.name!r} cannot keep max_parallelism or machine limits with on_failure 'continue': "
            "Lightning keeps a limit as an order of the steps, and a failed step would end those after it; "
            "set on_failure to 'stop' or 'fail_fast', or remove the limits"
        )


def check_schedule(schedule: Schedule) -> None:
    """Find what can be found wrong about a schedule without Lightning.

    Raises:
        PlanError: a name, an expression or a time zone that cannot be.
    """
    if not schedule.name.strip():
        raise PlanError("a schedule needs a name")
    if len(schedule.cron.split()) != 5:
        raise PlanError(
            f"schedule {schedule.name!r} has the cron expression {schedule.cron!r}; it needs five fields "
            "(minute, hour, day of the month, month, day of the week), such as '0 2 * * *'"
        )
    if schedule.timezone not in time_zones():
        near = difflib.get_close_matches(schedule.timezone, time_zones(), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "use a name such as UTC or Europe/Zurich"
        raise PlanError(f"schedule {schedule.name!r} has the time zone {schedule.timezone!r}; {hint}")


def _check_step(step: StepPlan) -> None:
    if not step.argv:
        raise PlanError(f"step {step.name!r} has no command")
    if step.timeout is not None and step.timeout <= 0:
        raise PlanError(f"step {step.name!r} has a timeout of {step.timeout} s; it must be positive")
    if step.retry.count < 0 or step.retry.delay < 0 or step.retry.backoff < 1:
        raise PlanError(
            f"step {step.name!r} has {step.retry}; count and delay must not be negative, nor backoff below 1"
        )
    for machine in step.machines:
        canonical_machine(machine)
    if step.image and not step.image.name.strip():
        raise PlanError(f"step {step.name!r} has an image without a name")
    if step.image and (step.requirements or step.setup != Setup()):
        raise PlanError(f"step {step.name!r} runs in an image, so nothing can be installed for it; put it in the image")


def _step_from(data: dict[str, Any]) -> StepPlan:
    tuples = {name: tuple(data[name]) for name in ("argv", "machines", "upstream", "scratch")}
    requirements = tuple((name, text) for name, text in data["requirements"])
    setup: dict[str, Any] = {
        name: value if name == "installer" else tuple(value) for name, value in data["setup"].items()
    }
    image = ContainerImage(**data["image"]) if data.get("image") else None
    nested = {"requirements": requirements, "retry": Retry(**data["retry"]), "setup": Setup(**setup), "image": image}
    return StepPlan(**{**data, **tuples, **nested})


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
