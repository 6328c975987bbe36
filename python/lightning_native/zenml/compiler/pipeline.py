"""The compiler of pipelines and of single steps: every setting ends in the plan, or in an error that names it."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from zenml.config import ResourceSettings
from zenml.enums import ExecutionMode
from zenml.orchestrators.utils import is_setting_enabled

from lightning_native.engine.plan import FailureMode, RunPlan, StepPlan
from lightning_native.engine.planning.checks import check_plan
from lightning_native.engine.planning.machine_choice import MachineOffer, ResourceRequest
from lightning_native.errors import PlanError
from lightning_native.zenml.compat import get_step_entrypoint_command
from lightning_native.zenml.compiler.compiled_run import CompiledRun, CompilerContext
from lightning_native.zenml.compiler.resources import choose_machines, resource_request, step_machine
from lightning_native.zenml.compiler.runtime import check_runtime
from lightning_native.zenml.compiler.schedule import on_schedule, window_variables
from lightning_native.zenml.compiler.step import StepSource, check_known, check_step, plan_step, retry_of
from lightning_native.zenml.compiler.step_variables import command_variables, place_variables, warm_variables
from lightning_native.zenml.config import (
    STEP_SETTINGS,
    LightningNativeOrchestratorSettings,
    LightningNativeStepSettings,
    orchestrator_settings,
)
from lightning_native.zenml.step_process.entrypoints import LightningNativeStepEntrypointConfiguration
from lightning_native.zenml.variables import ENV_RUN_ID

if TYPE_CHECKING:
    from zenml.models import PipelineSnapshotResponse
    from zenml.orchestrators import ContainerizedOrchestrator

FAILURE_MODES: dict[ExecutionMode, FailureMode] = {
    ExecutionMode.CONTINUE_ON_FAILURE: "continue",
    ExecutionMode.STOP_ON_FAILURE: "stop",
    ExecutionMode.FAIL_FAST: "fail_fast",
}


def compile_pipeline(
    run_id: str,
    orchestrator: "ContainerizedOrchestrator",
    snapshot: "PipelineSnapshotResponse",
    variables: Mapping[str, Mapping[str, str]],
    context: CompilerContext,
) -> CompiledRun:
    """Make a run of a static pipeline, for its schedule if it has one.

    Args:
        run_id: of the plan.
        orchestrator: has the settings and the images.
        snapshot: the pipeline, without the steps that were found in the cache.
        variables: with which ZenML has each step's command run.
        context: of the run.

    Raises:
        PlanError: the pipeline cannot run as it is written.
        PipelineSubmissionError: it could, but not on its schedule.
        RequirementError: requirements do not parse or, in one studio, cannot hold together.
        CloudError: the price list is needed and cannot be read.
    """
    configuration = snapshot.pipeline_configuration
    settings, resources = orchestrator_settings(orchestrator, snapshot), configuration.resource_settings
    check_known("the pipeline", settings)
    main_machines, main_request = _main_machine(settings, resources)
    sources: dict[str, StepSource] = {}
    steps: list[StepPlan] = []
    requests: dict[str, ResourceRequest] = {}
    for name, step in snapshot.step_configurations.items():
        own = orchestrator_settings(orchestrator, step)
        _check_against_pipeline(name, own, settings)
        command, arguments = get_step_entrypoint_command(
            invocation_id=name,
            config=step.config,
            entrypoint_config_class=LightningNativeStepEntrypointConfiguration,
            snapshot_id=snapshot.id,
        )
        image = partial(orchestrator.get_image, snapshot, name)
        source = StepSource(name, (*command, *arguments), step.config, own, variables[name], image)
        check_step(source)
        # The step operator of a step asks for the step's resources itself.
        wanted = ResourceSettings() if step.config.step_operator else step.config.resource_settings
        machines, request = step_machine(name, own, wanted, settings, resources)
        if request is not None:
            requests[name] = request
        planned = plan_step(source, machines, context.stack)
        steps.append(replace(planned, upstream=tuple(step.spec.upstream_steps), retry=retry_of(step.config.retry)))
        sources[name] = source
    if requests or main_request:
        offers = context.price_list()
        steps = [_on_cheapest(step, requests.get(step.name), offers, settings) for step in steps]
        if main_request is not None:
            main_machines = choose_machines("the pipeline", main_request, offers, settings)
    plan = replace(
        _plan(run_id, configuration.name, steps, settings),
        main_studio=settings.main_studio_name,
        main_machine=main_machines[0] if main_machines else None,
        max_parallelism=settings.max_parallelism,
        machine_limits=tuple((settings.machine_limits or {}).items()),
        on_failure=FAILURE_MODES[configuration.execution_mode],
        timeout=settings.run_timeout,
        budget=settings.budget,
    )
    check_plan(plan)
    schedule = snapshot.schedule
    if schedule:
        plan = on_schedule(plan, schedule, settings.timezone)
    all_variables = {
        step.name: {
            **command_variables(sources[step.name].config.docker_settings, sources[step.name].variables, settings),
            **(
                window_variables(schedule, step.upstream)
                if schedule
                else {
                    ENV_RUN_ID: run_id,
                    **place_variables(plan, step.name, context.environ),
                    **warm_variables(plan, step.name, settings.warm_steps),
                }
            ),
        }
        for step in plan.steps
    }
    return CompiledRun(plan, all_variables, settings.packaging)


def may_be_cached(snapshot: "PipelineSnapshotResponse") -> bool:
    """Return whether a step may turn out to be cached when its upstream steps have ended.

    A step without any was looked for in the cache before the submission.
    """
    return any(
        step.spec.upstream_steps
        and is_setting_enabled(
            is_enabled_on_step=step.config.enable_cache,
            is_enabled_on_pipeline=snapshot.pipeline_configuration.enable_cache,
        )
        for step in snapshot.step_configurations.values()
    )


def compile_step(run_id: str, pipeline: str, source: StepSource, context: CompilerContext) -> CompiledRun:
    """Make a run of a single step, in a studio or job of its own. ZenML tries it again where it failed.

    Raises:
        PlanError: the step cannot run as it is written.
        RequirementError: its requirements do not parse or cannot hold together.
        CloudError: the price list is needed and cannot be read.
    """
    settings, config = source.settings, source.config
    check_step(source)
    no_settings = type(settings)()
    machines, request = step_machine(source.name, settings, config.resource_settings, no_settings, ResourceSettings())
    step = plan_step(source, machines, context.stack)
    if request is not None:
        step = _on_cheapest(step, request, context.price_list(), settings)
    plan = _plan(run_id, pipeline, [step], settings)
    check_plan(plan)
    variables = {
        **command_variables(config.docker_settings, source.variables, settings),
        **place_variables(plan, source.name, context.environ),
    }
    return CompiledRun(plan, {source.name: variables}, settings.packaging)


def _on_cheapest(
    step: StepPlan,
    request: ResourceRequest | None,
    offers: list[MachineOffer],
    settings: LightningNativeStepSettings,
) -> StepPlan:
    if request is None:
        return step
    machines = choose_machines(f"step {step.name!r}", request, offers, settings, interruptible=step.interruptible)
    return replace(step, machines=machines)


def _plan(run_id: str, name: str, steps: list[StepPlan], settings: LightningNativeStepSettings) -> RunPlan:
    return RunPlan(
        run_id=run_id,
        name=name,
        steps=tuple(steps),
        placement=settings.step_placement(),
        cloud_account=settings.cloud_account,
        boot_timeout=settings.boot_timeout,
        pending_timeout=settings.pending_timeout,
        keep_studios=settings.keep_alive,
        reuse_environments=settings.reuse_environments,
        tags=tuple(settings.tags or ()),
    )


def main_machines(
    snapshot: "PipelineSnapshotResponse", settings: LightningNativeStepSettings, context: CompilerContext
) -> tuple[str, ...]:
    """Return the machines that a pipeline itself asks for, in the order of preference; none: the default.

    Raises:
        PlanError: it names a machine and resources, or resources that no machine has.
        CloudError: the price list is needed and cannot be read.
    """
    machines, request = _main_machine(settings, snapshot.pipeline_configuration.resource_settings)
    if request is None:
        return machines
    return choose_machines("the pipeline", request, context.price_list(), settings)


def _main_machine(
    settings: LightningNativeStepSettings, resources: ResourceSettings
) -> tuple[tuple[str, ...], ResourceRequest | None]:
    machines = settings.preferred_machines()
    request = resource_request("the pipeline", resources)
    if machines and request:
        raise PlanError(
            f"the pipeline asks for machine {machines[0]} and, in its ResourceSettings, for {request}; "
            "remove one of them"
        )
    return machines, request


def _check_against_pipeline(
    step: str, own: LightningNativeOrchestratorSettings, pipeline: LightningNativeOrchestratorSettings
) -> None:
    for name in type(own).model_fields:
        if name not in STEP_SETTINGS and getattr(own, name) != getattr(pipeline, name):
            raise PlanError(
                f"step {step!r} sets {name}, which is a setting of the whole run; set it on the pipeline. "
                f"A step can set {', '.join(sorted(STEP_SETTINGS))}"
            )
    if own.runtime is not None:
        if pipeline.runtime is not None:
            raise PlanError("the pipeline sets runtime, which is what a single step runs; set it on that step")
        check_runtime(step, own.runtime)
