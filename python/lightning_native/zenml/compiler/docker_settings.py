"""The requirements and the setup of a step's environment, from ZenML's Docker settings but without an image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import zenml
from zenml.config import DockerSettings
from zenml.config.docker_settings import PythonPackageInstaller
from zenml.integrations.registry import integration_registry
from zenml.utils.pipeline_docker_image_builder import PipelineDockerImageBuilder

from lightning_native.engine.plan import RequirementSource, Setup
from lightning_native.errors import PlanError
from lightning_native.zenml.config import LightningNativeStepSettings

if TYPE_CHECKING:
    from zenml.stack import Stack

# The settings that only make sense for an image.
_IMAGE_ONLY = (
    "parent_image",
    "dockerfile",
    "skip_build",
    "build_context_root",
    "parent_image_build_config",
    "image_tag",
    "target_repository",
    "python_package_installer_cache_mount",
    "user",
    "build_config",
    "build_options",
    "dockerignore",
)


def own_requirements() -> list[str]:
    """Return the requirements of every step: ZenML in the version of this process; our own package is uploaded."""
    return [f"zenml=={zenml.__version__}"]


def step_requirements(docker: DockerSettings, stack: "Stack") -> tuple[RequirementSource, ...]:
    """Return (name, text) of each requirements file for a step, in ZenML's order, ours first."""
    files = PipelineDockerImageBuilder().gather_requirements_files(docker_settings=docker, stack=stack, log=False)
    ours = ("lightning-native", "\n".join(own_requirements()))
    return (ours, *((name, content) for name, content, _options in files))


def step_setup(docker: DockerSettings, stack: "Stack", commands: Sequence[str]) -> Setup:
    """Return the setup of a step's environment besides its requirements; the user's `commands` come last."""
    packages = list(docker.apt_packages)
    if docker.install_stack_requirements:
        packages += stack.apt_packages
    for integration in docker.required_integrations:
        packages += integration_registry.integrations[integration].APT_PACKAGES
    local_project = docker.local_project_install_command
    return Setup(
        packages=tuple(dict.fromkeys(packages)),
        installer="pip" if docker.python_package_installer == PythonPackageInstaller.PIP else "uv",
        installer_arguments=tuple(
            f"--{name}" if value is None else f"--{name}={value}"
            for name, value in docker.python_package_installer_args.items()
            # Packages go into the studio's own Python anyway.
            if name != "system"
        ),
        commands=(*([local_project] if local_project else []), *commands),
        variables=tuple(build_variables(docker)),
    )


def build_variables(docker: DockerSettings) -> dict[str, str]:
    """Return the variables that an image would have from before its packages are installed."""
    return {name.upper(): str(value) for name, value in docker.environment.items()}


def image_variables(docker: DockerSettings) -> dict[str, str]:
    """Return all variables that an image would have."""
    runtime = {name.upper(): str(value) for name, value in docker.runtime_environment.items()}
    return {**build_variables(docker), **runtime}


def check_packaging(step: str, docker: DockerSettings, settings: LightningNativeStepSettings) -> None:
    """Refuse settings that contradict the form in which the code reaches a step.

    Raises:
        PlanError: names the setting and the remedy.
    """
    if settings.packaging == "image":
        if settings.custom_commands:
            raise PlanError(
                f"step {step!r}: custom_commands prepare studios, and the step runs in an image; "
                "put them into its Dockerfile"
            )
        return
    if settings.packaging == "wheel" and docker.local_project_install_command:
        raise PlanError(
            f"step {step!r}: DockerSettings.local_project_install_command installs from the source tree, of which "
            "packaging='wheel' makes an installed package; remove one of them"
        )
    check_docker_settings(step, docker)


def check_docker_settings(step: str, docker: DockerSettings) -> None:
    """Refuse settings that only an image could honour.

    Raises:
        PlanError: names the setting and the remedy.
    """
    defaults = DockerSettings()
    # Older versions of ZenML do not have all of them.
    known = [name for name in _IMAGE_ONLY if name in DockerSettings.model_fields]
    asked = [name for name in known if getattr(docker, name) != getattr(defaults, name)]
    if asked:
        raise PlanError(
            f"step {step!r}: DockerSettings.{asked[0]} describes an image, but steps run in studios, where "
            "requirements, apt_packages, environment and the installer's options work without one; remove it, or have "
            "ZenML build images with packaging='image'"
        )
