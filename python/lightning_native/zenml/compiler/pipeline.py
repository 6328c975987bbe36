"""From a ZenML snapshot to a plan: every setting ends in the plan, or in an error that names it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from zenml.config import ResourceSettings
from zenml.enums import ExecutionMode

from lightning_native.engine.checks import check_plan
from lightning_native.engine.machines import MachineOffer, ResourceRequest, cheapest
from lightning_native.engine.plan import ContainerImage, FailureMode, Retry, RunPlan, StepPlan
from lightning_native.errors import PlanError
from lightning_native.zenml.compat import get_step_entrypoint_command
from lightning_native.zenml.compiler.docker_settings import check_packaging, step_requirements, step_setup
from lightning_native.zenml.compiler.resources import resource_request, step_machine
from lightning_native.zenml.compiler.runtime import check_runtime
from lightning_native.zenml.config import (
    STEP_SETTINGS,
    LightningNativeOrchestratorSettings,
    LightningNativeStepSettings,
)
from lightning_native.zenml.step_process.entrypoints import LightningNativeStepEntrypointConfiguration
from lightning_native.zenml.variables import ENV_SCRATCH

if TYPE_CHECKING:
    from zenml.config.retry_config import StepRetryConfig
    from zenml.config.step_configurations import StepConfiguration
    from zenml.models import PipelineSnapshotResponse
    from zenml.stack import Stack

FAILURE_MODES: dict[ExecutionMode, FailureMode] = {
    ExecutionMode.CONTINUE_ON_FAILURE: "continue",
    ExecutionMode.STOP_ON_FAILURE: "stop",
    ExecutionMode.FAIL_FAST: "fail_fast",
}
# As many machines are tried for a request as people name by hand.
_MOST_FALLBACKS = 3


def compile_pipeline(
    run_id: str,
    snapshot: "PipelineSnapshotResponse",
    stack: "Stack",
    settings: LightningNativeOrchestratorSettings,
    step_settings: Mapping[str, LightningNativeOrchestratorSettings],
    price_list: Callable[[], list[MachineOffer]],
    image_of: Callable[[str], str],
) -> RunPlan:
    """Make a checked plan of a pipeline.

    Args:
        run_id: of the plan.
        snapshot: the pipeline, without the steps that were found in the cache.
        stack: it runs on.
        settings: of the pipeline.
        step_settings: of each step.
        price_list: asked only when machines are to be found for resource settings.
        image_of: the image of a step; asked only where steps run in images.

    Raises:
        PlanError: the pipeline cannot run as it is written.
        RequirementError: requirements do not parse or, in one studio, cannot hold together.
        CloudError: the price list is needed and cannot be read.
    """
    configuration = snapshot.pipeline_configuration
    resources = configuration.resource_settings
    main_machines, main_request = _main_machine(settings, resources)
    steps: list[StepPlan] = []
    requests: dict[str, ResourceRequest] = {}
    for name, step in snapshot.step_configurations.items():
        own = step_settings[name]
        _check_step_settings(name, own, settings)
        check_packaging(name, step.config.docker_settings, own)
        # What a step operator is to run brings its resources there.
        wanted = ResourceSettings() if step.config.step_operator else step.config.resource_settings
        machines, request = step_machine(name, own, wanted, settings, resources)
        if request is not None:
            requests[name] = request
        command, arguments = get_step_entrypoint_command(
            invocation_id=name,
            config=step.config,
            entrypoint_config_class=LightningNativeStepEntrypointConfiguration,
            snapshot_id=snapshot.id,
        )
        planned = _step(name, (*command, *arguments), step.config, own, stack, machines, image_of)
        steps.append(replace(planned, upstream=tuple(step.spec.upstream_steps), retry=retry_of(step.config.retry)))
    if requests or main_request:
        offers = price_list()
        steps = [_on_cheapest(step, requests.get(step.name), offers) for step in steps]
        if main_request is not None:
            main_machines = _choose("the pipeline", main_request, offers, interruptible=False)
    plan = replace(
        _plan(run_id, configuration.name, steps, settings),
        main_studio=settings.main_studio_name,
        main_machine=main_machines[0] if main_machines else None,
        max_parallelism=settings.max_parallelism,
        machine_limits=tuple((settings.machine_limits or {}).items()),
        on_failure=FAILURE_MODES[configuration.execution_mode],
        timeout=settings.run_timeout,
    )
    check_plan(plan)
    return plan


def compile_step(
    run_id: str,
    pipeline: str,
    name: str,
    config: "StepConfiguration",
    settings: LightningNativeStepSettings,
    argv: Sequence[str],
    stack: "Stack",
    price_list: Callable[[], list[MachineOffer]],
    image_of: Callable[[str], str],
) -> RunPlan:
    """Make a checked plan of a single step, in a studio or job of its own. ZenML tries it again where it failed.

    Raises:
        PlanError: the step cannot run as it is written.
        RequirementError: its requirements do not parse or cannot hold together.
        CloudError: the price list is needed and cannot be read.
    """
    check_packaging(name, config.docker_settings, settings)
    _check_interruptible(name, settings)
    nothing = type(settings)()
    machines, request = step_machine(name, settings, config.resource_settings, nothing, ResourceSettings())
    step = _step(name, argv, config, settings, stack, machines, image_of)
    if request is not None:
        step = _on_cheapest(step, request, price_list())
    plan = _plan(run_id, pipeline, [step], settings)
    check_plan(plan)
    return plan


def _plan(run_id: str, name: str, steps: Sequence[StepPlan], settings: LightningNativeStepSettings) -> RunPlan:
    return RunPlan(
        run_id=run_id,
        name=name,
        steps=tuple(steps),
        placement=settings.step_placement(),
        pending_timeout=settings.pending_timeout,
        keep_studios=settings.keep_alive,
        reuse_environments=settings.reuse_environments,
        tags=tuple(settings.tags or ()),
    )


def main_machines(
    snapshot: "PipelineSnapshotResponse",
    settings: LightningNativeStepSettings,
    price_list: Callable[[], list[MachineOffer]],
) -> tuple[str, ...]:
    """Return the machines that a pipeline itself asks for, in the order of preference; none: the default.

    Raises:
        PlanError: it names a machine and resources, or resources that no machine has.
        CloudError: the price list is needed and cannot be read.
    """
    machines, request = _main_machine(settings, snapshot.pipeline_configuration.resource_settings)
    if request is None:
        return machines
    return _choose("the pipeline", request, price_list(), interruptible=False)


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


def _check_step_settings(
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
    _check_interruptible(step, own)


def _check_interruptible(step: str, settings: LightningNativeStepSettings) -> None:
    if settings.interruptible and settings.step_placement() == "studio":
        raise PlanError(
            f"step {step!r} is interruptible, but studios cannot be restarted in the middle of a run; "
            "set placement='job', or interruptible=False"
        )


def _step(
    name: str,
    argv: Sequence[str],
    config: "StepConfiguration",
    settings: LightningNativeStepSettings,
    stack: "Stack",
    machines: tuple[str, ...],
    image_of: Callable[[str], str],
) -> StepPlan:
    step = StepPlan(
        name=name,
        argv=tuple(argv),
        machines=machines,
        timeout=settings.step_timeout,
        interruptible=settings.interruptible,
        # Steps that share one configuration folder tear each other's files.
        scratch=("ZENML_CONFIG_PATH", ENV_SCRATCH),
        package=True,
    )
    if settings.packaging == "image":
        return replace(
            step, image=ContainerImage(image_of(name), settings.image_credentials, settings.cloud_account_auth)
        )
    return replace(
        step,
        requirements=step_requirements(config.docker_settings, stack),
        setup=step_setup(config.docker_settings, stack, settings.custom_commands or ()),
    )


def retry_of(config: "StepRetryConfig | None") -> Retry:
    """Return the engine's form of ZenML's retry configuration, where a back-off of 0 means none."""
    if config is None:
        return Retry()
    return Retry(config.max_retries, float(config.delay), float(max(config.backoff, 1)))


def _on_cheapest(step: StepPlan, request: ResourceRequest | None, offers: list[MachineOffer]) -> StepPlan:
    if request is None:
        return step
    machines = _choose(f"step {step.name!r}", request, offers, interruptible=step.interruptible)
    return replace(step, machines=machines)


def _choose(who: str, request: ResourceRequest, offers: list[MachineOffer], *, interruptible: bool) -> tuple[str, ...]:
    try:
        return tuple(cheapest(request, offers, interruptible=interruptible)[:_MOST_FALLBACKS])
    except PlanError as error:
        raise PlanError(f"{who}: {error}") from error
