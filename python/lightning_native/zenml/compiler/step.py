"""A step on its way into the plan: what ZenML configures, and what the engine makes of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lightning_native.engine.plan import ContainerImage, Retry, StepPlan
from lightning_native.errors import PlanError
from lightning_native.placement import CAPABILITIES
from lightning_native.user_input.yaml_document import did_you_mean
from lightning_native.zenml.compiler.docker_settings import check_packaging, step_requirements, step_setup
from lightning_native.zenml.config import (
    LightningNativeOrchestratorConfig,
    LightningNativeStepOperatorConfig,
    LightningNativeStepSettings,
)
from lightning_native.zenml.variables import ENV_SCRATCH

if TYPE_CHECKING:
    from zenml.config.retry_config import StepRetryConfig
    from zenml.config.step_configurations import StepConfiguration
    from zenml.stack import Stack


@dataclass(frozen=True)
class StepSource:
    """A step as ZenML configures it.

    Attributes:
        name: of the step.
        argv: the command that runs it.
        config: ZenML's configuration.
        settings: ours.
        variables: with which ZenML has the command run.
        image: returns the step's image; called only where steps run in images.
    """

    name: str
    argv: Sequence[str]
    config: "StepConfiguration"
    settings: LightningNativeStepSettings
    variables: Mapping[str, str]
    image: Callable[[], str]


def check_known(who: str, settings: LightningNativeStepSettings) -> None:
    """Refuse settings that do not exist, which ZenML keeps and nobody would read.

    Raises:
        PlanError: names the setting, and the nearest ones.
    """
    known = type(settings).model_fields
    # A component's own configuration comes with its settings.
    others = {*LightningNativeOrchestratorConfig.model_fields, *LightningNativeStepOperatorConfig.model_fields}
    for name in settings.model_extra or {}:
        if name not in others:
            raise PlanError(f"{who} sets {name}, which does not exist; {did_you_mean(name, known, 'the settings are')}")


def check_step(source: StepSource) -> None:
    """Refuse a step whose settings do not exist, or contradict each other.

    Raises:
        PlanError: names the setting and the remedy.
    """
    settings = source.settings
    check_known(f"step {source.name!r}", settings)
    if settings.interruptible and not CAPABILITIES[settings.step_placement()].survives_interruption:
        raise PlanError(
            f"step {source.name!r} is interruptible, but studios cannot be restarted in the middle of a run; "
            "set placement='job', or interruptible=False"
        )
    check_packaging(source.name, source.config.docker_settings, settings)


def plan_step(source: StepSource, machines: tuple[str, ...], stack: "Stack") -> StepPlan:
    """Return the plan of a step that depends on no other and is not retried.

    Raises:
        PlanError: there is no image for it.
    """
    settings, docker = source.settings, source.config.docker_settings
    step = StepPlan(
        name=source.name,
        argv=tuple(source.argv),
        machines=machines,
        timeout=settings.step_timeout,
        interruptible=settings.interruptible,
        # Steps that share one configuration folder tear each other's files.
        scratch=("ZENML_CONFIG_PATH", ENV_SCRATCH),
        package=True,
        outputs=tuple(settings.outputs or ()),
        outputs_every=settings.outputs_every if settings.outputs else None,
        num_machines=settings.num_machines,
        scratch_disks=tuple((settings.scratch_disks or {}).items()),
        path_mappings=tuple((settings.path_mappings or {}).items()),
    )
    if settings.packaging == "image":
        image = ContainerImage(source.image(), settings.image_credentials, settings.cloud_account_auth)
        return replace(step, image=image)
    return replace(
        step,
        requirements=step_requirements(docker, stack),
        setup=step_setup(docker, stack, settings.custom_commands or ()),
    )


def retry_of(config: "StepRetryConfig | None") -> Retry:
    """Return the engine's form of ZenML's retry configuration, where a back-off of 0 means none."""
    if config is None:
        return Retry()
    return Retry(config.max_retries, float(config.delay), float(max(config.backoff, 1)))
