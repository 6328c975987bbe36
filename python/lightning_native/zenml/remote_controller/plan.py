"""The run whose one step is the controller of another run, in a studio of its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import UUID

from zenml.config import DockerSettings
from zenml.constants import ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL
from zenml.logger import get_logger

from lightning_native.engine.plan import RequirementSource, Retry, RunPlan, StepPlan
from lightning_native.engine.planning.checks import check_plan
from lightning_native.engine.planning.layout import studio_layout
from lightning_native.engine.record.controller_location import CONTROLLER_HOME, CONTROLLER_STEP
from lightning_native.engine.resource_names import controller_plan_name
from lightning_native.lightning.local import keeping
from lightning_native.zenml.access import credentials_of, local_cloud_root
from lightning_native.zenml.compiler.compiled_run import CompiledRun, CompilerContext
from lightning_native.zenml.compiler.docker_settings import step_requirements, step_setup
from lightning_native.zenml.compiler.step_variables import command_variables
from lightning_native.zenml.config import LightningNativeOrchestratorSettings
from lightning_native.zenml.remote_controller.supervisor_spec import SupervisorSpec
from lightning_native.zenml.variables import ENV_PACKAGING

if TYPE_CHECKING:
    from zenml.stack import Stack, StackComponent

logger = get_logger(__name__)

# Of this package's extras, the one that a controller needs.
EXTRA = "zenml"
_OWN_LINE = re.compile(r"\s*lightning[-_.]+native\b(?![-_.]*\w)", re.IGNORECASE)


def controller_run(
    orchestrator: "StackComponent",
    settings: LightningNativeOrchestratorSettings,
    pipeline: str,
    run_id: str,
    variables: Mapping[str, str],
    context: CompilerContext,
    *,
    pipeline_run: UUID | None,
    argv: Sequence[str] = (),
    docker: DockerSettings | None = None,
    commands: Sequence[str] = (),
    machines: tuple[str, ...] = (),
    may_be_cached: bool = False,
) -> CompiledRun:
    """Make the run of a controller on Lightning.

    Args:
        orchestrator: the controller acts for it, with its credentials.
        settings: of the pipeline.
        pipeline: its name.
        run_id: of this run.
        variables: with which ZenML has the controller run.
        context: of the run.
        pipeline_run: ZenML's run.
        argv: the command that drives the run, without Python; none: that of the run in the folder within this one's.
        docker: what the command needs besides this package.
        commands: run in the studio after the requirements.
        machines: for the studio, in the order of preference; none: the default.
        may_be_cached: whether a step may turn out in mid-run to be cached.

    Raises:
        PlanError: it cannot run as it is written.
        CredentialsError: credentials are missing.
    """
    docker = docker or DockerSettings()
    # A controller that nobody here waits for deletes its studio itself.
    delete = None if settings.synchronous else controller_studio(pipeline, run_id)
    spec = SupervisorSpec(
        run_id,
        tuple(argv),
        str(pipeline_run) if pipeline_run else None,
        delete,
        timeout=settings.run_timeout if argv and delete else None,
        keep=settings.keep_alive if argv else "never",
        may_be_cached=may_be_cached,
    )
    plan = controller_plan(spec, pipeline, context.stack, docker=docker, commands=commands, machines=machines)
    plan = replace(plan, cloud_account=settings.cloud_account, boot_timeout=settings.boot_timeout)
    if argv:
        # The studio is the dynamic pipeline's own, rather than that of a controller of other studios.
        plan = replace(
            plan, timeout=settings.run_timeout, keep_studios=settings.keep_alive, tags=tuple(settings.tags or ())
        )
    check_plan(plan)
    # A controller needs credentials, which containers do not have, so it is in a studio also where steps are not.
    packaging = "source" if settings.packaging == "image" else settings.packaging
    local_cloud = local_cloud_root(settings)
    all_variables = {
        ENV_ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL: "1",
        **command_variables(docker, variables, settings),
        ENV_PACKAGING: packaging,
        # On the local cloud its machine has them, as any machine there; the controller keeps that cloud running.
        **({} if settings.cloud == "local" else credentials_of(orchestrator, settings)),
        **(keeping(local_cloud) if local_cloud else {}),
        "LIGHTNING_NATIVE_HOME": f"~/{CONTROLLER_HOME}",
    }
    return CompiledRun(plan, {CONTROLLER_STEP: all_variables}, packaging, own_extra=EXTRA)


def controller_plan(
    spec: SupervisorSpec,
    pipeline: str,
    stack: "Stack",
    *,
    docker: DockerSettings,
    commands: Sequence[str] = (),
    machines: tuple[str, ...] = (),
) -> RunPlan:
    """Make the plan of the studio that the controller lives in.

    Args:
        spec: the task of the supervisor.
        pipeline: its name.
        stack: it runs on.
        docker: what is installed for the code that the controller itself runs.
        commands: run after the requirements.
        machines: in the order of preference; none: the default.
    """
    # It talks to Lightning, which steps do not.
    sdk = ("lightning-sdk", f"lightning-sdk=={version('lightning-sdk')}")
    step = StepPlan(
        name=CONTROLLER_STEP,
        argv=spec.command(),
        machines=machines,
        requirements=(*_without_own(step_requirements(docker, stack)), sdk),
        retry=Retry(0 if spec.delete else 1),
        scratch=("ZENML_CONFIG_PATH",),
        setup=step_setup(docker, stack, commands),
    )
    main = machines[0] if machines else None
    return RunPlan(spec.run_id, controller_plan_name(pipeline), (step,), "studio", main_machine=main)


def _without_own(sources: Sequence[RequirementSource]) -> tuple[RequirementSource, ...]:
    """Return requirements without those of this package, of which the controller gets the wheel of what runs here."""
    kept = []
    for name, text in sources:
        # One that goes on in the next line is read as one.
        lines = text.replace("\\\n", " ").splitlines()
        dropped = [line.strip() for line in lines if _OWN_LINE.match(line)]
        if dropped:
            logger.info("The controller gets lightning-native as it runs here, not as %s has it: %s", name, dropped[0])
        kept.append((name, "\n".join(line for line in lines if not _OWN_LINE.match(line)) if dropped else text))
    return tuple(kept)


def controller_studio(pipeline: str, run_id: str) -> str:
    """Return the name of the studio that the controller of a run lives in."""
    nothing = StepPlan(CONTROLLER_STEP, ("true",))
    return studio_layout(RunPlan(run_id, controller_plan_name(pipeline), (nothing,), "studio"))[0].name


def logs_command(run_id: str) -> str:
    """Return the command that prints the log of a controller on Lightning, while it runs and afterwards."""
    return f"lightning-native runs logs {run_id} --follow"
