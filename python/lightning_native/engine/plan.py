"""A run as data: its steps, and where they run."""

import json
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lightning_native import Dag
from lightning_native.placement import CAPABILITIES, DEFAULT_PLACEMENT, Capabilities, PlacementName
from lightning_native.user_input.bounds import LONGEST_SECONDS

FailureMode = Literal["continue", "stop", "fail_fast"]
RequirementSource = tuple[str, str]
Installer = Literal["uv", "pip"]
KeepPolicy = Literal["never", "on_failure", "always"]

# A step whose machine is interrupted this often will not get one for long enough.
MAX_INTERRUPTIONS = 20


@dataclass(frozen=True)
class Retry:
    """How often a failed step is tried again: `count` times, after `delay`, `delay * backoff`, … seconds."""

    count: int = 0
    delay: float = 0.0
    backoff: float = 1.0

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after so many failures, which no growth makes more than ten years."""
        try:
            return min(self.delay * self.backoff ** (failures - 1), LONGEST_SECONDS)
        except OverflowError:
            return LONGEST_SECONDS


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
        interruptible: run on a machine that may be interrupted; a interrupted attempt is repeated and does not count.
        scratch: environment variables that get a fresh private folder, removed when the step ends.
        setup: what its environment needs besides the requirements.
        image: it runs in a container of this image, in the image's working folder, not with placement `studio`.
        package: whether it imports lightning_native, whose Python part its machine then gets.
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
    package: bool = False

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
    placement: PlacementName = DEFAULT_PLACEMENT
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

    @property
    def capabilities(self) -> Capabilities:
        """What the run's placement can do."""
        return CAPABILITIES[self.placement]

    def to_json(self) -> str:
        """Return the plan as JSON. It holds no secrets: environments travel apart from it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "RunPlan":
        """Read what `to_json` wrote.

        Raises:
            ValueError, TypeError: the text is no plan.
        """
        plan: RunPlan = _read(cls, json.loads(text))
        return plan

    def step(self, name: str) -> StepPlan:
        """Return the step of this name."""
        return next(step for step in self.steps if step.name == name)

    def dag(self) -> Dag:
        """Return the graph of the steps.

        Raises:
            CycleError, UnknownNodeError: the steps cannot be ordered.

        """
        return Dag({step.name: step.upstream for step in self.steps})


def _read(type_: Any, value: Any) -> Any:
    """Return what JSON holds as a value of a field's type: dataclasses, tuples and unions with None, at any depth."""
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is UnionType:
        (type_,) = (each for each in arguments if each is not NoneType)
        return None if value is None else _read(type_, value)
    if origin is tuple:
        types = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_read(each, item) for each, item in zip(types, value, strict=True))
    if isinstance(type_, type) and is_dataclass(type_):
        return type_(**{name: _read(_field_types(type_)[name], item) for name, item in value.items()})
    return value


@cache
def _field_types(type_: type) -> dict[str, Any]:
    return get_type_hints(type_)
