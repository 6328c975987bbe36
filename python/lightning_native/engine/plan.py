"""The plan of a run as data: its steps, their order, their machines, and limits."""

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

# A step whose machine is interrupted this often is unlikely to get one for long enough.
MAX_INTERRUPTIONS = 20


@dataclass(frozen=True)
class Retry:
    """The retries of a failed step: up to `count`, after `delay`, `delay * backoff`, … seconds."""

    count: int = 0
    delay: float = 0.0
    backoff: float = 1.0

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after so many failures, at most ten years."""
        try:
            return min(self.delay * self.backoff ** (failures - 1), LONGEST_SECONDS)
        except OverflowError:
            return LONGEST_SECONDS


@dataclass(frozen=True)
class Setup:
    """The set-up of a step's environment besides Python requirements.

    Attributes:
        packages: Debian packages, installed first.
        installer: the installer of the requirements.
        installer_arguments: arguments of the installer, such as `--no-deps`.
        commands: shell commands, run in the code's folder after the requirements.
        variables: names of the step's variables that the set-up gets.
    """

    packages: tuple[str, ...] = ()
    installer: Installer = "uv"
    installer_arguments: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContainerImage:
    """The image in which a step's job runs, instead of an environment that is prepared for it.

    Attributes:
        name: the image's name in a container registry; the image has Python 3.8 or later.
        credentials: the name of the Lightning secret with which the image is pulled; None: the image is public.
        cloud_account_auth: whether the machine's cloud account pulls the image, as from ECR.
    """

    name: str
    credentials: str | None = None
    cloud_account_auth: bool = False


@dataclass(frozen=True)
class Schedule:
    """The schedule by which Lightning runs a plan again and again.

    Attributes:
        name: unique in the teamspace; a new schedule replaces the earlier one of the same name.
        cron: the expression: minute, hour, day of the month, month, day of the week.
        timezone: the time zone of the expression, such as `Europe/Zurich`.
    """

    name: str
    cron: str
    timezone: str = "UTC"


@dataclass(frozen=True)
class StepPlan:
    """One command of a run.

    Attributes:
        name: unique within the run.
        argv: the command; no shell reads it.
        machines: the SDK's names of machines, of which the first available one is used; none: the main machine.
        upstream: the names of the upstream steps, which must succeed first.
        requirements: (name of the source, its text) of each requirements file, in order.
        timeout: seconds that one attempt may run; None: no limit.
        retry: the retries after failures.
        interruptible: whether its machine may be interrupted; an interrupted attempt is repeated and does not count.
        scratch: names of variables that get a fresh private folder, which is removed when the step ends.
        setup: the set-up of its environment besides the requirements.
        image: the image of the container that it runs in, in the image's working folder; not with placement `studio`.
        outputs: patterns of the files that come back to the run's folder; relative to the working folder, or `~/…`.
        outputs_every: seconds between two copies of the outputs while it runs; None: only at its end.
        package: whether it imports lightning_native, whose Python part its machine then gets.
        num_machines: the machines that run the command at once, each with its NODE_RANK; the result is that of rank 0.
        scratch_disks: (name, gigabytes) of fast disks below `/teamspace/scratch` that end with the attempt.
        path_mappings: (path, data connection or `connection:folder`) of folders that are mounted.
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
    outputs: tuple[str, ...] = ()
    outputs_every: float | None = None
    num_machines: int = 1
    scratch_disks: tuple[tuple[str, int], ...] = ()
    path_mappings: tuple[tuple[str, str], ...] = ()

    @property
    def machine(self) -> str | None:
        """The machine that the step asks for first."""
        return self.machines[0] if self.machines else None


@dataclass(frozen=True)
class RunPlan:
    """The plan of a whole run.

    Attributes:
        run_id: the run's id for ever; letters, digits, `-` and `_`.
        name: the plan's name, for people.
        placement: the way the steps run: as commands in studios, as jobs, or as jobs of a pipeline that Lightning
            drives.
        main_studio: an existing or new studio of the user's to run in, which is kept; None: one of our own.
        main_machine: the SDK's name of the main machine; None: the main studio's own, else the default.
        cloud_account: the id of the cloud account on which studios and jobs are created; None: for each machine the one
            that offers it best, by the price list.
        custom_commands: shell commands run once in each environment, in the code's folder, after the requirements.
        max_parallelism: the most steps at the same time; None: no limit.
        machine_limits: the most steps at the same time for single machines, by the SDK's name.
        on_failure: the effect of a failed step on the others.
        timeout: seconds that the whole run may take; None: no limit.
        budget: the most dollars that the whole run may cost; None: no limit.
        boot_timeout: seconds in which a studio's machine must start before another studio replaces it; None: half an
            hour.
        pending_timeout: seconds that a job may wait for a machine before the next of its step's machines is tried.
        keep_studios: whether studios created for the run are stopped and kept at its end rather than deleted:
            `on_failure` keeps those in which a step failed.
        reuse_environments: whether to use template studios of earlier runs, and to keep those of this one.
        tags: the tags of the run's jobs.
        schedule: the schedule by which Lightning runs it, with placement `platform`; None: it runs now, once.
    """

    run_id: str
    name: str
    steps: tuple[StepPlan, ...]
    placement: PlacementName = DEFAULT_PLACEMENT
    main_studio: str | None = None
    main_machine: str | None = None
    cloud_account: str | None = None
    custom_commands: tuple[str, ...] = ()
    max_parallelism: int | None = None
    machine_limits: tuple[tuple[str, int], ...] = ()
    on_failure: FailureMode = "continue"
    timeout: float | None = None
    budget: float | None = None
    boot_timeout: float | None = None
    pending_timeout: float = 600.0
    keep_studios: KeepPolicy = "never"
    reuse_environments: bool = True
    tags: tuple[str, ...] = ()
    schedule: Schedule | None = None

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the run's placement."""
        return CAPABILITIES[self.placement]

    def to_json(self) -> str:
        """Return the plan as JSON. It holds no secrets, because the steps' variables are stored apart from it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "RunPlan":
        """Read a plan that `to_json` wrote.

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
    """Return a JSON value as a value of a field's type: dataclasses, tuples and unions with None, at any depth."""
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
