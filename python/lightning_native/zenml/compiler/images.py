"""The images that ZenML builds or is given, for steps that run in them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from zenml.client import Client
from zenml.orchestrators import ContainerizedOrchestrator

from lightning_native.errors import PlanError
from lightning_native.zenml.config import LightningNativeStepSettings

if TYPE_CHECKING:
    from zenml.config.build_configuration import BuildConfiguration
    from zenml.config.step_configurations import StepConfiguration
    from zenml.models import PipelineSnapshotResponse


def check_builds(builds: "Iterable[BuildConfiguration]", settings: LightningNativeStepSettings) -> None:
    """Refuse to build images that Lightning could not pull.

    Raises:
        PlanError: names the part that the stack lacks.
    """
    if settings.cloud == "local" or all(build.settings.skip_build for build in builds):
        return
    stack = Client().active_stack
    registry = stack.container_registry
    if registry is None or registry.config.is_local:
        lacking = (
            "has no container registry" if registry is None else f"has {registry.name!r}, which is on this machine"
        )
        raise PlanError(
            f"packaging='image' builds images that Lightning has to pull, and stack {stack.name!r} {lacking}; add one: "
            f"zenml stack update {stack.name} -c REGISTRY; or name an image that is there, with "
            "DockerSettings(parent_image=…, skip_build=True)"
        )


def isolated_image(snapshot: "PipelineSnapshotResponse", config: "StepConfiguration") -> str:
    """Return the image of an isolated step of a dynamic pipeline, which was unknown when images were built.

    Raises:
        PlanError: ZenML was not asked for images.
    """
    if not snapshot.build:
        raise PlanError(
            f"step {config.name!r} is to run in an image, and its pipeline is not: nothing was built, nor is there "
            "code to download; set packaging='image' on the pipeline"
        )
    if config.docker_settings.skip_build:
        return str(config.docker_settings.parent_image)
    return ContainerizedOrchestrator.get_image(snapshot, config.template)
