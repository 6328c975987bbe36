"""A workflow file, `workflow.yaml`, as a plan of a run. Its keys are described in docs/reference/workflow-file.md."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from lightning_native import merge_requirements
from lightning_native.engine.plan import (
    RequirementSource,
    Retry,
    RunPlan,
    Schedule,
    StepPlan,
)
from lightning_native.engine.planning.checks import check_plan, check_schedule
from lightning_native.engine.planning.machine_choice import (
    MachineOffer,
    ResourceRequest,
    cheapest,
    gpu_kinds,
    known_gpu,
)
from lightning_native.engine.record.origin import OnTerminate
from lightning_native.errors import DagError, JobError, PlanError, RequirementError, UnknownMachineError
from lightning_native.lightning.machines import canonical_machine
from lightning_native.user_input.bounds import LONGEST_ARGUMENT, problem_of_text
from lightning_native.user_input.url_credentials import (
    has_credentials,
    refusal,
    secret_argument,
)
from lightning_native.user_input.user_files import read_user_text
from lightning_native.user_input.yaml_document import Document, Location, did_you_mean, read_yaml
from lightning_native.workflow.schema import Resources, RuntimeDocument, StepDocument, WorkflowDocument, validate

# The options of GitHub Actions: a script ends at its first failure, also inside a pipe.
SHELL = ("bash", "-eo", "pipefail", "-c")
# The most machines for a request: the cheapest one, and dearer ones to fall back to.
_MOST_FALLBACKS = 3
_MOST_REFERENCES = 1000
_MOST_PROBLEMS = 100
_INCLUDE = re.compile(r"^\s*(-r|-c|--requirement|--constraint)\b", re.MULTILINE)
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<bad>))")


@dataclass(frozen=True)
class RuntimeCommand:
    """A step's runtime as a command.

    Attributes:
        argv: the command, to be run in the folder of the code.
        env: the variables that it needs.
        timeout: the runtime's time limit in seconds, if it has one.
        warnings: differences from the runtime's description.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    timeout: float | None = None
    warnings: tuple[str, ...] = ()


# Called with the type and the specification of a runtime; raises JobError for one that cannot be a step.
RuntimeTranslator = Callable[[str, Mapping[str, Any]], RuntimeCommand]


@dataclass(frozen=True)
class Workflow:
    """The content of a workflow file.

    Attributes:
        plan: the run; a step that asks for resources has no machines before `resolve_machines`.
        root: the folder of the code.
        variables: each step's variables; they may hold secrets.
        requests: the resources that steps request instead of naming a machine.
        main_request: the resources that the workflow requests instead of naming its main machine.
        warnings: differences from the file.
        on_terminate: the effect of a SIGTERM or SIGHUP to the process that waits for the run.
    """

    plan: RunPlan
    root: Path
    variables: dict[str, dict[str, str]] = field(repr=False)
    requests: dict[str, ResourceRequest] = field(default_factory=dict)
    main_request: ResourceRequest | None = None
    warnings: tuple[str, ...] = ()
    on_terminate: OnTerminate = "stop"

    @property
    def needs_offers(self) -> bool:
        """Whether machines must be chosen from the price list before the plan can run."""
        return bool(self.requests) or self.main_request is not None


def load_workflow(
    path: Path | str,
    *,
    environment: Mapping[str, str] = os.environ,
    run_id: str | None = None,
    translate_runtime: RuntimeTranslator | None = None,
) -> Workflow:
    """Read a workflow file and check everything that can be checked without Lightning.

    Args:
        path: the file.
        environment: the variables for `${NAME}` in values of `env`.
        run_id: the plan's run id; a new one if None.
        translate_runtime: translates runtimes to commands; None: a runtime is an error.

    Raises:
        PlanError: the file cannot be read or run as it is written; each mistake has a line with file, line and place.

    """
    document = read_yaml(Path(path))
    described, problems = validate(document)
    if described is None:
        raise _mistakes(document, problems)
    loader = _Loader(document, described, Path(path), environment, translate_runtime, problems)
    return loader.load(run_id or uuid4().hex)


def _mistakes(document: Document, problems: Iterable[tuple[Location, str]]) -> PlanError:
    """Return the error that has all mistakes of a file, in its order."""
    by_line = sorted(problems, key=lambda problem: document.line(problem[0]))
    lines = list(dict.fromkeys(document.problem(*problem) for problem in by_line))
    more = [f"and {len(lines) - _MOST_PROBLEMS} more"] if len(lines) > _MOST_PROBLEMS else []
    return PlanError("\n".join(lines[:_MOST_PROBLEMS] + more))


def resolve_machines(workflow: Workflow, offers: Iterable[MachineOffer]) -> Workflow:
    """Return the workflow with a machine, and some to fall back to, for every request for resources.

    Raises:
        PlanError: no machine satisfies one of them; the message has the nearest machines.
    """
    known, account = list(offers), workflow.plan.cloud_account
    steps = []
    for step in workflow.plan.steps:
        request = workflow.requests.get(step.name)
        if request is None:
            steps.append(step)
            continue
        names = _choose(f"step {step.name!r}", request, known, account, interruptible=step.interruptible)
        steps.append(replace(step, machines=tuple(names)))
    main = workflow.plan.main_machine
    if workflow.main_request is not None:
        main = _choose("the main machine", workflow.main_request, known, account, interruptible=False)[0]
    plan = replace(workflow.plan, steps=tuple(steps), main_machine=main)
    return replace(workflow, plan=plan, requests={}, main_request=None)


def _choose(
    who: str, request: ResourceRequest, offers: list[MachineOffer], account: str | None, *, interruptible: bool
) -> list[str]:
    try:
        return cheapest(request, offers, interruptible=interruptible, cloud_account=account)[:_MOST_FALLBACKS]
    except PlanError as error:
        raise PlanError(f"{who}: {error}") from error


class _Loader:
    """The translation of a document with correct types to a workflow; it collects all other mistakes."""

    def __init__(
        self,
        document: Document,
        described: WorkflowDocument,
        path: Path,
        environment: Mapping[str, str],
        translate_runtime: RuntimeTranslator | None,
        problems: Sequence[tuple[Location, str]],
    ) -> None:
        self._document = document
        self._described = described
        self._path = path
        self._folder = path.parent
        self._environment = environment
        self._translate_runtime = translate_runtime
        self._runtimes: dict[str, RuntimeCommand] = {}
        self._problems: list[tuple[Location, str]] = []
        self._of_schema = problems

    def load(self, run_id: str) -> Workflow:
        described = self._described
        requests: dict[str, ResourceRequest] = {}
        common = self._requirements(described.requirements, ("requirements",))
        steps = tuple(self._step(name, step, common, requests) for name, step in described.steps.items())
        shared = self._variables(described.env, ("env",))
        variables = {
            name: shared | self._variables(step.env, ("steps", name, "env")) for name, step in described.steps.items()
        }
        for name, runtime in self._runtimes.items():
            variables[name] |= runtime.env
        main_machine, main_request = None, None
        if isinstance(described.machine, Resources):
            main_request = self._request(described.machine, ("machine",))
        elif described.machine is not None:
            main_machine = self._machine(described.machine, ("machine",))
        plan = RunPlan(
            run_id=run_id,
            name=described.name or self._path.stem,
            steps=steps,
            main_studio=described.main_studio,
            main_machine=main_machine,
            cloud_account=described.cloud_account,
            custom_commands=tuple(described.setup),
            max_parallelism=described.max_parallelism,
            machine_limits=tuple(
                (self._machine(machine, ("machine_limits", machine)), limit)
                for machine, limit in described.machine_limits.items()
            ),
            on_failure=described.on_failure,
            timeout=described.timeout,
            budget=described.budget,
            placement=described.placement,
            boot_timeout=described.boot_timeout,
            pending_timeout=described.pending_timeout,
            schedule=self._schedule(),
        )
        root = self._root()
        self._raise_problems()
        self._check(plan)
        warnings = [f"step {name}: {text}" for name, runtime in self._runtimes.items() for text in runtime.warnings]
        commands = {step.name: " ".join(step.argv) for step in steps}
        warnings += [
            f"the command of step {name} may have a secret written out, which is kept with the run; "
            "put it into env, and write $NAME in its place"
            for name, command in commands.items()
            if secret_argument(command) or has_credentials(command)
        ]
        return Workflow(plan, root, variables, requests, main_request, tuple(warnings), described.on_terminate)

    def _step(
        self,
        name: str,
        step: StepDocument,
        common: tuple[RequirementSource, ...],
        requests: dict[str, ResourceRequest],
    ) -> StepPlan:
        location = ("steps", name)
        machines: tuple[str, ...] = ()
        if isinstance(step.machine, Resources):
            request = self._request(step.machine, (*location, "machine"))
            if request is not None:
                requests[name] = request
        elif isinstance(step.machine, str):
            machines = (self._machine(step.machine, (*location, "machine")),)
        elif step.machine is not None:
            machines = tuple(
                self._machine(machine, (*location, "machine", index)) for index, machine in enumerate(step.machine)
            )
        for index, needed in enumerate(step.needs):
            if needed not in self._described.steps:
                hint = did_you_mean(needed, self._described.steps, "the steps are")
                self._problem((*location, "needs", index), f"there is no step {needed!r}; {hint}")
            elif needed in step.needs[:index]:
                self._problem((*location, "needs", index), f"{needed!r} is there twice; remove one")
        requirements = (*common, *self._requirements(step.requirements, (*location, "requirements")))
        if len(requirements) > 1:
            self._merge(requirements, (*location, "requirements"))
        retry = Retry(step.retries) if isinstance(step.retries, int) else Retry(**step.retries.model_dump())
        argv, limit = self._command(name, step)
        return StepPlan(
            name=name,
            argv=argv,
            machines=tuple(dict.fromkeys(machines)),
            upstream=tuple(step.needs),
            requirements=tuple(dict.fromkeys(requirements)),
            timeout=step.timeout if step.timeout is not None else limit,
            retry=retry,
            interruptible=step.interruptible,
            outputs=tuple(step.outputs),
            outputs_every=step.outputs_every,
            num_machines=step.num_machines,
            scratch_disks=tuple(step.scratch_disks.items()),
            path_mappings=tuple(step.path_mappings.items()),
        )

    def _command(self, name: str, step: StepDocument) -> tuple[tuple[str, ...], float | None]:
        """Return a step's command, and the time limit of its runtime in seconds."""
        location = ("steps", name)
        if step.runtime is not None and step.command is not None:
            self._problem((*location, "runtime"), "a step has a command or a runtime; remove one")
        elif step.runtime is not None:
            return self._runtime(name, step.runtime)
        elif step.command is None:
            self._problem(location, "`command` is missing; add it: `command: python train.py`")
        command = step.command or ()
        return (*SHELL, command) if isinstance(command, str) else tuple(command), None

    def _runtime(self, name: str, runtime: RuntimeDocument) -> tuple[tuple[str, ...], float | None]:
        if self._translate_runtime is None:
            self._problem(("steps", name, "runtime"), "runtimes cannot be read here; write a command")
            return (), None
        try:
            translated = self._translate_runtime(runtime.type, runtime.spec)
        except JobError as error:
            self._problem(("steps", name, "runtime"), str(error))
            return (), None
        self._runtimes[name] = translated
        return translated.argv, translated.timeout

    def _machine(self, name: str, location: Location) -> str:
        try:
            return canonical_machine(name)
        except UnknownMachineError as error:
            self._problem(location, str(error))
            return name

    def _request(self, resources: Resources, location: Location) -> ResourceRequest | None:
        if resources.gpu_type is not None and not known_gpu(resources.gpu_type):
            hint = did_you_mean(resources.gpu_type.upper(), gpu_kinds(), "the kinds are")
            self._problem((*location, "gpu_type"), f"there is no GPU {resources.gpu_type!r}; {hint}")
            return None
        try:
            return ResourceRequest(
                gpus=resources.gpu,
                gpu_type=resources.gpu_type,
                cpus=resources.cpu,
                memory_gb=resources.memory,
                gpu_memory_gb=resources.gpu_memory,
            )
        except PlanError as error:
            self._problem(location, str(error))
            return None

    def _variables(self, values: Mapping[str, str], location: Location) -> dict[str, str]:
        variables = {}
        for name, text in values.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                self._problem((*location, name), "is no name of a variable; take letters, digits and _")
            elif len(text) > LONGEST_ARGUMENT or text.count("${") > _MOST_REFERENCES:
                self._problem((*location, name), f"is longer than Linux takes, {LONGEST_ARGUMENT} bytes; use a file")
            else:
                value = _VARIABLE.sub(self._substitute((*location, name)), text)
                if len(value) > LONGEST_ARGUMENT or "\0" in value:
                    self._problem(
                        (*location, name), f"is longer than Linux takes, {LONGEST_ARGUMENT} bytes; use a file"
                    )
                variables[name] = value
        return variables

    def _substitute(self, location: Location) -> Callable[["re.Match[str]"], str]:
        def value_of(match: "re.Match[str]") -> str:
            name, default = match["name"], match["default"]
            if match["dollar"]:
                return "$"
            if name is None:
                # The text itself is not shown, because it may be a secret.
                self._problem(location, "a lone $; write $$ for a dollar, or ${NAME} for your variable NAME")
                return ""
            if name in self._environment:
                return self._environment[name]
            if default is None:
                message = f"the environment has no {name}; set it, or give a default: ${{{name}:-…}}"
                self._problem(location, message)
            return default or ""

        return value_of

    def _requirements(self, given: str | list[str] | None, location: Location) -> tuple[RequirementSource, ...]:
        if given is None:
            return ()
        if isinstance(given, str):
            path = self._folder / given
            try:
                text = read_user_text(path)
            except (OSError, UnicodeDecodeError) as error:
                self._problem(location, f"the requirements file {path} cannot be read: {_reason(error)}")
                return ()
            # Included files are relative to this name, and another process may read them in another working folder.
            source = (str(path.absolute() if _INCLUDE.search(text) else path), text)
            return (source,) if self._merge((source,), location) else ()
        lines: list[str] = []
        for index, requirement in enumerate(given):
            if self._merge(((str(self._path), requirement),), (*location, index), inline=True):
                # At the line that it has in our file, so that conflicts name that line.
                lines += [""] * (self._document.line((*location, index)) - 1 - len(lines))
                lines.append(requirement)
        name = self._path.absolute() if any(map(_INCLUDE.search, lines)) else self._path
        return ((str(name), "\n".join(lines)),) if lines else ()

    def _merge(self, sources: tuple[RequirementSource, ...], location: Location, *, inline: bool = False) -> bool:
        """Record the mistakes in requirements; return whether there are none."""
        for name, text in sources:
            problem = problem_of_text(text) or (refusal(name, text) if has_credentials(text) else None)
            if problem is not None:
                self._problem(location, problem)
                return False
        try:
            merge_requirements(sources)
        except RequirementError as error:
            # The place of a list's line is in our file, not in a file of its own.
            message = str(error).removeprefix(f"{self._path}:1: ") if inline else str(error)
            self._problem(location, message)
            return False
        return True

    def _schedule(self) -> Schedule | None:
        described = self._described.schedule
        if described is None:
            return None
        name = described.name or self._described.name or self._path.stem
        schedule = Schedule(name, described.cron, described.timezone)
        try:
            check_schedule(schedule)
        except PlanError as error:
            self._problem(("schedule",), str(error))
        return schedule

    def _root(self) -> Path:
        try:
            root = self._folder / Path(self._described.root).expanduser()
            there = root.is_dir()
        except (OSError, RuntimeError):
            # The name is too long, or the user of `~name` does not exist.
            root, there = self._folder / self._described.root, False
        if not there:
            self._problem(("root",), f"{root} is no folder; name the folder of your code, relative to this file")
        return root

    def _check(self, plan: RunPlan) -> None:
        try:
            check_plan(plan)
        except RequirementError as error:
            raise PlanError(self._document.problem(("requirements",), str(error))) from error
        except (DagError, PlanError) as error:
            raise PlanError(self._document.problem(("steps",), str(error))) from error

    def _problem(self, location: Location, message: str) -> None:
        self._problems.append((location, message))

    def _raise_problems(self) -> None:
        # What is wrong inside of a value explains what is wrong with it.
        explained = {place[:length] for place, _ in self._of_schema for length in range(len(place) + 1)}
        problems = [*self._of_schema, *(problem for problem in self._problems if problem[0] not in explained)]
        if problems:
            raise _mistakes(self._document, problems)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else f"it is not UTF-8 text ({error.reason})"
