"""How a step starts inside a studio."""

import sys
from pathlib import Path

from zenml.entrypoints.step_entrypoint_configuration import StepEntrypointConfiguration


class LightningNativeStepEntrypointConfiguration(StepEntrypointConfiguration):
    """Runs one step from the folder the code was unpacked to, for any user.

    ZenML's own configurations change to `/app`, which only root can make.
    """

    def prepare_code_environment(self) -> None:
        """Make the code in the working folder importable."""
        code = str(Path.cwd())
        if code not in sys.path:
            sys.path.insert(0, code)
