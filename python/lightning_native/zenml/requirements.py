"""What a step needs installed, in the order ZenML gives it."""

from importlib.metadata import version
from typing import TYPE_CHECKING

import zenml
from zenml.utils.pipeline_docker_image_builder import PipelineDockerImageBuilder

from lightning_native.engine.plan import RequirementSource

if TYPE_CHECKING:
    from zenml.config import DockerSettings
    from zenml.stack import Stack


def own_requirements() -> list[str]:
    """Return what every step needs: this package and ZenML, in the versions that plan the run."""
    return [f"lightning-native=={version('lightning-native')}", f"zenml=={zenml.__version__}"]


def step_requirements(docker_settings: "DockerSettings", stack: "Stack") -> tuple[RequirementSource, ...]:
    """Return (name, text) of each requirements file for a step, ours first."""
    files = PipelineDockerImageBuilder().gather_requirements_files(
        docker_settings=docker_settings, stack=stack, log=False
    )
    ours = ("lightning-native", "\n".join(own_requirements()))
    return (ours, *((name, content) for name, content, _options in files))
