"""How a step starts inside a studio."""

import sys
from pathlib import Path
from typing import Any

from zenml.entrypoints.base_entrypoint_configuration import ENTRYPOINT_CONFIG_SOURCE_OPTION
from zenml.entrypoints.step_entrypoint_configuration import StepEntrypointConfiguration


class LightningNativeStepEntrypointConfiguration(StepEntrypointConfiguration):
    """Runs one step from the folder the code was unpacked to, for any user.

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
