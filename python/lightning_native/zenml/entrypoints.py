"""How steps and pipelines start in a studio or job, from the code that was unpacked there."""

import sys
from pathlib import Path
from typing import Any

from zenml.entrypoints.base_entrypoint_configuration import (
    ENTRYPOINT_CONFIG_SOURCE_OPTION,
    BaseEntrypointConfiguration,
)
from zenml.entrypoints.pipeline_entrypoint_configuration import PipelineEntrypointConfiguration
from zenml.entrypoints.step_entrypoint_configuration import StepEntrypointConfiguration
from zenml.logger import get_logger
from zenml.pipelines.dynamic.entrypoint_configuration import DynamicPipelineEntrypointConfiguration
from zenml.step_operators.step_operator_entrypoint_configuration import StepOperatorEntrypointConfiguration

from lightning_native.zenml.schedules import out_of_window

logger = get_logger(__name__)


class UnpackedCode(BaseEntrypointConfiguration):
    """Runs from the folder the code was unpacked to, for any user.

    ZenML's own configurations change to `/app`, which only root can make.
    """

    @classmethod
    def get_entrypoint_arguments(cls, **kwargs: Any) -> list[str]:
        """Return the arguments of the entrypoint command, with this class named by the package it is installed as.

        ZenML names it relative to the user's code when both share a folder, as in a checkout of this project.
        """
        arguments = super().get_entrypoint_arguments(**kwargs)
        option = arguments.index(f"--{ENTRYPOINT_CONFIG_SOURCE_OPTION}")
        arguments[option + 1] = f"{cls.__module__}.{cls.__qualname__}"
        return arguments

    def prepare_code_environment(self) -> None:
        """Make the code in the working folder importable."""
        code = str(Path.cwd())
        if code not in sys.path:
            sys.path.insert(0, code)


class LightningNativeStepEntrypointConfiguration(UnpackedCode, StepEntrypointConfiguration):
    """Runs one step of a static pipeline."""

    def run(self) -> None:
        """Run the step, unless it is of a scheduled run that begins outside of its schedule's start and end."""
        if out_of_window():
            logger.info("It is not the time of this schedule: nothing runs.")
            return
        super().run()


class LightningNativeIsolatedStepEntrypointConfiguration(UnpackedCode, StepOperatorEntrypointConfiguration):
    """Runs one step whose run exists already: of a step operator, or isolated in a dynamic pipeline."""


class LightningNativePipelineEntrypointConfiguration(UnpackedCode, PipelineEntrypointConfiguration):
    """Runs all steps of a static pipeline, one after another, in one process."""


class LightningNativeDynamicEntrypointConfiguration(UnpackedCode, DynamicPipelineEntrypointConfiguration):
    """Runs a dynamic pipeline."""
